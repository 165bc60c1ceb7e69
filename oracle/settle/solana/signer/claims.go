package signer

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"heliograph/oracle/ledger"
	"heliograph/oracle/store"
	"heliograph/poc"
)

// Bounds of a distributor's times, from the signer's clock, which may differ from the
// cluster's by an hour.
const (
	latestStart   = 2 * time.Hour
	shortestClaim = 36 * time.Hour
	longestClaim  = 400 * 24 * time.Hour
	claimDay      = 24 * 3600 // from a distributor's end to its clawback, s
)

// distribution is what the program's instruction new_distributor says: version u64,
// root, total u64, count u64, start i64, end i64, clawback i64, little-endian, behind
// the first eight bytes of SHA-256("global:new_distributor").
type distribution struct {
	at, vault            account
	root                 [32]byte
	total, count         uint64
	start, end, clawback int64
}

// anchor begins an instruction of a program that follows the Anchor conventions.
func anchor(name string) string {
	h := sha256.Sum256([]byte("global:" + name))
	return string(h[:8])
}

// distribution holds a message that makes a distributor against its purpose: one
// marker, batch 0 of the epoch; one distributor of this mint that gives back to the
// treasury; one transfer from the treasury to its vault, of the total.
func (p Policy) distribution(hot account, e effects, c Purpose) (d distribution, err error) {
	if len(e.memos)+len(e.closed) > 0 || len(e.calls) != 1 || len(e.transfers) != 1 {
		return d, refuse("the making of a distributor is one call of its program and one transfer")
	}
	if len(c.Markers) != 1 || c.Markers[0].Batch != 0 || len(e.allocated) != 1 || len(e.funded) != 1 || len(e.opened) != 1 {
		return d, refuse("a distributor takes the marker of batch 0: it is funded %d, allocated %d and opened %d times", len(e.funded), len(e.allocated), len(e.opened))
	}
	if at := p.markerOf(hot, c.Markers[0]); e.allocated[0] != c.Markers[0] || e.funded[0] != at || e.opened[0] != at {
		return d, refuse("the marker is not that of batch %d/0", c.Markers[0].Epoch)
	}
	ix := e.calls[0]
	if len(ix.data) != 88 || string(ix.data[:8]) != anchor("new_distributor") {
		return d, refuse("the call of the distributor program does not make a distributor")
	}
	if d.at, d.vault, err = p.distributorOf(ix.data[8:16]); err != nil {
		return d, refuse("%v", err)
	}
	want := []account{d.at, p.Treasury, p.Mint, d.vault, hot, systemProgram, ataProgram, splToken}
	if !slices.Equal(ix.accounts, want) {
		return d, refuse("the distributor's accounts are %v, want %v", ix.accounts, want)
	}
	u64 := func(at int) uint64 { return binary.LittleEndian.Uint64(ix.data[at:]) }
	d.root, d.total, d.count = [32]byte(ix.data[16:48]), u64(48), u64(56)
	d.start, d.end, d.clawback = int64(u64(64)), int64(u64(72)), int64(u64(80))
	if t := e.transfers[0]; t.source != p.Treasury || t.destination != d.vault || t.amount != d.total {
		return d, refuse("the transfer is %d from %s to %s, not the distributor's total of %d from the treasury to its vault", t.amount, t.source, t.destination, d.total)
	}
	return d, nil
}

// distributorOf derives a distributor and its vault from a version.
func (p Policy) distributorOf(version []byte) (at, vault account, err error) {
	for bump := 255; bump >= 0; bump-- {
		h := sha256.New()
		for _, part := range [][]byte{[]byte("MerkleDistributor"), p.Mint[:], version, {byte(bump)}, p.Distributor[:], derivedAddress} {
			h.Write(part)
		}
		if at = account(h.Sum(nil)); !onCurve(at) {
			vault, err = p.tokenAccountOf(poc.Wallet(at))
			return at, vault, err
		}
	}
	return at, vault, errors.New("the version has no distributor")
}

// times refuses a distributor that nobody could claim from, or that keeps the tokens.
func (d distribution) times(now time.Time) error {
	at := now.Unix()
	switch open := time.Duration(min(max(d.clawback-at, 0), 1<<32)) * time.Second; {
	case d.start > at+int64(latestStart.Seconds()) || d.end <= d.start || d.clawback-claimDay < d.end:
		return refuse("the distributor begins at %d, ends at %d and gives back at %d, now is %d", d.start, d.end, d.clawback, at)
	case open < shortestClaim || open > longestClaim:
		return refuse("wallets could claim for %v: at least %v, at most %v", open, shortestClaim, longestClaim)
	}
	return nil
}

// allowDistribute books the whole total of an epoch as signed in batch 0: of that and
// of every distributor signed for the epoch the marker lets one through.
func (s *Signer) allowDistribute(ctx context.Context, e effects, c Purpose, now time.Time) error {
	d, err := s.cfg.Policy.distribution(s.hot, e, c)
	if err != nil {
		return err
	}
	if err := d.times(now); err != nil {
		return err
	}
	m := c.Markers[0]
	root, err := s.root(ctx, m.Epoch)
	if err != nil {
		return err
	}
	return s.cfg.KV.Update(ctx, func(tx store.Tx) error {
		st, err := registered(tx, m.Epoch)
		if err != nil {
			return err
		}
		if d.root != root || d.total != uint64(st.Total) || d.count != uint64(st.Count) {
			return refuse("the distributor is for root %x, total %d, %d wallets; the list of epoch %d has root %x, total %d, %d wallets", d.root, d.total, d.count, m.Epoch, root, st.Total, st.Count)
		}
		return s.book(tx, payment{marker: m}, nil, booking{sum: ledger.Amount(d.total), at: now.Unix(), claims: true})
	})
}

// allowTakeBack lets a distributor return what is left, to the treasury. Whoever made
// it, the treasury cannot lose by that; and one that was made before this signer's state
// was lost must give back, too.
func (s *Signer) allowTakeBack(ctx context.Context, e effects, c Purpose) error {
	p := s.cfg.Policy
	if len(e.memos)+len(e.closed)+len(e.funded)+len(e.allocated)+len(e.opened)+len(e.transfers) > 0 || len(e.calls) != 1 || len(c.Markers) != 1 {
		return refuse("taking back is one call of the distributor program, and nothing else")
	}
	ix := e.calls[0]
	if string(ix.data) != anchor("clawback") || len(ix.accounts) != 6 {
		return refuse("the call of the distributor program does not take back")
	}
	vault, err := p.tokenAccountOf(poc.Wallet(ix.accounts[0]))
	if err != nil {
		return refuse("%v", err)
	}
	want := []account{ix.accounts[0], vault, p.Treasury, s.hot, systemProgram, splToken}
	if !slices.Equal(ix.accounts, want) {
		return refuse("the accounts are %v, want %v", ix.accounts, want)
	}
	return s.cfg.KV.View(ctx, func(tx store.Tx) error {
		_, err := registered(tx, c.Markers[0].Epoch)
		return err
	})
}
