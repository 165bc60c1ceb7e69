package settle

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// stubborn is a signer that pays, and does not close markers.
type stubborn struct {
	signer
	why string
}

func (s stubborn) Reclaim(context.Context, []Marker, []Mark, Blockhash) (Tx, error) {
	return Tx{}, fmt.Errorf("signer: %w", &NoSignature{Why: s.why})
}

// sparse is a cluster of which too few endpoints work.
type sparse struct{ *cluster }

func (sparse) Quorate() error { return fmt.Errorf("%w: 1 of 3 answer", ErrNoQuorum) }

// refusing is a cluster that refuses to close markers.
type refusing struct{ *cluster }

func (c refusing) Send(ctx context.Context, tx Tx) error {
	if strings.Contains(string(tx.Raw), `"Close":[`) {
		return &Rejected{Cause: CauseOther, Detail: "InvalidAccountOwner"}
	}
	return c.cluster.Send(ctx, tx)
}

// TestReclaimThatFailsIsShown: with cause, without stopping payments, and until it
// works again.
func TestReclaimThatFailsIsShown(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(b *bench)
		want  string
	}{
		{"signer refuses", func(b *bench) { b.s.signer = stubborn{signer{id: "hot", n: &b.n}, "it refuses: marker_age"} }, "marker_age"},
		{"too few endpoints", func(b *bench) { b.s.chain = sparse{b.chain} }, "1 of 3 answer"},
		{"cluster refuses", func(b *bench) { b.s.chain = refusing{b.chain} }, "InvalidAccountOwner"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, 1)
			tt.spoil(b)
			b.freeze(1, payouts(10))
			if err := b.run(200); err != nil {
				t.Fatal(err)
			}
			look := func(until func(Record) bool) (rec Record) {
				for range 400 {
					_ = b.s.Step(t.Context())
					b.chain.advance(5)
					if rec, _ = b.s.Epoch(t.Context(), 1); until(rec) {
						return rec
					}
				}
				t.Fatalf("reclaiming %q, %d of %d closed, last error %q", rec.Reclaiming, rec.Reclaimed, rec.Batches, b.s.LastError())
				return rec
			}
			rec := look(func(r Record) bool { return r.Reclaiming != "" })
			if !strings.Contains(rec.Reclaiming, tt.want) || rec.State != Closed {
				t.Errorf("%s: %q", rec.State, rec.Reclaiming)
			}
			if b.s.LastError() != "" {
				t.Errorf("rounds fail: %s", b.s.LastError())
			}
			b.freeze(2, payouts(4)) // payments go on
			if err := b.run(200); err != nil {
				t.Fatal(err)
			}
			b.s.chain = b.chain
			b.setSigner(signer{id: "hot", n: &b.n})
			if rec := look(func(r Record) bool { return r.Reclaimed == r.Batches }); rec.Reclaiming != "" {
				t.Errorf("works again, and says %q", rec.Reclaiming)
			}
			b.check(sums(payouts(10), payouts(4)))
		})
	}
}
