package payday

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"heliograph/oracle/ledger"
	"heliograph/oracle/reward"
	"heliograph/oracle/settle"
	hsolana "heliograph/oracle/settle/solana"
	"heliograph/oracle/store/mem"
	"heliograph/poc"
	solanavm "heliograph/testbench/solana"
)

// pool makes a pool on nodes of one chain, and beside it another chain.
func pool(t *testing.T, b *Bench, endpoints ...string) (*hsolana.Pool, *hsolana.Client) {
	t.Helper()
	p, c, err := hsolana.DialPoolOnce(t.Context(), hsolana.PoolConfig{
		Config: b.client(), Endpoints: endpoints, Genesis: b.vm.Genesis().String(), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return p, c
}

func newTestBench(t *testing.T, recipients int) *Bench {
	t.Helper()
	b, err := New(t.Context(), Config{VM: solanavm.ForTest(t, solanavm.Config{}), Recipients: recipients})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEndpointOfAnotherClusterIsRefused(t *testing.T) {
	b := newTestBench(t, 1)
	other := solanavm.ForTest(t, solanavm.Config{Genesis: [32]byte{7, 7}})
	p, _ := pool(t, b, other.URL(), b.vm.URL())
	why := strings.Join(p.Refused(), "\n")
	if len(p.Refused()) != 1 || !strings.Contains(why, other.Genesis().String()) || !strings.Contains(why, b.vm.Genesis().String()) {
		t.Errorf("refused: %q, want both hashes named", why)
	}
	if h, err := p.Genesis(t.Context()); err != nil || h != b.vm.Genesis().String() {
		t.Errorf("genesis %s, %v", h, err)
	}
}

// TestHeightIsNotThatOfOne: one of three that lags does not set the height.
func TestHeightIsNotThatOfOne(t *testing.T) {
	b := newTestBench(t, 1)
	if err := b.tick(t.Context(), 200); err != nil {
		t.Fatal(err)
	}
	if err := b.vm.Node("late").SetFaults(t.Context(), solanavm.Faults{StaleBlocks: 100}); err != nil {
		t.Fatal(err)
	}
	late, x, y := b.vm.Node("late").URL(), b.vm.Node("x").URL(), b.vm.Node("y").URL()
	three, _ := pool(t, b, late, x, y)
	two, _ := pool(t, b, x, late)
	h3, err3 := three.Height(t.Context())
	h2, err2 := two.Height(t.Context())
	if err2 != nil || err3 != nil || h3 != h2+100 {
		t.Errorf("three endpoints say %d (%v), two %d (%v); want 100 between", h3, err3, h2, err2)
	}
	hash, err := two.Blockhash(t.Context())
	if err != nil || hash.LastValid != h3+150 {
		t.Errorf("blockhash valid to %d (%v), want the one of the endpoint that has seen most, to %d", hash.LastValid, err, h3+150)
	}
}

// TestFinalNeedsTwo: a transaction that only one endpoint of two shows is not booked
// once its marker is gone; while the marker is there, it is the second word.
func TestFinalNeedsTwo(t *testing.T) {
	b := newTestBench(t, 3)
	ctx := t.Context()
	kv := mem.NewKV()
	c, err := b.calm(ctx, kv, 8, settle.MinReclaimAfter)
	if err != nil {
		t.Fatal(err)
	}
	l := settle.List{Epoch: 3, Rewards: [32]byte{3}, Secret: poc.Secret{1}}
	for _, w := range b.wallets {
		l.Payouts = append(l.Payouts, reward.Payout{Wallet: w, Amount: 5})
	}
	if err := c.freeze(ctx, l); err != nil {
		t.Fatal(err)
	}
	if err := c.close(ctx, l, func(e settle.Epoch) bool { return e.State == settle.Closed }); err != nil {
		t.Fatal(err)
	}
	if err := b.vm.Node("blind").SetFaults(ctx, solanavm.Faults{HideStatus: 1}); err != nil {
		t.Fatal(err)
	}
	seeing, blind := b.vm.Node("seeing").URL(), b.vm.Node("blind").URL()
	p, _ := pool(t, b, seeing, blind)
	m := settle.Marker{Epoch: 3}
	sigs, err := p.History(ctx, m, 0)
	if err != nil || len(sigs) != 1 {
		t.Fatalf("history %v, %v", sigs, err)
	}
	paid, err := p.Landed(ctx, sigs[0], m, l.Payouts)
	if err != nil || len(paid) != 3 {
		t.Errorf("with the marker: %v, %v", paid, err)
	}
	wrong := append([]reward.Payout{{Wallet: l.Payouts[0].Wallet, Amount: 6}}, l.Payouts[1:]...)
	if _, err := p.Landed(ctx, sigs[0], m, wrong); !errors.Is(err, settle.ErrForeign) {
		t.Errorf("another amount in the list: %v", err)
	}
	if _, err := p.Landed(ctx, sigs[0], settle.Marker{Epoch: 4}, l.Payouts); !errors.Is(err, settle.ErrStranger) {
		t.Errorf("another marker: %v", err)
	}
	if err := c.close(ctx, l, func(e settle.Epoch) bool { return e.Reclaimed == e.Batches }); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Landed(ctx, sigs[0], m, l.Payouts); !errors.Is(err, settle.ErrNotFinal) {
		t.Errorf("shown by one of two, no marker: %v", err)
	}
	one, _ := pool(t, b, seeing)
	if _, err := one.Landed(ctx, sigs[0], m, l.Payouts); err != nil {
		t.Errorf("the only one that is configured: %v", err)
	}
	if err := ledger.NewBook(kv).Audit(ctx); err != nil {
		t.Error(err)
	}
}
