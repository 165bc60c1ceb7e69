package epoch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"heliograph/oracle/journal"
	"heliograph/oracle/reward"
	"heliograph/oracle/store"
	"heliograph/poc"
	"heliograph/provisioning/identity"
)

// Reader reads what a [Manager] has stored: for the explorer, for auditors, and
// for tools that open a stopped oracle's data. Safe for concurrent use.
type Reader struct {
	Journal *journal.Journal
	KV      store.KV

	mu    sync.Mutex
	trees *cachedTree
}

func ignoreNotFound(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// Records lists the newest summaries, newest first.
func (m *Reader) Records(ctx context.Context, limit int) ([]Record, error) {
	return newest[Record](ctx, m.KV, recordPrefix, limit)
}

// Record is the summary of one epoch; false when it was not judged.
func (m *Reader) Record(ctx context.Context, e poc.Epoch) (Record, bool, error) {
	return m.record(ctx, e)
}

// Beacons lists the newest judged beacons, newest first.
func (m *Reader) Beacons(ctx context.Context, limit int) ([]Beacon, error) {
	return newest[Beacon](ctx, m.KV, beaconPrefix, limit)
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
func (m *Reader) Rows(ctx context.Context, e poc.Epoch) (out []reward.Row, err error) {
	err = m.KV.View(ctx, func(tx store.Tx) error {
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
func (m *Reader) Proof(ctx context.Context, rec Record, id identity.HotspotID) (Proof, bool, error) {
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

func (m *Reader) tree(ctx context.Context, rec Record) (*cachedTree, error) {
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
	root := tree.Root()
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
func (m *Reader) RevealedSecret(ctx context.Context, e poc.Epoch) (s poc.Secret, revealed bool, err error) {
	if _, judged, err := m.record(ctx, e); err != nil || !judged {
		return poc.Secret{}, false, err
	}
	revealed, err = m.storedSecret(ctx, e, &s)
	return s, revealed, err
}

// LastVerdicts are the verdicts on a hotspot's reports of the newest judged epoch.
func (m *Reader) LastVerdicts(ctx context.Context, id identity.HotspotID) (e poc.Epoch, out []poc.Verdict, err error) {
	recs, err := m.Records(ctx, 1)
	if err != nil || len(recs) == 0 {
		return 0, nil, err
	}
	e = recs[0].Epoch
	out, err = m.Verdicts(ctx, e, id)
	return e, out, err
}

// Verdicts are the verdicts on a hotspot's reports of an epoch, in the order in
// which the rules gave them.
func (m *Reader) Verdicts(ctx context.Context, e poc.Epoch, id identity.HotspotID) (out []poc.Verdict, err error) {
	err = m.KV.View(ctx, func(tx store.Tx) error {
		out = nil
		b, err := tx.Get(verdictKey(e, id))
		if err == nil {
			out = parseVerdicts(id, b)
		}
		return ignoreNotFound(err)
	})
	return out, err
}
