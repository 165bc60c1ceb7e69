package epoch

import (
	"context"
	"errors"
	"fmt"
	"io"

	"heliograph/oracle/store"
	"heliograph/poc"
)

// secret returns the epoch's secret and draws it first if there is none. It is
// in the journal and in the state database before anybody sees its hash.
func (m *Manager) secret(ctx context.Context, e poc.Epoch) (s poc.Secret, err error) {
	found, err := m.storedSecret(ctx, e, &s)
	if err != nil || found {
		return s, err
	}
	if _, opened := m.cfg.Journal.Opening(e); opened {
		return s, fmt.Errorf("epoch: epoch %d was opened with a secret that neither the state database nor the journal has: restore state.db from the backup, or its secret from the epoch's bundle (oraclectl settle rebuild)", e)
	}
	var fresh poc.Secret
	if _, err := io.ReadFull(m.cfg.Rand, fresh[:]); err != nil {
		return s, fmt.Errorf("epoch: draw a secret: %w", err)
	}
	hidden := Hash(fresh)
	if err := m.keep(ctx, e, kept{Secret: &hidden}); err != nil {
		return s, err
	}
	err = m.cfg.KV.Update(ctx, func(tx store.Tx) error {
		old, err := tx.Get(epochKey(secretPrefix, e))
		switch {
		case err == nil:
			s = poc.Secret(old)
			return nil
		case !errors.Is(err, store.ErrNotFound):
			return err
		}
		s = fresh
		return tx.Put(epochKey(secretPrefix, e), fresh[:])
	})
	if err != nil {
		return poc.Secret{}, fmt.Errorf("epoch: store the secret of epoch %d: %w", e, err)
	}
	return s, nil
}

func (m *Reader) storedSecret(ctx context.Context, e poc.Epoch, s *poc.Secret) (found bool, err error) {
	err = m.KV.View(ctx, func(tx store.Tx) error {
		b, err := tx.Get(epochKey(secretPrefix, e))
		if errors.Is(err, store.ErrNotFound) {
			found = false
			return nil
		}
		if err != nil {
			return err
		}
		if len(b) != len(s) {
			return fmt.Errorf("secret of %d bytes: the store is damaged", len(b))
		}
		copy(s[:], b)
		found = true
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("epoch: read the secret of epoch %d: %w", e, err)
	}
	return found, nil
}
