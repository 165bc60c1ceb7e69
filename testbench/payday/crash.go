package payday

import (
	"context"
	"errors"

	"heliograph/oracle/store"
)

var errCrash = errors.New("payday: the process died here")

// crashKV dies at one of the next writes: before it, or after it is on disk and
// before anybody hears of it. Once dead it does nothing any more, as a process does.
type crashKV struct {
	store.KV
	left  int // writes until death; 0 = lives on
	after bool
	dead  bool
}

func (c *crashKV) Update(ctx context.Context, f func(store.Tx) error) error {
	if c.dead {
		return errCrash
	}
	if c.left != 1 {
		if c.left > 1 {
			c.left--
		}
		return c.KV.Update(ctx, f)
	}
	c.dead = true
	if c.after {
		return errors.Join(c.KV.Update(ctx, f), errCrash)
	}
	return errCrash
}

func (c *crashKV) View(ctx context.Context, f func(store.Tx) error) error {
	if c.dead {
		return errCrash
	}
	return c.KV.View(ctx, f)
}
