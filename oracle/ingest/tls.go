package ingest

import (
	"crypto"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc/credentials"

	"heliograph/provisioning/identity"
)

// signer lets an identity key sign a certificate and handshakes.
type signer struct{ key identity.Signer }

func (s signer) Public() crypto.PublicKey {
	id := s.key.ID()
	return ed25519.PublicKey(id[1:])
}

func (s signer) Sign(_ io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	if opts.HashFunc() != 0 {
		return nil, fmt.Errorf("ingest: sign: Ed25519 signs messages, not %v digests", opts.HashFunc())
	}
	return s.key.Sign(message)
}

// TLSConfig is the server's side of the transport: TLS 1.3 only, with a
// self-signed certificate over the oracle's own Ed25519 key. Hotspots compare
// the key and nothing else, so the certificate's dates are wide and fixed.
func TLSConfig(key identity.Signer) (*tls.Config, error) {
	if key.ID().Type() != identity.Ed25519 {
		return nil, fmt.Errorf("ingest: the oracle's key is %v: make an ed25519 key", key.ID().Type())
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "heliograph oracle " + key.ID().String()},
		NotBefore:    time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:     time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     []string{"oracle.heliograph"},
	}
	s := signer{key}
	der, err := x509.CreateCertificate(nil, template, template, s.Public(), s)
	if err != nil {
		return nil, fmt.Errorf("ingest: make certificate: %w", err)
	}
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		Certificates:           []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: s}},
		NextProtos:             []string{"h2"},
		SessionTicketsDisabled: true,
	}, nil
}

// boundedCreds lets the expensive part of a limited number of handshakes run at
// once: key exchange and signature cost about a millisecond of CPU, and a storm of
// them must not starve the sessions. A place is taken when a client's hello has
// arrived and given back with the signature, so that clients which connect and
// say nothing hold none; the server's connection timeout ends those.
type boundedCreds struct {
	credentials.TransportCredentials
	conf  *tls.Config
	slots chan struct{}
	wait  time.Duration
}

func newBoundedCreds(c *tls.Config, handshakes int) credentials.TransportCredentials {
	return boundedCreds{credentials.NewTLS(c), c, make(chan struct{}, handshakes), 5 * time.Second}
}

// ServerHandshake waits for its turn, but not for long.
func (b boundedCreds) ServerHandshake(c net.Conn) (net.Conn, credentials.AuthInfo, error) {
	leave := func() {}
	defer func() { leave() }()
	conf := b.conf.Clone()
	conf.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		timer := time.NewTimer(b.wait)
		defer timer.Stop()
		select {
		case b.slots <- struct{}{}:
			leave = sync.OnceFunc(func() { <-b.slots })
			return nil, nil // go on with this one
		case <-timer.C:
			return nil, fmt.Errorf("ingest: handshake: %d are under way: try again later", cap(b.slots))
		}
	}
	cert := b.conf.Certificates[0]
	cert.PrivateKey = lastWork{cert.PrivateKey.(crypto.Signer), func() { leave() }}
	conf.Certificates = []tls.Certificate{cert}
	return credentials.NewTLS(conf).ServerHandshake(c)
}

// lastWork is a key whose signature is the last thing that costs.
type lastWork struct {
	crypto.Signer
	done func()
}

func (k lastWork) Sign(r io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	defer k.done()
	return k.Signer.Sign(r, message, opts)
}

// Clone keeps the bound.
func (b boundedCreds) Clone() credentials.TransportCredentials {
	return boundedCreds{b.TransportCredentials.Clone(), b.conf, b.slots, b.wait}
}
