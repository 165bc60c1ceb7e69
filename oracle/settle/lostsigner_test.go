package settle

import (
	"context"
	"strings"
	"testing"

	"heliograph/oracle/reward"
	"heliograph/poc"
)

// forgetful is a signer whose state can be lost: as the real one it wants list and
// commit memo before it signs.
type forgetful struct {
	claimSigner
	open, committed map[poc.Epoch]bool
	memos           *int
}

func (b *bench) forgetful() forgetful {
	return forgetful{claimSigner{signer{id: "hot", n: &b.n}, "program"}, map[poc.Epoch]bool{}, map[poc.Epoch]bool{}, new(int)}
}

func (f forgetful) lose() { clear(f.open); clear(f.committed) }

func (f forgetful) refusal(e poc.Epoch, paying bool) error {
	switch {
	case !f.open[e]:
		return &NoSignature{Why: "epoch is not open: its list was not registered", Refused: true}
	case paying && !f.committed[e]:
		return &NoSignature{Why: "epoch has no commit memo yet", Refused: true}
	}
	return nil
}

func (f forgetful) Register(_ context.Context, l List) error { f.open[l.Epoch] = true; return nil }

func (f forgetful) Memo(ctx context.Context, text string, h Blockhash) (Tx, error) {
	if strings.HasPrefix(text, "hsr1 e=1 ") {
		if err := f.refusal(1, false); err != nil {
			return Tx{}, err
		}
		f.committed[1] = true
		*f.memos++
	}
	return f.claimSigner.Memo(ctx, text, h)
}

func (f forgetful) Payout(ctx context.Context, m Marker, to []reward.Payout, h Blockhash, n int) (Tx, error) {
	if err := f.refusal(m.Epoch, true); err != nil {
		return Tx{}, err
	}
	return f.claimSigner.Payout(ctx, m, to, h, n)
}

func (f forgetful) Distribute(ctx context.Context, m Marker, d Distribution, h Blockhash, n int) (Tx, error) {
	if err := f.refusal(m.Epoch, true); err != nil {
		return Tx{}, err
	}
	return f.claimSigner.Distribute(ctx, m, d, h, n)
}

func (f forgetful) TakeBack(ctx context.Context, m Marker, d Distribution, h Blockhash) (Tx, error) {
	if err := f.refusal(m.Epoch, false); err != nil {
		return Tx{}, err
	}
	return f.claimSigner.TakeBack(ctx, m, d, h)
}

// TestSignerLostWhilePaying: the signer loses its state when the commit memo is final,
// while the oracle runs or while it stands still, or between two batches. It gets list
// and memo again, and that memo is not sent.
func TestSignerLostWhilePaying(t *testing.T) {
	for name, lose := range map[string]func(b *bench, f forgetful){
		"both start anew":      func(b *bench, f forgetful) { f.lose(); b.restart(b.kv); b.s.signer = f },
		"the signer alone":     func(b *bench, f forgetful) { f.lose() },
		"the oracle alone":     func(b *bench, f forgetful) { b.restart(b.kv); b.s.signer = f },
		"the commit memo only": func(b *bench, f forgetful) { clear(f.committed) },
	} {
		b := newBench(t, 21)
		f := b.forgetful()
		b.s.signer = f
		b.freeze(1, payouts(9))
		for range 300 {
			if rec, _ := b.s.epochOf(t.Context(), 1); rec.State == Committed {
				break
			}
			_ = b.s.Step(t.Context())
			b.chain.advance(5)
		}
		sent := len(b.chain.memos)
		lose(b, f)
		if err := b.run(1000); err != nil {
			rec, _ := b.s.epochOf(t.Context(), 1)
			t.Fatal(name, err, rec.Stalled)
		}
		b.check(sums(payouts(9)))
		if n := len(b.chain.memos); n != sent+1 {
			t.Errorf("%s: %d memos besides the close memo: %q", name, n-sent-1, b.chain.memos)
		}
		if *f.memos > 4 {
			t.Errorf("%s: the commit memo was signed %d times", name, *f.memos)
		}
	}
}

// TestSignerLostWhileClaiming: the signer loses its state while wallets claim. What they
// leave comes back all the same.
func TestSignerLostWhileClaiming(t *testing.T) {
	for _, restart := range []bool{true, false} {
		b := newClaimBench(t, 15, 60)
		f := b.forgetful()
		b.s.signer = f
		tokens := b.chain.tokens
		if err := b.rounds(300, Claimable); err != nil {
			t.Fatal(err)
		}
		f.lose()
		if restart {
			b.start(b.kv)
			b.s.signer = f
		}
		b.late()
		if err := b.rounds(800, Closed); err != nil {
			t.Fatal(err)
		}
		b.ended(tokens)
	}
}
