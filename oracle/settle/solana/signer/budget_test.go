package signer

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	computebudget "github.com/gagliardetto/solana-go/programs/compute-budget"

	"heliograph/oracle/settle"
	"heliograph/oracle/store"
	"heliograph/oracle/store/mem"
	"heliograph/poc"
)

func isRefused(err error, part string) bool {
	var r *Refusal
	return errors.As(err, &r) && strings.Contains(r.Reason, part)
}

// TestFeesOfADay: all signatures of a day stay within the budget, over restarts and
// with a clock that goes back; the next day has its own.
func TestFeesOfADay(t *testing.T) {
	w := newWorld(t)
	w.cfg.Policy.MaxFees = 20 * baseFee
	w.start()
	w.open() // the first signature
	n := 1
	var err error
	for ; n < 100; n++ {
		if err = w.memo(w.commitText()); err != nil {
			break
		}
	}
	if n != 20 || !isRefused(err, "max_fees") {
		t.Fatalf("%d signatures, then %v", n, err)
	}
	w.start()
	if err := w.memo(w.commitText()); !isRefused(err, "max_fees") {
		t.Errorf("a restart gives fees: %v", err)
	}
	w.now = w.now.Add(-48 * time.Hour)
	if err := w.memo(w.commitText()); !isRefused(err, "max_fees") {
		t.Errorf("a clock that goes back gives fees: %v", err)
	}
	w.now = w.now.Add(72 * time.Hour)
	if err := w.memo(w.commitText()); err != nil {
		t.Errorf("the next day: %v", err)
	}
}

// TestFeesAreOnDiskFirst: nothing is signed that could not be counted.
func TestFeesAreOnDiskFirst(t *testing.T) {
	w := newWorld(t)
	w.open()
	w.s.fees.left = 0
	w.cfg.KV.(*mem.KV).SetFull(true)
	if err := w.memo(w.commitText()); err == nil {
		t.Error("signed without a record")
	}
}

// TestMemoWithoutEnd: the same memo is signed so often in a day and no more, and bids
// next to nothing.
func TestMemoWithoutEnd(t *testing.T) {
	w := newWorld(t)
	w.cfg.Policy.MaxPriorityFee = 1_000_000
	w.start()
	w.open()
	for n := 1; n < maxMemos; n++ {
		if err := w.memo(w.commitText()); err != nil {
			t.Fatalf("signature %d: %v", n, err)
		}
	}
	if err := w.memo(w.commitText()); !isRefused(err, "times today") {
		t.Errorf("without end: %v", err)
	}
	w.now = w.now.Add(24 * time.Hour)
	if err := w.memo(w.commitText()); err != nil {
		t.Errorf("the next day: %v", err)
	}
	price := computebudget.NewSetComputeUnitPriceInstruction(100_000).Build() // 140,000 lamports
	if _, err := w.s.Sign(t.Context(), w.message(w.hot, price, memoIx(w.commitText())), Purpose{Kind: Memo}); !isRefused(err, "priority fee") {
		t.Errorf("a memo that bids: %v", err)
	}
}

// TestSeedsNearTheNewestEpoch: there is no end of epochs to commit to.
func TestSeedsNearTheNewestEpoch(t *testing.T) {
	seed := func(e poc.Epoch) string { return settle.SeedText(e, [32]byte{1}) }
	w := newWorld(t)
	for _, c := range []struct {
		e  poc.Epoch
		ok bool
	}{{20_000, true}, {20_000 + nearEpochs, true}, {20_000 + 2*nearEpochs, false}, {4_000_000_000, false}, {20_000 - nearEpochs - 1, false}} {
		if err := w.memo(seed(c.e)); (err == nil) != c.ok || !c.ok && !isRefused(err, "apart") {
			t.Errorf("before there is a list, epoch %d: %v", c.e, err)
		}
	}
	w = newWorld(t)
	w.open() // epoch 7
	for _, c := range []struct {
		e  poc.Epoch
		ok bool
	}{{8, true}, {epoch + nearEpochs, true}, {epoch + nearEpochs + 1, false}, {8, true}} {
		if err := w.memo(seed(c.e)); (err == nil) != c.ok || !c.ok && !isRefused(err, "apart") {
			t.Errorf("with a list, epoch %d: %v", c.e, err)
		}
	}
}

// TestRefusalTakesNoTurn: what is refused does not use up the signatures of a minute.
func TestRefusalTakesNoTurn(t *testing.T) {
	w := newWorld(t)
	w.cfg.PerMinute, w.cfg.Burst = 1, 2
	w.start()
	for range 20 {
		if err := w.memo("hello"); !isRefused(err, "known texts") {
			t.Fatal(err)
		}
	}
	w.open()
	if err := w.memo(w.commitText()); err != nil {
		t.Fatal(err)
	}
	if err := w.memo(w.commitText()); !errors.Is(err, ErrBusy) {
		t.Errorf("beyond the limit: %v", err)
	}
}

// TestMarkerAgeIsADay unless it is said otherwise.
func TestMarkerAgeIsADay(t *testing.T) {
	w := newWorld(t)
	w.cfg.MarkerAge = 0
	w.start()
	if w.s.cfg.MarkerAge < 24*time.Hour {
		t.Errorf("a marker may be closed after %v", w.s.cfg.MarkerAge)
	}
	err := w.cfg.KV.Update(context.Background(), func(tx store.Tx) error {
		return put(tx, batchKey(settle.Marker{Epoch: epoch}), batchState{At: w.now.Unix()})
	})
	if err != nil {
		t.Fatal(err)
	}
	m, _ := w.marker(settle.Marker{Epoch: epoch})
	e := effects{closed: []account{account(m)}}
	p := Purpose{Kind: Reclaim, Markers: []settle.Marker{{Epoch: epoch}}}
	if err := w.s.allowReclaim(t.Context(), e, p, w.now.Add(23*time.Hour)); !isRefused(err, "marker_age") {
		t.Errorf("after 23 h: %v", err)
	}
	if err := w.s.allowReclaim(t.Context(), e, p, w.now.Add(25*time.Hour)); err != nil {
		t.Errorf("after 25 h: %v", err)
	}
}

// TestKeyFileOwner: a key that is behind a link, in a pipe or another user's is not
// loaded. Only root can give files away.
func TestKeyFileOwner(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	var numbers []int
	for _, b := range ed25519.NewKeyFromSeed(make([]byte, 32)) {
		numbers = append(numbers, int(b))
	}
	text, err := json.Marshal(numbers)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadKey(path); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadKey(link); err == nil || !strings.Contains(err.Error(), "link") {
		t.Errorf("a link: %v", err)
	}
	if _, err := LoadKey(dir); err == nil {
		t.Error("a directory is loaded")
	}
	if os.Geteuid() != 0 {
		return
	}
	if err := os.Chown(path, 12345, 12345); err != nil {
		t.Skip(err)
	}
	if _, err := LoadKey(path); err == nil || !strings.Contains(err.Error(), "belongs to user 12345") {
		t.Errorf("another user's: %v", err)
	}
}
