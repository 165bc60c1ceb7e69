package signer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"heliograph/oracle/ledger"
	"heliograph/oracle/reward"
	"heliograph/oracle/store"
	"heliograph/poc"
)

// Approval is what an operator writes for one epoch, into the file <epoch>.json of
// the directory of approvals. `oraclectl settle approve` prints it, after it has
// recomputed the epoch.
type Approval struct {
	Epoch poc.Epoch     `json:"epoch"`
	Total ledger.Amount `json:"total"`
	List  string        `json:"list"` // SHA-256 of the list, hexadecimal
}

// Register opens an epoch with its published list. The same list again changes
// nothing; another one is refused for ever.
func (s *Signer) Register(ctx context.Context, e poc.Epoch, text []byte) error {
	list, total, err := reward.ParseList(text)
	if err != nil {
		return refuse("the list of epoch %d: %v", e, err)
	}
	st := epochState{List: sha256.Sum256(text), Total: total, Count: len(list)}
	known, err := s.Registered(ctx, e, st.List)
	if err != nil || known {
		return err
	}
	if total > s.cfg.Policy.MaxEpoch {
		return refuse("the list of epoch %d comes to %d, at most %d (max_epoch)", e, total, s.cfg.Policy.MaxEpoch)
	}
	if err := s.approved(e, st); err != nil {
		return err
	}
	// The file first: an epoch that is open has its list.
	if err := writeFile(s.listFile(e), text); err != nil {
		return err
	}
	err = s.cfg.KV.Update(ctx, func(tx store.Tx) error {
		if _, err := registered(tx, e); err == nil {
			return errors.New("signer: the epoch is being registered twice at once")
		}
		return put(tx, epochKey(e), st)
	})
	if err == nil {
		s.remember(e, list)
		s.cfg.Log.Info("epoch is open", "epoch", e, "recipients", st.Count, "total", st.Total)
	}
	return err
}

// Registered says whether an epoch is open with this list; one that is open with
// another is a refusal.
func (s *Signer) Registered(ctx context.Context, e poc.Epoch, list [32]byte) (known bool, err error) {
	err = s.cfg.KV.View(ctx, func(tx store.Tx) error {
		var st epochState
		known, err = get(tx, epochKey(e), &st)
		if err == nil && known && st.List != list {
			return refuse("epoch %d is open with another list: hash %x, total %d", e, st.List, st.Total)
		}
		return err
	})
	return known, err
}

// approved looks for the operator's approval, where one is wanted.
func (s *Signer) approved(e poc.Epoch, st epochState) error {
	if s.cfg.Approvals == "" {
		return nil
	}
	path := filepath.Join(s.cfg.Approvals, fmt.Sprintf("%d.json", e))
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return refuse("epoch %d is not approved: recompute it with `oraclectl settle approve --epoch %d` and put the approval into %s", e, e, path)
	}
	if err != nil {
		return fmt.Errorf("signer: approval: %w", err)
	}
	var a Approval
	if err := json.Unmarshal(text, &a); err != nil {
		return refuse("the approval %s cannot be read: %v", path, err)
	}
	if a.Epoch != e || a.Total != st.Total || a.List != hex.EncodeToString(st.List[:]) {
		return refuse("the approval %s is for epoch %d, total %d, list %.64s; asked for is total %d, list %x", path, a.Epoch, a.Total, a.List, st.Total, st.List)
	}
	return nil
}

// writeFile puts a whole file under its name, durably.
func writeFile(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".list-*")
	if err != nil {
		return fmt.Errorf("signer: store the list: %w", err)
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.Write(content)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("signer: store the list: %w", err)
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
