package signer

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	bin "github.com/gagliardetto/binary"

	"heliograph/oracle/settle"
)

func decoder(b []byte) *bin.Decoder { return bin.NewBinDecoder(b) }

// serve runs a signer on a socket until the test or the returned function ends it.
func (w *world) serve() (path string, stop func()) {
	w.t.Helper()
	dir, err := os.MkdirTemp("", "signer") // a socket's path must be short
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path = filepath.Join(dir, "s")
	l, err := Listen(path, 0o600)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan error, 1)
	go func() { done <- w.s.Serve(ctx, l, nil) }()
	ended := false
	stop = func() {
		if ended {
			return
		}
		ended = true
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	}
	w.t.Cleanup(stop)
	return path, stop
}

func TestOverTheSocket(t *testing.T) {
	w := newWorld(t)
	path, stop := w.serve()
	ctx := t.Context()
	c, err := Dial(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	if c.PublicKey() != [32]byte(w.hot) || c.Mint() != [32]byte(w.mint) || c.Treasury() != [32]byte(w.from) || c.TokenProgram() != [32]byte(w.program) {
		t.Error("another identity")
	}
	list := settle.List{Epoch: epoch, ListHash: [32]byte(hashOf(w.text)), Payouts: w.list}
	for range 2 {
		if err := c.Register(ctx, list); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Sign(ctx, w.message(w.hot, memoIx(w.commitText())), Purpose{Kind: Memo}); err != nil {
		t.Fatal(err)
	}
	ixs, p := w.payout(settle.Marker{Epoch: epoch, Batch: 1}, 0, 1, 2)
	msg := w.message(w.hot, ixs...)
	sig, err := c.Sign(ctx, msg, p)
	if err != nil || !verify(w.hot, msg, sig) {
		t.Errorf("payout: %v", err)
	}
	var no *settle.NoSignature
	p.Wallets[0][0] ^= 1
	if _, err := c.Sign(ctx, msg, p); !errors.As(err, &no) || !strings.Contains(no.Why, "refuses") {
		t.Errorf("refusal: %v", err)
	}
	list.Payouts = list.Payouts[:1]
	list.ListHash = [32]byte{}
	if err := c.Register(ctx, list); !errors.As(err, &no) || !strings.Contains(no.Why, "another list") {
		t.Errorf("another list: %v", err)
	}
	if _, err := Listen(path, 0o600); err == nil || !strings.Contains(err.Error(), "another signer") {
		t.Errorf("a second signer on the socket: %v", err)
	}
	stop()
	if _, err := c.Sign(ctx, msg, p); !errors.As(err, &no) || !strings.Contains(no.Why, "start oraclesigner") {
		t.Errorf("dead signer: %v", err)
	}
}

func TestBadFramesEndTheConnection(t *testing.T) {
	w := newWorld(t)
	path, _ := w.serve()
	for name, sent := range map[string]string{
		"no length":   "\x00\x00\x00\x00",
		"huge length": "\xff\xff\xff\xff",
		"cut short":   "\x00\x00\x00\x05\x01",
	} {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte(sent)); err != nil {
			t.Fatal(err)
		}
		if err := c.(*net.UnixConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if b, err := readFrame(c, maxAnswer); err == nil {
			t.Errorf("%s is answered: %q", name, b)
		}
		_ = c.Close()
	}
	for name, sent := range map[string]string{
		"unknown request": "\x00\x00\x00\x01\x09",
		"sign nothing":    "\x00\x00\x00\x01\x02",
		"short has":       "\x00\x00\x00\x02\x03\x00",
	} {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte(sent)); err != nil {
			t.Fatal(err)
		}
		if b, err := readFrame(c, maxAnswer); err != nil || b[0] != statusFailed {
			t.Errorf("%s: %q, %v", name, b, err)
		}
		_ = c.Close()
	}
}

// A signer that was killed leaves its socket behind.
func TestSocketOfADeadSigner(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Skip("the temporary directory's path is too long for a socket")
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l, err = Listen(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(path, 0o600); err == nil {
		t.Error("an ordinary file was replaced by a socket")
	}
}

func hashOf(b []byte) [32]byte { return sha256.Sum256(b) }

func verify(key [32]byte, msg []byte, sig [64]byte) bool { return ed25519.Verify(key[:], msg, sig[:]) }
