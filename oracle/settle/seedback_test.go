package settle

import (
	"context"
	"strings"
	"testing"
)

// TestSeedMemoIsNotSentAgain: a store from before the seed memo was sent takes the one
// on chain over: an epoch's markers are searched, and its seed is drawn, from there on.
func TestSeedMemoIsNotSentAgain(t *testing.T) {
	b := newBench(t, 1)
	hash := [32]byte{7}
	commit := func() CommitState {
		t.Helper()
		if err := b.s.Commit(t.Context(), 4, hash); err != nil {
			t.Fatal(err)
		}
		b.play(40)
		st, err := b.s.Commitment(t.Context(), 4)
		if err != nil || !st.Final {
			t.Fatalf("%+v, %v", st, err)
		}
		return st
	}
	first := commit()
	b.chain.advance(5000)
	b.lose(nil)
	if again := commit(); again != first {
		t.Errorf("%+v, the first was %+v", again, first)
	}
	if n := strings.Count(strings.Join(b.chain.memos, "\n"), SeedText(4, hash)); n != 1 {
		t.Errorf("the seed memo was sent %d times", n)
	}
}

// loneMemo is a cluster on which one endpoint alone shows memos, in a slot of its own.
type loneMemo struct{ *cluster }

func (l loneMemo) Memos(ctx context.Context, _ uint64, texts ...string) ([]Sent, error) {
	out := make([]Sent, len(texts))
	for i := range out {
		out[i] = Sent{"made up", 3, true}
	}
	return out, nil
}

// TestLoneSeedMemo: one endpoint alone does not choose the slot that a seed is drawn from.
func TestLoneSeedMemo(t *testing.T) {
	b := newBench(t, 1)
	b.s.chain = loneMemo{b.chain}
	b.chain.advance(500)
	if err := b.s.Commit(t.Context(), 4, [32]byte{7}); err != nil {
		t.Fatal(err)
	}
	b.play(40)
	if st, err := b.s.Commitment(t.Context(), 4); err != nil || !st.Final || st.Slot < 500 || st.Signature == "made up" {
		t.Errorf("%+v, %v", st, err)
	}
}

// lateCommit sleeps, once, before it sends the first memo.
type lateCommit struct {
	*cluster
	sleep func()
}

func (l *lateCommit) Blockhash(ctx context.Context) (Blockhash, error) {
	if f := l.sleep; f != nil {
		l.sleep = nil
		f()
	}
	return l.cluster.Blockhash(ctx)
}

// TestSleepBetweenLookAndCommit: while an oracle sleeps between its look for a commit
// memo and its own, another one commits, pays and closes the markers. The older memo
// counts: the history of the markers is read from there on.
func TestSleepBetweenLookAndCommit(t *testing.T) {
	list := payouts(7)
	a := newBench(t, 1)
	a.freeze(1, list)
	b := a.twin()
	b.freeze(1, list)
	b.s.chain = &lateCommit{a.chain, func() {
		a.play(600)
		if len(a.chain.closed) != 3 {
			t.Errorf("%d markers closed", len(a.chain.closed))
		}
	}}
	b.play(300)
	a.check(sums(list))
	b.check(sums(list))
	recA, _ := a.s.Epoch(t.Context(), 1)
	recB, _ := b.s.Epoch(t.Context(), 1)
	if recA.Commit.Slot != recB.Commit.Slot || recA.Commit.Signature != recB.Commit.Signature {
		t.Errorf("commit memos in slots %d and %d", recA.Commit.Slot, recB.Commit.Slot)
	}
}
