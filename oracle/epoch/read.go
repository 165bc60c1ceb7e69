package epoch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"heliograph/oracle/reward"
	"heliograph/oracle/store"
	"heliograph/poc"
	"heliograph/provisioning/identity"
)

func ignoreNotFound(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// Records lists the newest summaries, newest first.
func (m *Manager) Records(ctx context.Context, limit int) ([]Record, error) {
	return newest[Record](ctx, m.cfg.KV, recordPrefix, limit)
}

// Record is the summary of one epoch; false when it was not judged.
func (m *Manager) Record(ctx context.Context, e poc.Epoch) (Record, bool, error) {
	return m.record(ctx, e)
}

// Beacons lists the newest judged beacons, newest first.
func (m *Manager) Beacons(ctx context.Context, limit int) ([]Beacon, error) {
	return newest[Beacon](ctx, m.cfg.KV, beaconPrefix, limit)
}

// newest reads the first values under a prefix whose keys are inverted.
func newest[T any](ctx context.Context, kv store.KV, prefix string, limit int) (out []T, err error) {
	err = kv.View(ctx, func(tx store.Tx) error {
		out = nil
		var bad error
		if limit <= 0 {
			return nil
		}
		err := tx.Scan([]byte(prefix), nil, func(k, v []byte) bool {
			var rec T
			if bad = json.Unmarshal(v, &rec); bad != nil {
				bad = fmt.Errorf("epoch: stored value of %q is damaged: %w", k, bad)
				return false
			}
			out = append(out, rec)
			return len(out) < limit
		})
		return errors.Join(bad, err)
	})
	return out, err
}

// Rows are the reward rows of an epoch in the order of the tree's leaves, which
// is that of the hotspots' keys.
func (m *Manager) Rows(ctx context.Context, e poc.Epoch) (out []reward.Row, err error) {
	err = m.cfg.KV.View(ctx, func(tx store.Tx) error {
		out = nil
		var bad error
		err := tx.Scan(epochKey(rowPrefix, e), nil, func(k, v []byte) bool {
			var r reward.Row
			if r, bad = reward.ParseRow(v); bad != nil {
				bad = fmt.Errorf("epoch: stored row %q is damaged: %w", k, bad)
				return false
			}
			out = append(out, r)
			return true
		})
		return errors.Join(bad, err)
	})
	return out, err
}

// Proof shows that a hotspot's row is part of an epoch's root; false when the
// hotspot earned nothing.
func (m *Manager) Proof(ctx context.Context, rec Record, id identity.HotspotID) (Proof, bool, error) {
	t, err := m.tree(ctx, rec)
	if err != nil {
		return Proof{}, false, err
	}
	i, found := slices.BinarySearchFunc(t.rows, id, func(r reward.Row, id identity.HotspotID) int {
		return bytes.Compare(r.Hotspot[:], id[:])
	})
	if !found {
		return Proof{}, false, nil
	}
	p, err := t.tree.Prove(i)
	if err != nil {
		return Proof{}, false, err
	}
	return showProof(rec.Root, p), true, nil
}

// cachedTree is the tree of the epoch that was asked for last.
type cachedTree struct {
	root Hash
	rows []reward.Row
	tree *reward.Tree
}

func (m *Manager) tree(ctx context.Context, rec Record) (*cachedTree, error) {
	m.mu.Lock()
	t := m.trees
	m.mu.Unlock()
	if t != nil && t.root == rec.Root && rec.Rows > 0 {
		return t, nil
	}
	rows, err := m.Rows(ctx, rec.Epoch)
	if err != nil {
		return nil, err
	}
	tree, err := reward.NewTree(rows)
	if err != nil {
		return nil, err
	}
	root, err := tree.Root()
	if err != nil {
		return nil, err
	}
	if root != rec.Root {
		return nil, fmt.Errorf("epoch: the stored rows of epoch %d give root %v, the record says %v: the store is damaged", rec.Epoch, Hash(root), rec.Root)
	}
	t = &cachedTree{root: rec.Root, rows: rows, tree: tree}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.trees = t
	return t, nil
}

// RevealedSecret is the secret of an epoch that was judged: from then on it is
// public.
func (m *Manager) RevealedSecret(ctx context.Context, e poc.Epoch) (s poc.Secret, revealed bool, err error) {
	if _, judged, err := m.record(ctx, e); err != nil || !judged {
		return poc.Secret{}, false, err
	}
	revealed, err = m.storedSecret(ctx, e, &s)
	return s, revealed, err
}
