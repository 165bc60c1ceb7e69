package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"heliograph/oracle/audit"
	"heliograph/oracle/epoch"
	"heliograph/oracle/journal"
	"heliograph/oracle/ledger"
	"heliograph/oracle/settle"
	"heliograph/oracle/settle/solana"
	"heliograph/oracle/settle/solana/approve"
	"heliograph/oracle/settle/solana/signer"
	"heliograph/oracle/store"
	"heliograph/oracle/store/boltkv"
	"heliograph/oracle/store/segment"
	"heliograph/poc"
	"heliograph/provisioning/identity"
)

// rebuilt is what settle rebuild did and found.
type rebuilt struct {
	Epoch      poc.Epoch     `json:"epoch"`
	Known      bool          `json:"known"` // the plan was there already: nothing was changed
	Recipients int           `json:"recipients"`
	Total      ledger.Amount `json:"total"`
	Batches    uint32        `json:"batches"`
	Adopted    bool          `json:"adopted"`           // the journal's epoch got its secret and terms back
	Identity   string        `json:"identity"`          // hot key, mint and treasury of the plan
	Program    string        `json:"program,omitempty"` // wallets claim from a distributor of this program
	settle.Found
}

// watcher is a hot key that cannot sign: the markers are derived from its address.
type watcher solana.Address

// PublicKey implements [solana.Key].
func (w watcher) PublicKey() [32]byte { return w }

// Sign implements [solana.Key].
func (w watcher) Sign(context.Context, []byte, signer.Purpose) ([64]byte, error) {
	return [64]byte{}, errors.New("oraclectl holds no key: settle rebuild signs nothing")
}

// rebuild plans an epoch that the books lost.
func (c command) rebuild(ctx context.Context) error {
	if c.data == "" || c.rpc == "" || c.bundleAt == "" {
		return errors.New("settle rebuild needs --data, --rpc and --bundle: see oraclectl settle --help")
	}
	b, err := openBundle(ctx, c.bundleAt)
	if err != nil {
		return fmt.Errorf("--bundle: %w", err)
	}
	o := audit.Options{}
	if c.oracle != "" {
		if o.Oracle, err = identity.ParseText(c.oracle); err != nil {
			return fmt.Errorf("--oracle: %w", err)
		}
	}
	rep, err := audit.Run(ctx, b, o)
	if err != nil {
		return err
	}
	if !rep.OK {
		return errors.Join(errWrong, c.printReport(rep))
	}
	endpoints := strings.FieldsFunc(c.rpc, func(r rune) bool { return r == ',' || r == ' ' })
	cfg, err := c.paysWith(b)
	if err != nil {
		return err
	}
	g := approve.Grant{Epoch: b.Epoch, Hot: cfg.Hot.PublicKey(), Total: b.Claim.Payable, List: b.Claim.List}
	one := c
	one.rpc = endpoints[0]
	_, claims, err := one.committed(ctx, b, g)
	if err != nil {
		return err
	}
	claiming, err := c.claiming(ctx, b.Epoch, endpoints, &cfg, claims)
	if err != nil {
		return err
	}
	dialing, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	pool, client, err := solana.DialPool(dialing, solana.PoolConfig{Config: cfg, Endpoints: endpoints, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	if _, err := os.Stat(c.data); err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	kv, err := boltkv.Open(filepath.Join(c.data, "state.db"), boltkv.Config{})
	if errors.Is(err, store.ErrLocked) {
		return fmt.Errorf("%w: the oracle is running: stop it first", err)
	}
	if err != nil {
		return err
	}
	s := settle.New(settle.Config{KV: kv, Chain: pool, Signer: client, Claim: claiming, Log: slog.New(slog.DiscardHandler)})
	adopted, err := adopt(ctx, c.data, kv, b)
	var out rebuilt
	if err == nil {
		out, err = replan(ctx, kv, s, b)
	}
	out.Adopted = adopted
	if err = errors.Join(err, kv.Close()); err != nil {
		return err
	}
	if c.json {
		return c.print(out)
	}
	return c.printRebuilt(out)
}

// adopt gives the epoch in the journal its secret and terms back, for journals that
// do not keep them themselves; false: the journal is not there, or never had it.
func adopt(ctx context.Context, data string, kv store.KV, b epoch.Bundle) (done bool, err error) {
	dir := filepath.Join(data, "journal")
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	log, _, err := segment.Open(dir, segment.Config{})
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	j, err := journal.New(ctx, log)
	if err != nil {
		return false, err
	}
	if _, opened := j.Opening(b.Epoch); !opened {
		return false, nil
	}
	return true, (&epoch.Reader{Journal: j, KV: kv}).Adopt(ctx, b)
}

// paysWith is what payouts are made with: the flags, or what the bundle says. An oracle
// that is configured otherwise stalls the epoch and names both.
func (c command) paysWith(b epoch.Bundle) (cfg solana.Config, err error) {
	said := map[string]string{}
	if b.Payments != nil {
		for _, f := range strings.Fields(b.Payments.Identity) {
			k, v, _ := strings.Cut(f, "=")
			said[k] = v
		}
	}
	var hot solana.Address
	for _, f := range []struct {
		name, text string
		to         *solana.Address
	}{{"hot", c.hot, &hot}, {"mint", c.mint, &cfg.Mint}, {"treasury", c.treasury, &cfg.Treasury}} {
		if f.text == "" {
			f.text = said[f.name]
		}
		if f.text == "" {
			return cfg, fmt.Errorf("the bundle does not say which %s was used: name it with --%s", f.name, f.name)
		}
		if *f.to, err = solana.ParseAddress(f.text); err != nil {
			return cfg, fmt.Errorf("--%s: %w", f.name, err)
		}
	}
	cfg.Hot = watcher(hot)
	return cfg, nil
}

// replan books what the epoch earned and plans its batches, unless that is done.
func replan(ctx context.Context, kv store.KV, s *settle.Settler, b epoch.Bundle) (out rebuilt, err error) {
	if err := s.CheckCluster(ctx); err != nil {
		return out, err
	}
	_, err = s.Epoch(ctx, b.Epoch)
	switch {
	case err == nil:
		out.Known = true
	case !errors.Is(err, settle.ErrUnknown):
		return out, err
	}
	res, err := epoch.Compute(ctx, b.Evidence)
	if err != nil {
		return out, err
	}
	if !out.Known {
		if err := bookAgain(ctx, ledger.NewBook(kv), res); err != nil {
			return out, err
		}
	}
	l := settle.List{Epoch: b.Epoch, Rewards: res.Root, ListHash: res.List, Payouts: res.Owing.Payouts, Secret: b.Secret, Rules: res.Rules}
	// The commit memo on chain was found to name this payout root.
	if err := s.Rebuild(ctx, l, b.Claim.PayoutRoot); err != nil {
		return out, err
	}
	rec, err := s.Epoch(ctx, b.Epoch)
	if err != nil {
		return out, err
	}
	out.Epoch, out.Recipients, out.Total, out.Batches, out.Identity = b.Epoch, rec.Count, rec.Total, rec.Batches, rec.Identity
	if rec.Claims != nil {
		out.Program = rec.Claims.Program
		return out, nil // the oracle finds distributor and claims itself
	}
	out.Found, err = s.Find(ctx, b.Epoch)
	return out, err
}

// bookAgain posts what was earned, and checks that the list can be paid from it: a
// payout may contain sums of earlier epochs.
func bookAgain(ctx context.Context, book *ledger.Book, res epoch.Result) error {
	batches, err := res.Bookings()
	if err != nil {
		return err
	}
	if err := book.Post(ctx, batches...); err != nil {
		return err
	}
	for _, p := range res.Owing.Payouts {
		a, err := book.Balance(ctx, ledger.Owed(p.Wallet))
		if err != nil {
			return err
		}
		if a.Net() < p.Amount {
			return fmt.Errorf("epoch %d pays %d to wallet %s, the books owe it %d: the rest is from earlier epochs: rebuild those first",
				res.Epoch, p.Amount, solana.Address(p.Wallet), a.Net())
		}
	}
	return nil
}

func (c command) printRebuilt(r rebuilt) error {
	what := "is planned again"
	if r.Known {
		what = "was planned already, nothing was changed"
	}
	if !r.Adopted {
		what += " (the journal here does not have it: it will not be shown by the explorer)"
	}
	if r.Program != "" {
		_, err := fmt.Fprintf(c.out, "epoch %d %s: %d recipients, total %d, for wallets to claim from the program %s\n"+
			"  for %s\n"+
			"start the oracle with payout.program set: it finds the distributor and books what was claimed\n",
			r.Epoch, what, r.Recipients, r.Total, r.Program, r.Identity)
		return err
	}
	_, err := fmt.Fprintf(c.out, "epoch %d %s: %d recipients, total %d, %d batches\n"+
		"  found paid on chain: %d batches, %d\n"+
		"  not paid yet:        %d batches, %d\n"+
		"  for %s\n"+
		"start the oracle: it books what is paid and pays the rest\n",
		r.Epoch, what, r.Recipients, r.Total, r.Batches, r.PaidBatches, r.Paid, r.OpenBatches, r.Open, r.Identity)
	return err
}
