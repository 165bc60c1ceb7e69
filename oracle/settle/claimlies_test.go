package settle

import (
	"context"
	"strings"
	"testing"

	"heliograph/oracle/ledger"
	"heliograph/poc"
)

// claimLiar changes some answers about claims.
type claimLiar struct {
	*cluster
	lies int
	lie  func(w []poc.Wallet, out []ledger.Amount)
}

func (l *claimLiar) Claims(ctx context.Context, d Distribution, w []poc.Wallet) ([]ledger.Amount, error) {
	out, err := l.cluster.Claims(ctx, d, w)
	if err == nil && l.lies > 0 {
		l.lies--
		l.lie(w, out)
	}
	return out, err
}

// TestForgedClaims: a single endpoint shows claims that nobody made, others than were
// made, or hides some. Nothing of it is booked, the epoch says so, and when the endpoint
// is honest again it ends as it should.
func TestForgedClaims(t *testing.T) {
	due := map[poc.Wallet]ledger.Amount{}
	for name, tt := range map[string]struct {
		says string
		lie  func(w []poc.Wallet, out []ledger.Amount)
	}{
		"all have claimed": {"solana.rpc", func(w []poc.Wallet, out []ledger.Amount) {
			for i := range out {
				out[i] = due[w[i]]
			}
		}},
		"one more": {"solana.rpc", func(w []poc.Wallet, out []ledger.Amount) {
			for i := range out {
				if out[i] == 0 {
					out[i] = due[w[i]]
					return
				}
			}
		}},
		"another amount": {"payout.program", func(w []poc.Wallet, out []ledger.Amount) {
			for i := range out {
				if out[i] != 0 {
					out[i]++
				}
			}
		}},
		"none": {"solana.rpc", func(_ []poc.Wallet, out []ledger.Amount) { clear(out) }},
	} {
		b := newClaimBench(t, 14, 60)
		for _, p := range b.list {
			due[p.Wallet] = p.Amount
		}
		tokens := b.chain.tokens
		l := &claimLiar{b.chain, 1 << 30, tt.lie}
		b.s.chain = l
		if err := b.rounds(300, Claimable); err != nil {
			t.Fatal(err)
		}
		_ = b.rounds(60, Closed)
		rec, err := b.s.Epoch(t.Context(), 1)
		if err != nil || rec.Paid != 0 || !strings.Contains(rec.Stalled+rec.Refused, tt.says) {
			t.Errorf("%s: paid %d, stalled %q, refused %q, %v", name, rec.Paid, rec.Stalled, rec.Refused, err)
		}
		l.lies = 0
		b.late()
		if err := b.rounds(800, Closed); err != nil {
			t.Fatal(name, err)
		}
		b.ended(tokens)
		if rec, _ = b.s.Epoch(t.Context(), 1); rec.Stalled != "" || rec.Refused != "" {
			t.Errorf("%s, at the end: stalled %q, refused %q", name, rec.Stalled, rec.Refused)
		}
	}
}

// TestOneForgedAnswer: one answer is forged, the others are honest.
func TestOneForgedAnswer(t *testing.T) {
	b := newClaimBench(t, 14, 60)
	tokens := b.chain.tokens
	due := map[poc.Wallet]ledger.Amount{}
	for _, p := range b.list {
		due[p.Wallet] = p.Amount
	}
	b.s.chain = &claimLiar{b.chain, 1, func(w []poc.Wallet, out []ledger.Amount) {
		for i := range out {
			out[i] = due[w[i]]
		}
	}}
	if err := b.rounds(300, Claimable); err != nil {
		t.Fatal(err)
	}
	_ = b.rounds(60, Closed)
	b.late()
	if err := b.rounds(800, Closed); err != nil {
		t.Fatal(err)
	}
	b.ended(tokens)
}
