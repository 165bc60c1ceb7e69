package settle

import (
	"context"
	"encoding/binary"
	"errors"

	"heliograph/oracle/store"
	"heliograph/poc"
)

// refusedKey holds why nothing at all is settled until a person has changed something:
// another cluster, a mint that is not paid out, a key that does not fit.
var refusedKey = []byte("s/refused")

// Refuse records why settlement does not begin, and what to do, for who asks while
// the process is down or waits. The next one that begins takes it away.
func (s *Settler) Refuse(ctx context.Context, why string) error {
	return s.kv.Update(ctx, func(tx store.Tx) error { return tx.Put(refusedKey, []byte(why)) })
}

// Refusal is why settlement does not begin, "" when nothing is known against it.
func (s *Settler) Refusal(ctx context.Context) (why string, err error) {
	err = s.kv.View(ctx, func(tx store.Tx) error {
		text, err := tx.Get(refusedKey)
		why = string(text)
		if errors.Is(err, store.ErrNotFound) {
			why, err = "", nil
		}
		return err
	})
	return why, err
}

// accept takes a refusal away.
func (s *Settler) accept(ctx context.Context) error {
	why, err := s.Refusal(ctx)
	if err != nil || why == "" {
		return err
	}
	return s.kv.Update(ctx, func(tx store.Tx) error { return tx.Delete(refusedKey) })
}

// ErrList: a list that was to be frozen cannot be paid.
var ErrList = errors.New("settle: the list is refused")

func refusedListKey(e poc.Epoch) []byte {
	return binary.BigEndian.AppendUint32([]byte("s/x/"), uint32(e))
}

// judged leaves on record why a list was refused, and takes the record away when the
// epoch's list is the right one again. Errors that say nothing about the list pass.
func (s *Settler) judged(ctx context.Context, e poc.Epoch, err error) error {
	why := ""
	switch {
	case errors.Is(err, ErrConflict):
		why = err.Error() + ": what was frozen first is paid, and nothing else; find out who changed the list, with oraclectl audit on the published bundle"
	case errors.Is(err, ErrList):
		why = err.Error() + ": nothing of it is paid; restore the books from the backup, and let the epoch be judged again"
	case err != nil:
		return err
	}
	var old []byte
	verr := s.kv.View(ctx, func(tx store.Tx) (err error) {
		if old, err = tx.Get(refusedListKey(e)); errors.Is(err, store.ErrNotFound) {
			old, err = nil, nil
		}
		return err
	})
	if verr != nil || string(old) == why {
		return errors.Join(err, verr)
	}
	return errors.Join(err, s.kv.Update(ctx, func(tx store.Tx) error {
		if why == "" {
			return tx.Delete(refusedListKey(e))
		}
		return tx.Put(refusedListKey(e), []byte(why))
	}))
}

// RefusedLists says of which epochs a list was refused, and why.
func (s *Settler) RefusedLists(ctx context.Context) (out map[poc.Epoch]string, err error) {
	err = s.kv.View(ctx, func(tx store.Tx) error {
		out = map[poc.Epoch]string{}
		return tx.Scan([]byte("s/x/"), nil, func(k, v []byte) bool {
			if n := k[len("s/x/"):]; len(n) == 4 {
				out[poc.Epoch(binary.BigEndian.Uint32(n))] = string(v)
			}
			return true
		})
	})
	return out, err
}
