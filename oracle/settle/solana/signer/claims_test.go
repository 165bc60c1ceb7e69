package signer

import (
	"errors"
	"strings"
	"testing"

	"github.com/gagliardetto/solana-go"

	"heliograph/oracle/ledger"
	"heliograph/oracle/reward"
	"heliograph/oracle/settle"
	"heliograph/oracle/settle/solana/distributor"
)

const programAddress = "mERKcfxMC5SqJn4Ld4BUris3WKZZ1ojjWJ3A3J5CKxv"

// claimWorld is a world whose policy names a distributor program, and the terms that
// it must sign.
func claimWorld(t *testing.T) (*world, distributor.Program, distributor.Terms) {
	t.Helper()
	p, err := distributor.ParseProgram(programAddress)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	w.claims = true
	w.cfg.Policy.Distributor = p.ID()
	w.start()
	_, total, err := reward.ParseList(w.text)
	if err != nil {
		t.Fatal(err)
	}
	now := w.now.Unix()
	return w, p, distributor.Terms{Mint: w.mint, Version: 5, Root: w.roots().Payouts, Total: total, Count: 40,
		Start: now + 600, End: now + 24*3600, Clawback: now + 48*3600, Receiver: w.from, Admin: w.hot}
}

// distribute asks for a distributor; sum is what its vault gets.
func (w *world) distribute(p distributor.Program, t distributor.Terms, sum ledger.Amount, m settle.Marker) error {
	w.t.Helper()
	create, err := p.New(t)
	if err != nil {
		w.t.Fatal(err)
	}
	vault := create.Accounts()[3].PublicKey
	payout, _ := w.payout(m)
	ixs := append(payout[:5:5], create, w.pay(uint64(sum), vault))
	_, err = w.s.Sign(w.t.Context(), w.message(w.hot, ixs...), Purpose{Kind: Distribute, Markers: []settle.Marker{m}})
	return err
}

func TestDistribute(t *testing.T) {
	guard := settle.Marker{Epoch: epoch}
	w, p, terms := claimWorld(t)
	w.wantRefused("before the list", w.distribute(p, terms, terms.Total, guard), "not registered")
	if err := w.s.Register(t.Context(), epoch, w.text); err != nil {
		t.Fatal(err)
	}
	w.wantRefused("before the commit memo", w.distribute(p, terms, terms.Total, guard), "no commit memo")
	w.open()
	for name, bad := range map[string]struct {
		change func(*distributor.Terms)
		reason string
	}{
		"another root":     {func(t *distributor.Terms) { t.Root[0] ^= 1 }, "root"},
		"another count":    {func(t *distributor.Terms) { t.Count++ }, "wallets"},
		"more":             {func(t *distributor.Terms) { t.Total++ }, "total"},
		"less":             {func(t *distributor.Terms) { t.Total-- }, "total"},
		"another mint":     {func(t *distributor.Terms) { t.Mint[0] ^= 1 }, "accounts"},
		"another receiver": {func(t *distributor.Terms) { t.Receiver[0] ^= 1 }, "accounts"},
		"begins in a year": {func(t *distributor.Terms) { t.Start += 365 * 24 * 3600 }, "begins"},
		"ends at once":     {func(t *distributor.Terms) { t.End = t.Start }, "begins"},
		"too short":        {func(t *distributor.Terms) { t.End, t.Clawback = t.Start+1, t.Start+1+24*3600 }, "could claim for"},
		"for ever":         {func(t *distributor.Terms) { t.Clawback += 10 * 365 * 24 * 3600 }, "could claim for"},
		"overflow":         {func(t *distributor.Terms) { t.Clawback = 1<<63 - 1 }, "could claim for"},
	} {
		other := terms
		bad.change(&other)
		w.wantRefused(name, w.distribute(p, other, other.Total, guard), bad.reason)
	}
	w.wantRefused("vault gets less", w.distribute(p, terms, terms.Total-1, guard), "transfer")
	w.wantRefused("another batch", w.distribute(p, terms, terms.Total, settle.Marker{Epoch: epoch, Batch: 1}), "batch 0")
	for version := range uint64(3) { // the marker lets one of them through
		terms.Version = version
		if err := w.distribute(p, terms, terms.Total, guard); err != nil {
			t.Fatal(err)
		}
	}
	w.start() // what was signed is on disk
	ixs, purpose := w.payout(settle.Marker{Epoch: epoch, Batch: 1}, 0)
	_, err := w.s.Sign(t.Context(), w.message(w.hot, ixs...), purpose)
	w.wantRefused("a payout besides", err, "whose payouts wallets claim")
	w.wantRefused("the other mode", w.memo(strings.TrimSuffix(w.commitText(), settle.ClaimMode)), "another commit memo")

	paid, p, terms := claimWorld(t)
	paid.claims = false
	paid.open()
	paid.wantRefused("an epoch that is sent", paid.distribute(p, terms, terms.Total, guard), "whose payouts are sent")
	ixs, purpose = paid.payout(settle.Marker{Epoch: epoch, Batch: 1}, 0)
	if _, err := paid.s.Sign(t.Context(), paid.message(paid.hot, ixs...), purpose); err != nil {
		t.Fatal(err)
	}

	none, p, terms := claimWorld(t)
	none.cfg.Policy.Distributor = [32]byte{}
	none.start()
	none.open()
	none.wantRefused("no program", none.distribute(p, terms, terms.Total, guard), "is not allowed")
	none.cfg.Policy.Distributor = [32]byte{9}
	none.start()
	none.wantRefused("another program", none.distribute(p, terms, terms.Total, guard), "is not allowed")
}

func TestTakeBack(t *testing.T) {
	w, p, terms := claimWorld(t)
	w.open()
	m := settle.Marker{Epoch: epoch}
	if err := w.distribute(p, terms, terms.Total, m); err != nil {
		t.Fatal(err)
	}
	ask := func(version uint64, to, by solana.PublicKey, more ...solana.Instruction) error {
		t.Helper()
		ix, err := p.Clawback(w.mint, version, to, by)
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.s.Sign(t.Context(), w.message(w.hot, append(more, ix)...), Purpose{Kind: TakeBack, Markers: []settle.Marker{m}})
		return err
	}
	if err := ask(terms.Version, w.from, w.hot); err != nil {
		t.Fatal(err)
	}
	w.wantRefused("to somebody else", ask(terms.Version, solana.PublicKey{7}, w.hot), "accounts")
	w.wantRefused("with a memo", ask(terms.Version, w.from, w.hot, memoIx("x")), "nothing else")
	create, err := p.New(terms)
	if err != nil {
		t.Fatal(err)
	}
	for kind, reason := range map[Kind]string{TakeBack: "does not take back", Memo: "stands alone", Reclaim: "besides", Payout: "besides"} {
		_, err := w.s.Sign(t.Context(), w.message(w.hot, create), Purpose{Kind: kind, Markers: []settle.Marker{m}})
		var r *Refusal
		if !errors.As(err, &r) || !strings.Contains(r.Reason, reason) {
			t.Errorf("%v of a call of the program: %v, want %q", kind, err, reason)
		}
	}
}

// TestTakeBackAfterLoss: the signer's state was lost after the distributor was made. It
// gives back all the same, to the treasury and to nobody else.
func TestTakeBackAfterLoss(t *testing.T) {
	w, p, terms := claimWorld(t)
	ask := func(to solana.PublicKey) error {
		t.Helper()
		ix, err := p.Clawback(w.mint, terms.Version, to, w.hot)
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.s.Sign(t.Context(), w.message(w.hot, ix), Purpose{Kind: TakeBack, Markers: []settle.Marker{{Epoch: epoch}}})
		return err
	}
	w.wantRefused("before the list", ask(w.from), "not registered")
	if err := w.s.Register(t.Context(), epoch, w.text); err != nil {
		t.Fatal(err)
	}
	if err := ask(w.from); err != nil {
		t.Fatal(err)
	}
	w.wantRefused("to somebody else", ask(solana.PublicKey{7}), "accounts")
}
