package uplink

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"heliograph/provisioning/identity"
)

// ErrWrongOracle: the server is not the configured oracle.
var ErrWrongOracle = errors.New("uplink: the server's key is not the configured oracle key")

// TLSConfig accepts exactly the server that proves to hold the oracle's key,
// whatever its certificate says besides. TLS 1.3 has the server sign the
// handshake with the certificate's key, so a stolen certificate is no use.
func TLSConfig(oracle identity.HotspotID) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		InsecureSkipVerify: true, // no names, no authorities: VerifyConnection pins the key
		VerifyConnection: func(cs tls.ConnectionState) error {
			want, ok := oracle.Ed25519()
			if !ok || len(cs.PeerCertificates) == 0 {
				return ErrWrongOracle
			}
			got, ok := cs.PeerCertificates[0].PublicKey.(ed25519.PublicKey)
			if !ok || !bytes.Equal(got, want) {
				return fmt.Errorf("%w: correct oracle_key or the address", ErrWrongOracle)
			}
			return nil
		},
		NextProtos: []string{"h2"},
	}
}

// maxMessage bounds what the oracle may send, in bytes.
const maxMessage = 64 << 10

// dial makes a connection that is opened by its first call.
func (c *Client) dial() (*grpc.ClientConn, error) {
	conn, err := grpc.NewClient("passthrough:///"+c.cfg.Addr,
		grpc.WithTransportCredentials(credentials.NewTLS(TLSConfig(c.cfg.OracleKey))),
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) { return c.cfg.Dial(ctx, addr) }),
		grpc.WithDisableServiceConfig(), grpc.WithDisableRetry(), grpc.WithNoProxy(),
		grpc.WithReadBufferSize(4<<10), grpc.WithWriteBufferSize(4<<10),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)),
	)
	if err != nil {
		return nil, fmt.Errorf("uplink: dial: %w", err)
	}
	return conn, nil
}
