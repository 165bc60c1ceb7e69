package signer

import (
	"context"
	"encoding/binary"
	"fmt"
	"io/fs"
	"net"
	"syscall"
	"time"

	"errors"

	"heliograph/oracle/reward"
	"heliograph/oracle/settle"
)

// clientLimit bounds one request, listLimit the sending of a list.
const (
	clientLimit = 10 * time.Second
	listLimit   = 2 * time.Minute
)

// Client asks a signer process for signatures. It is a solana.Key and a
// settle.Registrar, and safe for concurrent use.
type Client struct {
	path     string
	key      [32]byte
	mint     [32]byte
	treasury [32]byte
	program  [32]byte
}

// Dial asks the signer at a socket who it is.
func Dial(ctx context.Context, path string) (*Client, error) {
	c := &Client{path: path}
	b, err := c.ask(ctx, opIdentity, nil, clientLimit)
	if err != nil {
		return nil, err
	}
	if len(b) != 4*keySize {
		return nil, fmt.Errorf("signer: %s is no signer: it answers with %d bytes", path, len(b))
	}
	c.key, c.mint, c.treasury, c.program = [32]byte(b), [32]byte(b[keySize:]), [32]byte(b[2*keySize:]), [32]byte(b[3*keySize:])
	return c, nil
}

// PublicKey is the hot key's address.
func (c *Client) PublicKey() [32]byte { return c.key }

// Mint is the mint that the signer is bound to.
func (c *Client) Mint() [32]byte { return c.mint }

// Treasury is the token account that the signer is bound to.
func (c *Client) Treasury() [32]byte { return c.treasury }

// TokenProgram is the token program that the signer is bound to.
func (c *Client) TokenProgram() [32]byte { return c.program }

// Sign asks for a signature. A refusal, or a signer that is not there, is a
// *settle.NoSignature.
func (c *Client) Sign(ctx context.Context, msg []byte, p Purpose) (sig [64]byte, err error) {
	body, err := appendSign(nil, msg, p)
	if err != nil {
		return sig, err
	}
	b, err := c.ask(ctx, opSign, body, clientLimit)
	if err != nil {
		return sig, err
	}
	if len(b) != len(sig) {
		return sig, fmt.Errorf("signer: %s answers a request to sign with %d bytes", c.path, len(b))
	}
	return [64]byte(b), nil
}

// Register implements settle.Registrar. The list is sent only if the signer does
// not have it.
func (c *Client) Register(ctx context.Context, l settle.List) error {
	head := binary.BigEndian.AppendUint32(nil, uint32(l.Epoch))
	b, err := c.ask(ctx, opHas, append(head, l.ListHash[:]...), clientLimit)
	if err != nil || len(b) == 1 && b[0] == 1 {
		return err
	}
	_, err = c.ask(ctx, opRegister, reward.AppendList(head, l.Payouts), listLimit)
	return err
}

// ask makes one exchange on a connection of its own.
func (c *Client) ask(ctx context.Context, op byte, body []byte, limit time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "unix", c.path)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if err := writeFrame(conn, op, body); err != nil {
		return nil, c.unreachable(ctx, err)
	}
	b, err := readFrame(conn, maxAnswer)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	switch b[0] {
	case statusOK:
		return b[1:], nil
	case statusRefused:
		return nil, &settle.NoSignature{Why: "it refuses: " + string(b[1:]), Refused: true}
	case statusBusy:
		return nil, fmt.Errorf("signer: %s", b[1:])
	}
	return nil, &settle.NoSignature{Why: fmt.Sprintf("it failed: %s: see the log of oraclesigner", b[1:])}
}

func (c *Client) unreachable(ctx context.Context, err error) error {
	if ctx.Err() == context.Canceled {
		return ctx.Err()
	}
	remedy := "see the log of oraclesigner"
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		remedy = "start oraclesigner"
	case errors.Is(err, fs.ErrPermission):
		remedy = "let the oracle's user open the socket (socket_mode, allow_uid)"
	}
	return &settle.NoSignature{Why: fmt.Sprintf("it cannot be reached at %s (%v): %s", c.path, err, remedy)}
}
