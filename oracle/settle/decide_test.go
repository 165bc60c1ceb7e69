package settle

import (
	"testing"

	"heliograph/oracle/reward"
	"heliograph/poc"
)

func TestDecide(t *testing.T) {
	two := []reward.Payout{{Wallet: poc.Wallet{1}, Amount: 5}, {Wallet: poc.Wallet{2}, Amount: 7}}
	at := func(sig string, lastValid uint64) Attempt {
		return Attempt{Tx: Tx{Signature: sig, LastValid: lastValid}, Recipients: []int{0, 1}}
	}
	batch := func(as ...Attempt) Batch { return Batch{Payouts: two, Attempts: as} }
	suspect := func(b Batch) Batch { b.Suspect = map[int]string{1: "frozen"}; return b }
	allHeld := batch()
	allHeld.Held = map[int]string{0: "x", 1: "x"}
	ok, final := Status{Known: true}, Status{Known: true, Final: true}
	failed := Status{Known: true, Final: true, Err: "Custom 0"}

	for _, tt := range []struct {
		name  string
		batch Batch
		facts Facts
		want  Action
		index int
	}{
		{"new", batch(), Facts{Height: 10}, Sign, 0},
		{"everybody held", allHeld, Facts{Height: 10}, Wait, 0},
		{"sent, nothing known", batch(at("a", 100)), Facts{Height: 10, Statuses: []Status{{}}}, Resend, 0},
		{"at its last height", batch(at("a", 100)), Facts{Height: 100, Statuses: []Status{{}}}, Resend, 0},
		{"expired, nothing known", batch(at("a", 100)), Facts{Height: 101, Statuses: []Status{{}}}, Sign, 0},
		{"landed, not final", batch(at("a", 100)), Facts{Height: 101, Statuses: []Status{ok}}, Wait, 0},
		{"final", batch(at("a", 100)), Facts{Height: 20, Statuses: []Status{final}}, Finalize, 0},
		{"older variant is final", batch(at("a", 100), at("b", 300)), Facts{Height: 200, Statuses: []Status{final, {}}}, Finalize, 0},
		{"expired, but the marker exists", batch(at("a", 100)), Facts{Height: 500, Statuses: []Status{{}}, Marked: true}, Wait, 0},
		{"status hidden, marker's history tells", batch(at("a", 100), at("b", 300)),
			Facts{Height: 500, Statuses: []Status{{}, {}}, Marked: true, Signatures: []string{"b"}}, Finalize, 1},
		{"somebody else touched the marker's address", batch(at("a", 100)),
			Facts{Height: 50, Statuses: []Status{{}}, Signatures: []string{"stranger"}}, Resend, 0},
		{"a late duplicate failed", batch(at("a", 100), at("b", 300)),
			Facts{Height: 200, Statuses: []Status{final, failed}}, Finalize, 0},
		{"failed for good", batch(at("a", 100)), Facts{Height: 50, Statuses: []Status{failed}}, Sign, 0},
		{"suspect, variant may still land", suspect(batch(at("a", 100))), Facts{Height: 100, Statuses: []Status{{}}}, Wait, 0},
		{"suspect, variant is dead", suspect(batch(at("a", 100))), Facts{Height: 101, Statuses: []Status{{}}}, HoldNow, 0},
		{"suspect, but it landed after all", suspect(batch(at("a", 100))), Facts{Height: 90, Statuses: []Status{final}}, Finalize, 0},
		{"said to have landed, long after it expired", batch(at("a", 100)), Facts{Height: 251, Statuses: []Status{ok}}, Sign, 0},
		{"paid by a transaction that is not ours", batch(at("a", 100)), Facts{Height: 50, Statuses: []Status{{}}, Marked: true, Foreign: "f"}, Recover, 0},
		{"paid before the store was lost", batch(), Facts{Height: 50, Foreign: "f"}, Recover, 0},
		{"never signed, and not everybody was heard", batch(), Facts{Height: 50, Unsure: true}, Wait, 0},
		{"expired, and not everybody was heard", batch(at("a", 100)), Facts{Height: 101, Statuses: []Status{{}}, Unsure: true}, Wait, 0},
		{"alive, and not everybody was heard", batch(at("a", 100)), Facts{Height: 100, Statuses: []Status{{}}, Unsure: true}, Resend, 0},
		{"never signed, but the marker exists", batch(), Facts{Height: 50, Marked: true}, Wait, 0},
		{"forked away", batch(at("a", 100)), Facts{Height: 60, Statuses: []Status{{}}}, Resend, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, index := decide(tt.batch, tt.facts)
			if got != tt.want || got == Finalize && index != tt.index {
				t.Errorf("decide = %v, %d; want %v, %d", got, index, tt.want, tt.index)
			}
		})
	}
}

// TestBlame: a failure on chain at a recipient makes a suspect of him, who is held
// when no variant is alive.
func TestBlame(t *testing.T) {
	list := []reward.Payout{{Wallet: poc.Wallet{1}, Amount: 5}, {Wallet: poc.Wallet{2}, Amount: 7}, {Wallet: poc.Wallet{3}, Amount: 9}}
	for _, tt := range []struct {
		blames, suspect int
	}{{0, -1}, {1, 0}, {2, 2}, {3, -1}, {-1, -1}} {
		b := Batch{Payouts: list, Held: map[int]string{1: "x"}, Attempts: []Attempt{{Tx: Tx{Signature: "a", LastValid: 100}, Recipients: []int{0, 2}, Dead: "x"}}}
		st := Status{Known: true, Final: true, Err: "instruction 5: Custom 17", Blames: tt.blames}
		b.blame(0, st)
		_, got := b.Suspect[tt.suspect]
		if got != (tt.suspect >= 0) || len(b.Suspect) > 1 {
			t.Errorf("%d blames %v, want %d", tt.blames, b.Suspect, tt.suspect)
		}
		want := Sign
		if tt.suspect >= 0 {
			want = HoldNow
		}
		if action, _ := decide(b, Facts{Height: 50, Statuses: []Status{st}}); action != want {
			t.Errorf("%d blames: %v, want %v", tt.blames, action, want)
		}
	}
}

func TestDecideMemo(t *testing.T) {
	m := Memo{Attempts: []Tx{{Signature: "a", LastValid: 100}}}
	for _, tt := range []struct {
		name   string
		memo   Memo
		height uint64
		status []Status
		want   Action
	}{
		{"new", Memo{}, 5, nil, Sign},
		{"sent", m, 100, []Status{{}}, Resend},
		{"expired", m, 101, []Status{{}}, Sign},
		{"landed", m, 101, []Status{{Known: true}}, Wait},
		{"said to have landed, long after it expired", m, 251, []Status{{Known: true}}, Sign},
		{"final", m, 101, []Status{{Known: true, Final: true}}, Finalize},
		{"failed", m, 101, []Status{{Known: true, Final: true, Err: "x"}}, Sign},
	} {
		if got, _ := decideMemo(tt.memo, tt.height, tt.status); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
