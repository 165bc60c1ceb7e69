package settle

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"

	"heliograph/oracle/reward"
)

// moody is a signer that signs or not, and wants to know lists.
type moody struct {
	Signer
	why   string // does not sign
	lists []List
	asked atomic.Int32
}

func (m *moody) Register(_ context.Context, l List) error {
	if m.why != "" {
		return &NoSignature{Why: m.why}
	}
	m.lists = append(m.lists, l)
	return nil
}

func (m *moody) Memo(ctx context.Context, text string, b Blockhash) (Tx, error) {
	if m.why != "" {
		return Tx{}, &NoSignature{Why: m.why}
	}
	return m.Signer.Memo(ctx, text, b)
}

func (m *moody) Payout(ctx context.Context, k Marker, to []reward.Payout, b Blockhash, attempt int) (Tx, error) {
	m.asked.Add(1)
	if m.why != "" {
		return Tx{}, &NoSignature{Why: m.why}
	}
	return m.Signer.Payout(ctx, k, to, b, attempt)
}

// A signer that does not sign stalls the epoch in every state, without an error that
// would be repeated in a hurry, and the stall ends with its cause.
func TestSignerThatDoesNotSign(t *testing.T) {
	b := newBench(t, 1)
	m := &moody{Signer: b.s.signer, why: "it sleeps: wake it"}
	writes := &countHandler{}
	b.s = New(Config{KV: b.kv, Chain: b.chain, Signer: m, HeldEvery: 10, Log: slog.New(writes)})
	b.freeze(2, payouts(7))
	step := func(n int, until State) Record {
		t.Helper()
		for range n {
			if err := b.s.Step(t.Context()); err != nil {
				t.Fatal(err)
			}
			b.chain.advance(3)
			rec, err := b.s.Epoch(t.Context(), 2)
			if err != nil {
				t.Fatal(err)
			}
			if rec.State == until && (until != Committed || rec.Stalled == "") {
				return rec
			}
		}
		rec, err := b.s.Epoch(t.Context(), 2)
		if err != nil {
			t.Fatal(err)
		}
		return rec
	}
	if rec := step(5, Closed); rec.State != Frozen || !strings.Contains(rec.Stalled, "wake it") || writes.errors != 1 {
		t.Fatalf("frozen: %s, stalled %q, told %d times", rec.State, rec.Stalled, writes.errors)
	}
	m.why = ""
	if rec := step(50, Committed); rec.State != Committed || rec.Stalled != "" || len(m.lists) != 1 || len(m.lists[0].Payouts) != 7 {
		t.Fatalf("awake: %s, stalled %q, %d lists", rec.State, rec.Stalled, len(m.lists))
	}
	m.why = "it refuses: no"
	before := m.asked.Load()
	if rec := step(5, Closed); rec.State != Committed || !strings.Contains(rec.Stalled, "it refuses") || writes.errors != 2 || m.asked.Load() == before {
		t.Fatalf("refusing: %s, stalled %q, told %d times, asked %d times", rec.State, rec.Stalled, writes.errors, m.asked.Load()-before)
	}
	m.why = ""
	if rec := step(200, Closed); rec.State != Closed || rec.Stalled != "" || rec.Paid != rec.Total {
		t.Fatalf("at the end: %s, stalled %q, paid %d", rec.State, rec.Stalled, rec.Paid)
	}
}

// countHandler counts records of level error.
type countHandler struct{ errors int }

func (h *countHandler) Enabled(context.Context, slog.Level) bool { return true }
func (h *countHandler) Handle(_ context.Context, r slog.Record) error {
	if r.Level >= slog.LevelError {
		h.errors++
	}
	return nil
}
func (h *countHandler) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h *countHandler) WithGroup(string) slog.Handler      { return h }
