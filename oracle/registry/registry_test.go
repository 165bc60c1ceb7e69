package registry

import (
	"iter"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"heliograph/oracle/journal"
	"heliograph/oracle/store"
	"heliograph/poc"
	"heliograph/poc/native"
	"heliograph/provisioning/identity"
	"heliograph/radio"
)

func key(n byte) *identity.Key { return identity.NewEd25519([32]byte{n}) }

func assertion(n byte, seq uint64, owner byte) poc.Assertion {
	return poc.Assertion{Hotspot: key(n).ID(), Owner: poc.Wallet{owner}, Position: poc.Position{LatE7: int32(n) * 1e6, LonE7: 5},
		Gain: 120, Region: "EU868", Sequence: seq, Time: radio.WallTime{UnixNano: 1}}
}

func TestFold(t *testing.T) {
	s := Fold(slices.Values([]poc.Assertion{
		assertion(3, 1, 1), assertion(1, 2, 2), assertion(1, 1, 3), assertion(3, 1, 4), assertion(2, 7, 5), assertion(2, 8, 6),
	}))
	if s.Len() != 3 {
		t.Fatalf("%d hotspots", s.Len())
	}
	for n, owner := range map[byte]byte{1: 2, 2: 6, 3: 1} {
		h, ok := s.Find(key(n).ID())
		if !ok || h.Assertion.Owner != (poc.Wallet{owner}) || h.Area != native.AreaOf(h.Site().Place) || h.ID != key(n).ID() {
			t.Errorf("hotspot %d: %+v", n, h)
		}
		if w, ok := s.Owner(h.ID); !ok || w != h.Assertion.Owner {
			t.Errorf("owner of %d: %v", n, w)
		}
		i, _ := s.Index(h.ID)
		if s.At(i).ID != h.ID || !h.Cell(8).Valid() {
			t.Errorf("index of %d", n)
		}
	}
	if _, ok := s.Find(key(9).ID()); ok {
		t.Error("a stranger is registered")
	}
	if _, ok := s.Owner(key(9).ID()); ok {
		t.Error("a stranger has an owner")
	}
	if (&Snapshot{}).Len() != 0 || (&Snapshot{}).Hash() == s.Hash() {
		t.Error("the empty snapshot is not empty")
	}
}

// TestFoldOrder: assertions may come in any order, and the result is sorted.
func TestFoldOrder(t *testing.T) {
	var all []poc.Assertion
	for n := range byte(6) {
		for seq := range uint64(3) {
			all = append(all, assertion(n, seq+1, byte(seq)))
		}
	}
	want := Fold(slices.Values(all)).Hash()
	rapid.Check(t, func(t *rapid.T) {
		s := Fold(slices.Values(rapid.Permutation(all).Draw(t, "order")))
		if s.Hash() != want {
			t.Fatal("the order decides")
		}
		ids := slices.Collect(s.All())
		if !slices.IsSortedFunc(ids, func(a, b Hotspot) int { return slices.Compare(a.ID[:], b.ID[:]) }) {
			t.Fatal("not sorted")
		}
	})
}

func TestHashSeesEverything(t *testing.T) {
	base := Fold(slices.Values([]poc.Assertion{assertion(1, 1, 1)})).Hash()
	for name, f := range map[string]func(*poc.Assertion){
		"owner": func(a *poc.Assertion) { a.Owner[31] = 1 }, "place": func(a *poc.Assertion) { a.Position.LonE7++ },
		"gain": func(a *poc.Assertion) { a.Gain++ }, "region": func(a *poc.Assertion) { a.Region = "US915" },
	} {
		a := assertion(1, 1, 1)
		f(&a)
		if Fold(slices.Values([]poc.Assertion{a})).Hash() == base {
			t.Errorf("%s does not change the hash", name)
		}
	}
}

func TestFromJournal(t *testing.T) {
	sign := func(a poc.Assertion, k *identity.Key) []byte {
		body, err := a.AppendBinary(nil)
		if err != nil {
			t.Fatal(err)
		}
		b, err := poc.SignBody(body, k)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	data := [][]byte{
		sign(assertion(1, 1, 1), key(1)),
		sign(assertion(1, 2, 2), key(2)), // forged
		{1, 2, 3},
		sign(assertion(2, 1, 3), key(2)),
	}
	var entries iter.Seq2[journal.Position, journal.Entry] = func(yield func(journal.Position, journal.Entry) bool) {
		if !yield(journal.Position{}, journal.Entry{Type: journal.TypeOpen}) {
			return
		}
		for i, d := range data {
			at := journal.Position{Shard: store.ControlShard, Offset: store.Offset(i)}
			if !yield(at, journal.Entry{Type: journal.TypeReport, Data: d}) {
				return
			}
		}
	}
	want := Fold(slices.Values([]poc.Assertion{assertion(1, 1, 1), assertion(2, 1, 3)})).Hash()
	if got := FromJournal(entries); got.Hash() != want || got.Len() != 2 {
		t.Errorf("%d hotspots", got.Len())
	}
}
