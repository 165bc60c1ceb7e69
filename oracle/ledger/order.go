package ledger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"heliograph/oracle/store"
)

var lastKey = []byte("l/n")

func placeKey(cause string) []byte { return append([]byte("l/s/"), cause...) }

// number gives a batch its place in the order of booking: 1, 2, 3...
func number(tx store.Tx, cause string) error {
	last, err := place(tx, lastKey)
	if err != nil {
		return err
	}
	next := binary.BigEndian.AppendUint64(nil, last+1)
	return errors.Join(tx.Put(placeKey(cause), next), tx.Put(lastKey, next))
}

// place reads a number; what is not there is 0.
func place(tx store.Tx, key []byte) (uint64, error) {
	v, err := tx.Get(key)
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	if err == nil && len(v) != 8 {
		err = fmt.Errorf("ledger: %q is %d bytes: the store is damaged", key, len(v))
	}
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(v), nil
}

// Places says for each cause the how-manieth batch of the book it was, counted from 1.
// A cause that was never booked, or was before places were kept, has place 0.
func (b *Book) Places(ctx context.Context, causes ...string) (out []uint64, err error) {
	err = b.kv.View(ctx, func(tx store.Tx) error {
		out = make([]uint64, len(causes))
		for i, c := range causes {
			if out[i], err = place(tx, placeKey(c)); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}
