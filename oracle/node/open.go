package node

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/mr-tron/base58"

	"heliograph/oracle/journal"
	"heliograph/oracle/store"
	"heliograph/oracle/store/boltkv"
	"heliograph/oracle/store/segment"
	"heliograph/poc"
	"heliograph/provisioning/identity"
)

// Names inside the data directory.
const (
	journalDir = "journal"
	stateFile  = "state.db"
)

// prepareData makes the data directory, or checks that nobody else can look into
// it: it holds the secrets of epochs to come.
func prepareData(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the data directory: %w: create it for the user that runs oracled, or choose another with --data", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("data directory %s is not a directory: choose another with --data", dir)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("data directory %s can be read by others (mode %04o), and it holds secrets: run chmod 700 %s", dir, info.Mode().Perm(), dir)
	}
	return nil
}

// loadKey reads the oracle's key. A new oracle, one without a journal, makes it.
func loadKey(c Config, log *slog.Logger) (identity.Signer, error) {
	k, err := identity.LoadFile(c.Key)
	if errors.Is(err, fs.ErrNotExist) {
		if _, jerr := os.Stat(filepath.Join(c.Data, journalDir)); jerr == nil {
			return nil, fmt.Errorf("key file %s does not exist, but %s holds a journal: hotspots know this oracle by its key; restore the file from the backup", c.Key, c.Data)
		}
		if k, err = identity.CreateFile(c.Key, identity.Ed25519, rand.Reader); err == nil {
			log.Info("made a new oracle key", "file", c.Key, "oracle", k.ID().String())
		}
	}
	if err != nil {
		return nil, fmt.Errorf("oracle key: %w", err)
	}
	if k.ID().Type() != identity.Ed25519 {
		return nil, fmt.Errorf("oracle key %s is of type %v: an oracle needs an ed25519 key; make one with provision key, or name another file with --key", c.Key, k.ID().Type())
	}
	return k, nil
}

// openStores opens journal log and state.
func openStores(c Config, log *slog.Logger) (store.Log, store.KV, error) {
	l, rep, err := segment.Open(filepath.Join(c.Data, journalDir), segment.Config{MinFree: uint64(c.MinFree), Logger: log})
	if err != nil {
		return nil, nil, explainStore(c, err)
	}
	log.Info("journal opened", "report", fmt.Sprintf("%+v", rep))
	// The books get the last half of the reserve: they can still be closed when
	// reports are refused already.
	kv, err := boltkv.Open(filepath.Join(c.Data, stateFile), boltkv.Config{MinFree: uint64(c.MinFree) / 2})
	if err != nil {
		return nil, nil, errors.Join(explainStore(c, err), l.Close())
	}
	return l, kv, nil
}

func explainStore(c Config, err error) error {
	switch {
	case errors.Is(err, store.ErrLocked):
		return fmt.Errorf("%w: another oracled runs on %s; stop it, or choose another directory with --data", err, c.Data)
	case errors.Is(err, journal.ErrEntry), errors.Is(err, poc.ErrMalformed):
		return fmt.Errorf("%w: the journal holds what this release cannot read; nothing was changed: use the release that wrote it, or restore %s from the backup", err, c.Data)
	case errors.Is(err, store.ErrDamaged):
		return fmt.Errorf("%w: stored data is damaged; nothing was changed: check the disk, then restore %s from the backup", err, c.Data)
	}
	return err
}

// maxAllow bounds the list of hotspots that may register.
const maxAllow = 4 << 20

// loadAllow reads the keys that may register.
func loadAllow(path string) (map[identity.HotspotID]bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("register.allow: %w", err)
	}
	defer func() { _ = f.Close() }()
	out := make(map[identity.HotspotID]bool)
	s := bufio.NewScanner(f)
	for n := 1; s.Scan(); n++ {
		text, _, _ := strings.Cut(s.Text(), "#")
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		id, err := identity.ParseText(text)
		if err != nil {
			return nil, fmt.Errorf("register.allow: %s line %d: %w", path, n, err)
		}
		if out[id] = true; len(out) > maxAllow {
			return nil, fmt.Errorf("register.allow: %s has more than %d keys: use register.mode = \"open\"", path, maxAllow)
		}
	}
	return out, s.Err()
}

func parseWallet(s string) (w poc.Wallet, err error) {
	b, err := base58.Decode(s)
	if err != nil || len(b) != len(w) {
		return w, fmt.Errorf("%q is not a Solana address", s)
	}
	return poc.Wallet(b), nil
}

// alive says whether the state can be read.
func alive(ctx context.Context, kv store.KV) error {
	return kv.View(ctx, func(store.Tx) error { return nil })
}
