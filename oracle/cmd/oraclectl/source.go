package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"heliograph/oracle/epoch"
	"heliograph/oracle/journal"
	"heliograph/oracle/settle"
	"heliograph/oracle/settle/solana"
	"heliograph/oracle/store"
	"heliograph/oracle/store/boltkv"
	"heliograph/oracle/store/segment"
	"heliograph/oracle/web"
	"heliograph/poc"

	"heliograph/oracle/audit"
)

// Limits of answers.
const (
	maxAnswer = 16 << 20
	maxBundle = 16 << 30
	timeout   = 30 * time.Second
)

func epochNumber(s string) (poc.Epoch, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("epoch %q is not a number", s)
	}
	return poc.Epoch(n), nil
}

// get asks the oracle's API.
func (c command) get(ctx context.Context, path string, within time.Duration) (io.ReadCloser, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(c.url, "/")+path, nil)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("--url %s: %w", c.url, err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("%w: is the oracle running? name its address with --url, or its directory with --data", err)
	}
	if resp.StatusCode != http.StatusOK {
		defer cancel()
		defer func() { _ = resp.Body.Close() }()
		var why struct{ Error string }
		b, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
		_ = json.Unmarshal(b, &why) // another server's answer is shown by its status only
		return nil, fmt.Errorf("%s answers %s: %s", req.URL, resp.Status, why.Error)
	}
	return body{resp.Body, cancel}, nil
}

type body struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (b body) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}

func (c command) getJSON(ctx context.Context, path string, v any) error {
	r, err := c.get(ctx, path, timeout)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	if err := json.NewDecoder(io.LimitReader(r, maxAnswer)).Decode(v); err != nil {
		return fmt.Errorf("%s%s: not an oracle's answer: %w", c.url, path, err)
	}
	return nil
}

// disk is a stopped oracle's data.
type disk struct {
	*epoch.Reader
	settler *settle.Settler
	log     store.Log
	kv      store.KV
}

func openDisk(ctx context.Context, dir string) (d *disk, err error) {
	if _, err := os.Stat(filepath.Join(dir, "journal")); err != nil {
		return nil, fmt.Errorf("--data %s holds no journal: %w", dir, err)
	}
	l, _, err := segment.Open(filepath.Join(dir, "journal"), segment.Config{})
	if errors.Is(err, store.ErrLocked) {
		return nil, fmt.Errorf("%w: the oracle is running; ask it with --url, or stop it", err)
	}
	if err != nil {
		return nil, err
	}
	kv, err := boltkv.Open(filepath.Join(dir, "state.db"), boltkv.Config{})
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	d = &disk{settler: settle.New(settle.Config{KV: kv}), log: l, kv: kv}
	j, err := journal.New(ctx, l)
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	d.Reader = &epoch.Reader{Journal: j, KV: kv}
	return d, nil
}

func (d *disk) Close() error { return errors.Join(d.kv.Close(), d.log.Close()) }

// seedMemo is the signature of an epoch's seed commitment, "" when unknown.
func (d *disk) seedMemo(ctx context.Context, e poc.Epoch) string {
	st, err := d.settler.Commitment(ctx, e)
	if err != nil {
		return ""
	}
	return st.Signature
}

// bundle finds the evidence of an epoch.
func (c command) bundle(ctx context.Context, e poc.Epoch) (epoch.Bundle, error) {
	switch {
	case c.file != "":
		f, err := openFile(c.file, fromOracle)
		if err != nil {
			return epoch.Bundle{}, err
		}
		defer func() { _ = f.Close() }()
		return readBundle(c.file, f)
	case c.data != "":
		d, err := openDisk(ctx, c.data)
		if err != nil {
			return epoch.Bundle{}, err
		}
		defer func() { _ = d.Close() }()
		rec, found, err := d.Record(ctx, e)
		if err != nil {
			return epoch.Bundle{}, err
		}
		if !found {
			return epoch.Bundle{}, fmt.Errorf("epoch %d is not judged in %s", e, c.data)
		}
		return web.BundleOf(ctx, web.Source{Evidence: d.Evidence, Settlement: d.settler.Epoch, SeedMemo: d.seedMemo}, rec)
	}
	r, err := c.get(ctx, fmt.Sprintf("/api/epochs/%d/bundle", e), time.Hour)
	if err != nil {
		return epoch.Bundle{}, err
	}
	defer func() { _ = r.Close() }()
	return epoch.ReadBundle(io.LimitReader(r, maxBundle))
}

// chain reads transactions through an RPC endpoint.
type chain struct{ *solana.Client }

// Transaction implements [audit.Chain].
func (c chain) Transaction(ctx context.Context, signature string) (audit.Transaction, error) {
	l, err := c.Client.Transaction(ctx, signature)
	if errors.Is(err, settle.ErrNotFinal) {
		genesis, gerr := c.Genesis(ctx)
		if gerr != nil {
			genesis = "that it does not tell"
		}
		return audit.Transaction{}, fmt.Errorf("%w: --rpc serves a cluster with genesis %s: name an endpoint of the right cluster that keeps history", err, genesis)
	}
	if err != nil {
		return audit.Transaction{}, fmt.Errorf("%w: check --rpc", err)
	}
	return audit.Transaction{Slot: l.Slot, Payer: l.Payer.String(), Memos: l.Memos, Failed: l.Failed}, nil
}
