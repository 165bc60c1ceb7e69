package signer

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"heliograph/poc"
)

// Limits of the socket.
const (
	maxConns     = 64
	idleLimit    = 2 * time.Minute
	requestLimit = 2 * time.Minute // a long list takes a while
)

// Listen opens the socket with the mode given. A socket that a dead signer left is
// replaced, one that answers is not.
func Listen(path string, mode os.FileMode) (net.Listener, error) {
	l, err := net.Listen("unix", path)
	if err != nil {
		if c, derr := net.DialTimeout("unix", path, time.Second); derr == nil {
			_ = c.Close()
			return nil, fmt.Errorf("signer: another signer answers at %s: stop it, or choose another socket", path)
		}
		if info, serr := os.Lstat(path); serr == nil && info.Mode()&os.ModeSocket != 0 {
			if err = os.Remove(path); err == nil {
				l, err = net.Listen("unix", path)
			}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("signer: socket: %w: its directory must exist and belong to this user; the path has at most 107 bytes", err)
	}
	if err := os.Chmod(path, mode); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Serve answers on a socket until the context ends. allowed are the users, besides
// the signer's own, whose processes may ask.
func (s *Signer) Serve(ctx context.Context, l net.Listener, allowed []int) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	slots := make(chan struct{}, maxConns)
	for {
		c, err := l.Accept()
		if ctx.Err() != nil {
			if err == nil {
				_ = c.Close()
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("signer: accept: %w", err)
		}
		if err := checkPeer(c, allowed); err != nil {
			s.cfg.Log.Warn("connection refused", "error", err)
			_ = c.Close()
			continue
		}
		select {
		case slots <- struct{}{}:
		default:
			s.cfg.Log.Warn("connection refused", "error", "too many at once")
			_ = c.Close()
			continue
		}
		wg.Go(func() {
			defer func() { <-slots }()
			defer func() { _ = c.Close() }()
			defer context.AfterFunc(ctx, func() { _ = c.Close() })()
			if err := s.talk(ctx, c); err != nil && ctx.Err() == nil {
				s.cfg.Log.Warn("connection ended", "error", err)
			}
		})
	}
}

// talk answers one connection.
func (s *Signer) talk(ctx context.Context, c net.Conn) error {
	for {
		if err := c.SetDeadline(time.Now().Add(idleLimit)); err != nil {
			return err
		}
		req, err := readFrame(c, maxFrame)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		rctx, cancel := context.WithTimeout(ctx, requestLimit)
		body, err := s.answer(rctx, req[0], req[1:])
		cancel()
		status := byte(statusOK)
		if err != nil {
			status, body = statusOf(err), []byte(err.Error())
			if status == statusRefused {
				var r *Refusal
				errors.As(err, &r)
				body = []byte(r.Reason)
			}
			body = body[:min(len(body), maxAnswer-1)]
		}
		if err := writeFrame(c, status, body); err != nil {
			return err
		}
	}
}

func statusOf(err error) byte {
	var r *Refusal
	switch {
	case errors.As(err, &r):
		return statusRefused
	case errors.Is(err, ErrBusy):
		return statusBusy
	}
	return statusFailed
}

func (s *Signer) answer(ctx context.Context, op byte, b []byte) ([]byte, error) {
	if op != opRegister && len(b) > maxSmall {
		return nil, fmt.Errorf("%w: a request of %d bytes", errFrame, len(b))
	}
	switch {
	case op == opIdentity && len(b) == 0:
		p, program := s.cfg.Policy, s.cfg.Policy.program()
		return slices.Concat(s.hot[:], p.Mint[:], p.Treasury[:], program[:]), nil
	case op == opSign:
		msg, p, err := parseSign(b)
		if err != nil {
			return nil, err
		}
		sig, err := s.Sign(ctx, msg, p)
		return sig[:], err
	case op == opHas && len(b) == 4+32:
		known, err := s.Registered(ctx, poc.Epoch(binary.BigEndian.Uint32(b)), [32]byte(b[4:]))
		if known {
			return []byte{1}, err
		}
		return []byte{0}, err
	case op == opRegister && len(b) >= 4:
		return nil, s.Register(ctx, poc.Epoch(binary.BigEndian.Uint32(b)), b[4:])
	}
	return nil, fmt.Errorf("%w: request %d with %d bytes is not known", errFrame, op, len(b))
}
