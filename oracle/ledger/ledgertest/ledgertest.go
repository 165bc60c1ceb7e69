// Package ledgertest checks a book from outside. It reads the store's raw keys,
// knows the format from its description only, adds with big integers, and
// remembers what it saw: a batch that changed or went away is found as well as a
// balance that does not follow from the batches.
package ledgertest

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"

	"heliograph/oracle/store"
)

// Checker watches one book. It is for one goroutine.
type Checker struct {
	kv   store.KV
	seen map[string][32]byte // batches of earlier checks
}

// New makes a checker of the book in kv.
func New(kv store.KV) *Checker { return &Checker{kv: kv, seen: map[string][32]byte{}} }

// batch is the stored form, written down a second time on purpose.
type batch struct {
	Cause   string `json:"cause"`
	Entries []struct {
		Account string `json:"account"`
		Debit   uint64 `json:"debit"`
		Credit  uint64 `json:"credit"`
	} `json:"entries"`
}

// sides are the debits and credits of an account.
type sides struct{ debit, credit *big.Int }

// Check reads the whole book. It says what is wrong first: a batch that is not
// what it was, that does not add up to zero, an account that does not follow from
// the batches, is below zero, or is in transit, and whether
// issued = paid + owed + held + remainder.
func (c *Checker) Check(ctx context.Context) error {
	return c.kv.View(ctx, func(tx store.Tx) error {
		want := map[string]sides{}
		seen := map[string][32]byte{}
		if err := scan(tx, "l/b/", func(cause string, v []byte) error {
			seen[cause] = sha256.Sum256(v)
			return book(want, cause, v)
		}); err != nil {
			return err
		}
		for cause, h := range c.seen {
			if seen[cause] != h {
				return fmt.Errorf("ledgertest: batch %q was booked before and has changed or gone", cause)
			}
		}
		if err := c.accounts(tx, want); err != nil {
			return err
		}
		c.seen = seen
		return nil
	})
}

// Batches is how many batches the last good check saw.
func (c *Checker) Batches() int { return len(c.seen) }

func scan(tx store.Tx, prefix string, yield func(name string, v []byte) error) error {
	var bad error
	err := tx.Scan([]byte(prefix), nil, func(k, v []byte) bool {
		bad = yield(string(k[len(prefix):]), v)
		return bad == nil
	})
	if bad != nil {
		return bad
	}
	return err
}

func book(into map[string]sides, cause string, v []byte) error {
	var b batch
	if err := json.Unmarshal(v, &b); err != nil || b.Cause != cause {
		return fmt.Errorf("ledgertest: batch %q is stored as %s (%v)", cause, v, err)
	}
	sum := new(big.Int)
	for _, e := range b.Entries {
		s, ok := into[e.Account]
		if !ok {
			s = sides{new(big.Int), new(big.Int)}
			into[e.Account] = s
		}
		d, cr := new(big.Int).SetUint64(e.Debit), new(big.Int).SetUint64(e.Credit)
		s.debit.Add(s.debit, d)
		s.credit.Add(s.credit, cr)
		sum.Add(sum, cr).Sub(sum, d)
	}
	if sum.Sign() != 0 || len(b.Entries) == 0 {
		return fmt.Errorf("ledgertest: batch %q adds up to %v over %d entries", cause, sum, len(b.Entries))
	}
	return nil
}

func (c *Checker) accounts(tx store.Tx, want map[string]sides) error {
	kinds := map[string]*big.Int{}
	err := scan(tx, "l/a/", func(name string, v []byte) error {
		s, ok := want[name]
		if !ok || len(v) != 16 {
			return fmt.Errorf("ledgertest: account %q (%d bytes) comes from no batch", name, len(v))
		}
		delete(want, name)
		if !same(s.debit, v[:8]) || !same(s.credit, v[8:]) {
			return fmt.Errorf("ledgertest: account %q is stored as %x, its batches say %v debited, %v credited", name, v, s.debit, s.credit)
		}
		net := new(big.Int).Sub(s.credit, s.debit)
		kind, _, _ := strings.Cut(name, "/")
		switch {
		case kind == "issued":
			net.Neg(net)
		case net.Sign() < 0:
			return fmt.Errorf("ledgertest: account %q is at %v", name, net)
		case kind == "hotspot" && net.Sign() != 0:
			return fmt.Errorf("ledgertest: account %q keeps %v in transit", name, net)
		}
		if kinds[kind] == nil {
			kinds[kind] = new(big.Int)
		}
		kinds[kind].Add(kinds[kind], net)
		return nil
	})
	if err != nil {
		return err
	}
	for name := range want {
		return fmt.Errorf("ledgertest: account %q has batches and is not stored", name)
	}
	return balanced(tx, kinds)
}

// same compares with a stored number.
func same(n *big.Int, stored []byte) bool {
	return n.Cmp(new(big.Int).SetBytes(stored)) == 0
}

// balanced is the invariant, and what the book keeps as running totals: pairs of
// debits and credits of issued, remainder, hotspot, owed, held, paid.
func balanced(tx store.Tx, kinds map[string]*big.Int) error {
	sum := new(big.Int)
	if n := kinds["claimable"]; n != nil { // held by a distributor on chain
		held := new(big.Int).Set(n)
		if kinds["held"] != nil {
			held.Add(held, kinds["held"])
		}
		kinds["held"] = held
		delete(kinds, "claimable")
	}
	for kind, n := range kinds {
		switch kind {
		case "issued":
			sum.Sub(sum, n)
		case "remainder", "hotspot", "owed", "held", "paid":
			sum.Add(sum, n)
		default:
			return fmt.Errorf("ledgertest: accounts of the unknown kind %q", kind)
		}
	}
	if sum.Sign() != 0 {
		return fmt.Errorf("ledgertest: accounts add up to %v more than was issued: %v", sum, kinds)
	}
	v, err := tx.Get([]byte("l/t"))
	if err != nil {
		if len(kinds) == 0 {
			return nil // a book that was never used
		}
		return fmt.Errorf("ledgertest: running totals: %w", err)
	}
	for i, kind := range []string{"issued", "remainder", "hotspot", "owed", "held", "paid"} {
		if len(v) != 96 {
			return fmt.Errorf("ledgertest: running totals are %d bytes", len(v))
		}
		d, c := binary.BigEndian.Uint64(v[16*i:]), binary.BigEndian.Uint64(v[16*i+8:])
		net := new(big.Int).Sub(new(big.Int).SetUint64(c), new(big.Int).SetUint64(d))
		if kind == "issued" {
			net.Neg(net)
		}
		have := kinds[kind]
		if have == nil {
			have = new(big.Int)
		}
		if net.Cmp(have) != 0 {
			return fmt.Errorf("ledgertest: running totals say %v %s, the accounts %v", net, kind, have)
		}
	}
	return nil
}
