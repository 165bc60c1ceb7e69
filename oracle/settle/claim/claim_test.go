package claim

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"testing"

	"heliograph/oracle/ledger"
	"heliograph/oracle/reward"
	"heliograph/poc"
)

func list(n int) []reward.Payout {
	out := make([]reward.Payout, n)
	for i := range out {
		binary.BigEndian.PutUint32(out[i].Wallet[:], uint32(i))
		out[i].Amount = ledger.Amount(i + 1)
	}
	return out
}

// hashed concatenates hexadecimal texts: the format written down a second time.
func hashed(t *testing.T, parts ...string) string {
	t.Helper()
	var all []byte
	for _, p := range parts {
		b, err := hex.DecodeString(p)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	h := sha256.Sum256(all)
	return hex.EncodeToString(h[:])
}

func TestTreeByHand(t *testing.T) {
	const zero = "0000000000000000"
	leaf := func(wallet, amount string) string {
		return hashed(t, "00", hashed(t, wallet, amount, zero))
	}
	w := func(i string) string {
		return "0000000" + i + "00000000000000000000000000000000000000000000000000000000"
	}
	a, b, c := leaf(w("0"), "0100000000000000"), leaf(w("1"), "0200000000000000"), leaf(w("2"), "0300000000000000")
	pair := func(x, y string) string { return hashed(t, "01", min(x, y), max(x, y)) }
	for n, want := range map[int]string{1: a, 2: pair(a, b), 3: pair(pair(a, b), pair(c, c))} {
		tree, err := New(list(n))
		if err != nil {
			t.Fatal(err)
		}
		if root := tree.Root(); hex.EncodeToString(root[:]) != want {
			t.Errorf("%d leaves: root %x, want %s", n, root, want)
		}
	}
}

func TestProofs(t *testing.T) {
	for n := 1; n < 35; n++ {
		l := list(n)
		tree, err := New(l)
		if err != nil {
			t.Fatal(err)
		}
		if root, err := Root(l); err != nil || root != tree.Root() {
			t.Errorf("%d leaves: root %x without the tree, %x with it, %v", n, root, tree.Root(), err)
		}
		if tree.Count() != n || tree.Total() != ledger.Amount(n*(n+1)/2) {
			t.Errorf("%d leaves: %d claims of %d", n, tree.Count(), tree.Total())
		}
		for _, p := range l {
			proof, ok := tree.Prove(p.Wallet)
			if !ok || proof.Payout != p || proof.Check(tree.Root()) != nil {
				t.Fatalf("%d leaves: %+v, %v", n, proof, proof.Check(tree.Root()))
			}
			forged := proof
			forged.Payout.Amount++
			if err := forged.Check(tree.Root()); !errors.Is(err, ErrProof) {
				t.Errorf("%d leaves: another amount passes", n)
			}
			forged = proof
			forged.Payout.Wallet[31] ^= 1
			if forged.Check(tree.Root()) == nil {
				t.Errorf("%d leaves: another wallet passes", n)
			}
			for i := range proof.Nodes {
				proof.Nodes[i][5] ^= 1
				if proof.Check(tree.Root()) == nil {
					t.Errorf("%d leaves: node %d is free", n, i)
				}
				proof.Nodes[i][5] ^= 1
			}
		}
		if _, ok := tree.Prove(poc.Wallet{0xff}); ok {
			t.Error("a stranger can claim")
		}
	}
	if err := (Proof{Nodes: make([]Hash, MaxProof+1)}).Check(Hash{}); !errors.Is(err, ErrProof) {
		t.Errorf("a proof without end: %v", err)
	}
}

func TestRefusedLists(t *testing.T) {
	for name, l := range map[string][]reward.Payout{
		"empty":     nil,
		"nothing":   {{Wallet: poc.Wallet{1}}},
		"twice":     {{Wallet: poc.Wallet{1}, Amount: 1}, {Wallet: poc.Wallet{1}, Amount: 1}},
		"unordered": {{Wallet: poc.Wallet{2}, Amount: 1}, {Wallet: poc.Wallet{1}, Amount: 1}},
		"overflow":  {{Wallet: poc.Wallet{1}, Amount: ledger.MaxAmount}, {Wallet: poc.Wallet{2}, Amount: 1}},
	} {
		if _, err := New(l); err == nil {
			t.Errorf("%s: taken", name)
		}
		if _, err := Root(l); err == nil && len(l) > 0 {
			t.Errorf("%s: it has a root", name)
		}
	}
	if root, err := Root(nil); err != nil || root != sha256.Sum256(nil) {
		t.Errorf("nobody: %x, %v", root, err)
	}
}

func BenchmarkTreeOfAMillion(b *testing.B) {
	l := list(1_000_000)
	for b.Loop() {
		if _, err := New(l); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	l := list(1_000_000)
	tree, err := New(l)
	if err != nil {
		b.Fatal(err)
	}
	p, _ := tree.Prove(l[777_777].Wallet)
	root := tree.Root()
	for b.Loop() {
		if err := p.Check(root); err != nil {
			b.Fatal(err)
		}
	}
}
