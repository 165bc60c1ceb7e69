package payday

import (
	"encoding/binary"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gagliardetto/solana-go"

	"heliograph/oracle/ledger"
	"heliograph/oracle/reward"
	"heliograph/oracle/settle"
	hsolana "heliograph/oracle/settle/solana"
	"heliograph/oracle/store/mem"
	solanavm "heliograph/testbench/solana"
)

// stuck is how many looks at the chain are made while something is wrong.
const stuck = 24

// TestBadInput goes through what can be wrong with money, people, keys, endpoints and
// machines. Each ends in a state with cause and remedy in `oraclectl settle status`;
// hardly anything is sent meanwhile; and after the remedy everybody is paid once.
func TestBadInput(t *testing.T) {
	vm := solanavm.ForTest(t, solanavm.Config{})
	ctl := filepath.Join(t.TempDir(), "oraclectl")
	if out, err := exec.Command("go", "build", "-o", ctl, "heliograph/oracle/cmd/oraclectl").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	const (
		stalled, refused, held = "STALLED", "REFUSED", "HELD"
		goesOn                 = "" // no state: the epoch is paid all the same
	)
	for _, tt := range []struct {
		name          string
		spoil, mend   func(w *bad)
		during        func(w *bad) // after the list was frozen
		state         string
		cause, remedy string
		sends         int // transactions that are sent while it is stuck, at most
	}{
		{name: "treasury empty", state: stalled, cause: "the treasury can spend 0", remedy: "fund it or raise the allowance", sends: 1,
			spoil: func(w *bad) { w.move(1<<40, false) }, mend: func(w *bad) { w.move(1<<40, true) }},
		{name: "allowance too small", state: stalled, cause: "the treasury can spend 350", remedy: "raise the allowance", sends: 1,
			spoil: func(w *bad) { w.must(w.sender.Approve(w.ctx, w.stage, w.cold, w.hot.PublicKey(), 350)) },
			mend:  func(w *bad) { w.must(w.sender.Approve(w.ctx, w.stage, w.cold, w.hot.PublicKey(), 1<<40)) }},
		{name: "mint with a transfer fee", state: refused, cause: "extension transfer fee", remedy: "pay out a mint without it",
			spoil: func(w *bad) {
				w.cfg.Mint = w.otherMint(solanavm.MintExtension{Bytes: 108, Init: slices.Concat([]byte{26, 0, 0, 0, 50, 0}, binary.LittleEndian.AppendUint64(nil, 9))})
			},
			mend: func(w *bad) { w.cfg.Mint = w.stage.Mint }},
		{name: "mint with a transfer hook", state: refused, cause: "extension transfer hook", remedy: "pay out a mint without it",
			spoil: func(w *bad) {
				w.cfg.Mint = w.otherMint(solanavm.MintExtension{Bytes: 64, Init: slices.Concat([]byte{36, 0}, w.cold.PublicKey().Bytes(), solana.MemoProgramID.Bytes())})
			},
			mend: func(w *bad) { w.cfg.Mint = w.stage.Mint }},
		{name: "recipient frozen", state: held, cause: "token account is frozen", remedy: "must thaw it", sends: 5,
			spoil: func(w *bad) { w.freeze() }, mend: func(w *bad) { w.thaw() }},
		{name: "recipient frozen between check and payout", state: held, cause: "token account is frozen", remedy: "must thaw it", sends: 9,
			spoil: func(w *bad) { w.rpc.before("simulateTransaction", w.freeze) }, mend: func(w *bad) { w.thaw() }},
		{name: "recipient closed between check and payout", state: held, cause: "no token account", remedy: "must create one", sends: 9,
			spoil: func(w *bad) { w.rpc.before("simulateTransaction", w.closeAccount) }, mend: func(w *bad) { w.openAccount() }},
		{name: "wallet off the curve", state: held, cause: "off the curve", remedy: "name another wallet, or the operator allows such with solana.off_curve", sends: 5,
			mend: func(w *bad) { w.cfg.OffCurve = true; w.start() }},
		{name: "amount zero", state: refused, cause: "payout 1 is zero", remedy: "restore the books from the backup",
			spoil: func(w *bad) {
				w.list.Payouts = slices.Clone(w.list.Payouts)
				w.list.Payouts[1].Amount, w.unbooked = 0, true
			},
			mend: func(w *bad) { w.list.Payouts[1].Amount, w.unbooked = 77, false }},
		{name: "amount overflowing", state: refused, cause: "overflow", remedy: "restore the books from the backup",
			spoil: func(w *bad) {
				w.list.Payouts = slices.Clone(w.list.Payouts)
				w.list.Payouts[1].Amount, w.unbooked = ledger.MaxAmount, true
			},
			mend: func(w *bad) { w.list.Payouts[1].Amount, w.unbooked = 77, false }},
		{name: "reward list changed after freezing", state: refused, cause: "frozen with another list", remedy: "find out who changed the list", sends: 5,
			during: func(w *bad) {
				other := w.list
				other.Payouts = append([]reward.Payout(nil), w.list.Payouts...)
				other.Payouts[0].Amount++
				if err := w.settler.Freeze(w.ctx, other); err == nil {
					w.t.Error("another list was frozen")
				}
			},
			mend: func(w *bad) { w.must(w.settler.Freeze(w.ctx, w.list)) }},
		{name: "clock jump over an epoch boundary", state: goesOn, sends: 9,
			during: func(w *bad) { w.play(5); w.must(w.tick(w.ctx, 3000)) }},
		{name: "endpoint lies about the height: far ahead", state: goesOn, sends: 2 * stuck,
			spoil: func(w *bad) { w.rpc.lie("getBlockHeight", 1<<40) }, mend: func(w *bad) { w.rpc.lie("getBlockHeight", nil) }},
		{name: "endpoint lies about the height: stale", state: goesOn, sends: 9,
			spoil: func(w *bad) { w.rpc.lie("getBlockHeight", 1) }, mend: func(w *bad) { w.rpc.lie("getBlockHeight", nil) }},
		{name: "endpoint hides what landed", state: stalled, cause: "no endpoint shows the transaction", remedy: "configure another RPC endpoint that keeps history", sends: 4 * stuck,
			during: func(w *bad) {
				w.play(9)
				w.hide(true)
			},
			spoil: func(w *bad) { w.rpc.before("simulateTransaction", func() { w.hide(true) }) },
			mend:  func(w *bad) { w.hide(false) }},
		{name: "endpoint of another cluster", state: refused, cause: "serves genesis", remedy: "take it out of solana.rpc, or change solana.genesis",
			spoil: func(w *bad) {
				w.genesis = vm.Genesis().String()
				w.rpc.lie("getGenesisHash", "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d")
			},
			mend: func(w *bad) { w.rpc.lie("getGenesisHash", nil) }},
		{name: "key file with mismatched halves", state: refused, cause: "halves", remedy: "restore",
			spoil: func(w *bad) {
				k := slices.Clone(w.hot)
				k[40] ^= 1
				w.refuse(w.keyFile(0o600, k))
			},
			mend: func(w *bad) { w.must(w.keyFile(0o600, w.hot)) }},
		{name: "key file readable by others", state: refused, cause: "read", remedy: "chmod",
			spoil: func(w *bad) { w.refuse(w.keyFile(0o644, w.hot)) },
			mend:  func(w *bad) { w.must(w.keyFile(0o600, w.hot)) }},
		{name: "signer dead", state: stalled, cause: "it cannot be reached", remedy: "start oraclesigner",
			spoil: func(w *bad) { w.serve(1 << 40); w.stopSigner() }, mend: func(w *bad) { w.serve(1 << 40); w.start() }},
		{name: "signer refuses", state: stalled, cause: "it refuses: the list of epoch 1 comes to", remedy: "max_epoch",
			spoil: func(w *bad) { w.serve(100) }, mend: func(w *bad) { w.stopSigner(); w.serve(1 << 40); w.start() }},
		{name: "disk full in the middle of a batch", state: stalled, cause: "no space left", remedy: "make room on the disk", sends: stuck,
			spoil: func(w *bad) { w.rpc.before("simulateTransaction", func() { w.kv.SetFull(true) }) },
			mend:  func(w *bad) { w.kv.SetFull(false) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newBad(t, vm, ctl, strings.Contains(tt.name, "off the curve"))
			if tt.spoil != nil {
				tt.spoil(w)
			}
			began := w.settler == nil && w.refusedNow() == "" && w.start()
			if began {
				if err := w.begin(); err != nil && tt.state != refused {
					t.Fatal(err)
				}
			}
			if tt.during != nil {
				tt.during(w)
			}
			w.play(stuck) // it gets where it can
			w.rpc.count()
			w.play(stuck)
			sent, asked := w.rpc.count()
			text, code := w.status()
			if tt.state != goesOn && (!strings.Contains(text, tt.state) || !strings.Contains(text, tt.cause) || !strings.Contains(text, tt.remedy)) {
				t.Errorf("status lacks %s, %q or %q:\n%s", tt.state, tt.cause, tt.remedy, text)
			}
			if waits := tt.state == stalled || tt.state == refused; (code == 1) != waits {
				t.Errorf("exit code %d:\n%s", code, text)
			}
			if sent > tt.sends || asked > 16*stuck {
				t.Errorf("%d requests and %d transactions in %d looks: a storm", asked, sent, stuck)
			}
			if tt.mend != nil {
				tt.mend(w)
			}
			if w.settler == nil {
				if !w.start() {
					t.Fatalf("it does not start after the remedy: %s", w.refusedNow())
				}
			}
			w.must(w.begin())
			w.play(2 * stuck)
			w.paidOnce()
			if text, code := w.status(); code != 0 || strings.Contains(text, "REFUSED") || strings.Contains(text, "STALLED") {
				t.Errorf("exit code %d after the remedy:\n%s", code, text)
			}
		})
	}
	t.Run("two oracles on one epoch", func(t *testing.T) {
		w := newBad(t, vm, ctl, false)
		twin, third := *w, *w
		twin.kv, third.kv = mem.NewKV(), mem.NewKV()
		third.list.Payouts = slices.Clone(w.list.Payouts)
		third.list.Payouts[3].Amount++
		for _, o := range []*bad{w, &twin} {
			o.start()
			o.must(o.begin())
		}
		for range 2 * stuck {
			w.play(1)
			twin.play(1)
		}
		w.paidOnce()
		twin.paidOnce()
		third.start()
		third.must(third.begin())
		third.play(stuck)
		third.rpc.count()
		third.play(stuck)
		if sent, asked := third.rpc.count(); sent > 0 || asked > 16*stuck {
			t.Errorf("%d requests and %d transactions: a storm", asked, sent)
		}
		text, code := third.status()
		if code != 1 || !strings.Contains(text, "REFUSED") || !strings.Contains(text, "rebuild") {
			t.Errorf("an oracle with another list: exit code %d\n%s", code, text)
		}
		w.paidOnce()
	})
}

// otherMint makes a mint of Token-2022 with an extension.
func (w *bad) otherMint(e solanavm.MintExtension) hsolana.Address {
	w.t.Helper()
	s, err := solanavm.SetStage(w.ctx, solanavm.StageConfig{Sender: w.sender, Mint: w.key(), Program: solana.Token2022ProgramID, Extensions: []solanavm.MintExtension{e}})
	w.must(err)
	return s.Mint
}

// hide makes the endpoint forget every transaction.
func (w *bad) hide(on bool) {
	var history any
	if on {
		history = []any{}
	}
	w.rpc.lie("getSignaturesForAddress", history)
	w.rpc.hideStatuses(on)
}

// refuse leaves in the books what a node does not start with.
func (w *bad) refuse(err error) {
	w.t.Helper()
	if err == nil {
		w.t.Fatal("the key was taken")
	}
	w.must(settle.New(settle.Config{KV: w.kv}).Refuse(w.ctx, err.Error()))
}

func (w *bad) refusedNow() string {
	why, err := settle.New(settle.Config{KV: w.kv}).Refusal(w.ctx)
	w.must(err)
	return why
}
