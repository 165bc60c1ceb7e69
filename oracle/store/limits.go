package store

import (
	"errors"
	"fmt"
)

// CheckShard says whether s is below [Shards].
func CheckShard(s Shard) error {
	if s >= Shards {
		return fmt.Errorf("store: shard %d is not below %d", s, Shards)
	}
	return nil
}

// CheckFrame says whether a log takes the frame: 1 to [MaxFrame] bytes.
func CheckFrame(frame []byte) error {
	if len(frame) == 0 {
		return errors.New("store: empty frame")
	}
	if len(frame) > MaxFrame {
		return fmt.Errorf("%w: frame of %d bytes, the limit is %d", ErrTooLarge, len(frame), MaxFrame)
	}
	return nil
}

// CheckKey says whether a KV takes the key: 1 to [MaxKey] bytes.
func CheckKey(key []byte) error {
	if len(key) == 0 {
		return errors.New("store: empty key")
	}
	if len(key) > MaxKey {
		return fmt.Errorf("%w: key of %d bytes, the limit is %d", ErrTooLarge, len(key), MaxKey)
	}
	return nil
}

// CheckValue says whether a KV takes the value: 0 to [MaxValue] bytes.
func CheckValue(value []byte) error {
	if len(value) > MaxValue {
		return fmt.Errorf("%w: value of %d bytes, the limit is %d", ErrTooLarge, len(value), MaxValue)
	}
	return nil
}

// A TxGuard holds the rules of one KV transaction that do not depend on the
// engine: who may write, how much, and not under a running scan. The first
// write that breaks a rule spoils the transaction. Implementations embed it; it
// is not safe for concurrent use, and neither is a [Tx].
type TxGuard struct {
	Writable bool // false in a View
	written  int
	scanning int
	err      error
}

// Write is called before each Put (with its value) and Delete (with nil).
func (g *TxGuard) Write(key, value []byte) error {
	err := g.allow(key, value)
	if err != nil && g.err == nil {
		g.err = err
	}
	return err
}

func (g *TxGuard) allow(key, value []byte) error {
	switch {
	case !g.Writable:
		return errors.New("store: write inside View: use Update")
	case g.scanning > 0:
		return errors.New("store: write inside Scan: collect the keys first, then write")
	case g.written >= MaxTxKeys:
		return fmt.Errorf("%w: transaction writes more than %d keys", ErrTooLarge, MaxTxKeys)
	}
	if err := CheckKey(key); err != nil {
		return err
	}
	if err := CheckValue(value); err != nil {
		return err
	}
	g.written++
	return nil
}

// Scan marks a scan as running until the function that it returns is called.
func (g *TxGuard) Scan() (end func()) {
	g.scanning++
	return func() { g.scanning-- }
}

// Err is the first write that was refused: the transaction must not commit then.
func (g *TxGuard) Err() error { return g.err }
