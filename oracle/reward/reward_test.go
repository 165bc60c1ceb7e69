package reward

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"math"
	"slices"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"heliograph/oracle/ledger"
	"heliograph/oracle/registry"
	"heliograph/poc"
	"heliograph/poc/native"
	"heliograph/provisioning/identity"
)

func id(n int) identity.HotspotID { return identity.NewEd25519([32]byte{byte(n), byte(n >> 8)}).ID() }

var ids = func() (out []identity.HotspotID) {
	for n := range 40 {
		out = append(out, id(n))
	}
	return out
}()

// owners registers all ids; wallets are shared by threes.
func owners() *registry.Snapshot {
	var as []poc.Assertion
	for n, h := range ids {
		as = append(as, poc.Assertion{Hotspot: h, Owner: poc.Wallet{byte(n / 3)}, Region: "EU868", Sequence: 1})
	}
	return registry.Fold(slices.Values(as))
}

// TestComputeByHand checks one epoch on paper: 1,000,000 emitted; pools 60,000
// beacon, 240,000 witness, 500,000 data cap, 70,000 operations. 1,000 credits at
// 100 take 100,000; of the 400,000 left 80,000 go to beacons, 320,000 to witnesses.
func TestComputeByHand(t *testing.T) {
	units := []native.Units{
		{Hotspot: ids[0], Beacon: 1_000_000, Witness: 3_000_000},
		{Hotspot: ids[1], Beacon: 2_000_000, Credits: 999},
		{Hotspot: ids[2], Witness: 4_000_000, Credits: 1},
		{Hotspot: ids[3]},
	}
	res, err := Compute(7, units, owners(), DefaultPolicy(1_000_000, 100))
	if err != nil {
		t.Fatal(err)
	}
	want := map[identity.HotspotID][3]ledger.Amount{
		ids[0]: {46_666, 240_000, 0}, ids[1]: {93_333, 0, 99_900}, ids[2]: {0, 320_000, 100},
	}
	if len(res.Rows) != 3 || res.Operations != 70_000 || res.Remainder != 130_000+1 {
		t.Errorf("%d rows, operations %d, remainder %d", len(res.Rows), res.Operations, res.Remainder)
	}
	for _, r := range res.Rows {
		if got := [3]ledger.Amount{r.Beacon, r.Witness, r.Data}; got != want[r.Hotspot] || r.Epoch != 7 || r.Owner != (poc.Wallet{}) {
			t.Errorf("%v: %v, want %v", r.Hotspot, got, want[r.Hotspot])
		}
	}
}

func TestDataIsCapped(t *testing.T) {
	units := []native.Units{{Hotspot: ids[0], Credits: 3_000_000}, {Hotspot: ids[1], Credits: 1_000_000}}
	res, err := Compute(1, units, owners(), DefaultPolicy(1_000_000, 100))
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Rows) != 2 || res.Rows[0].Data+res.Rows[1].Data != 500_000 || max(res.Rows[0].Data, res.Rows[1].Data) != 375_000 {
		t.Errorf("%+v", res.Rows)
	}
}

func drawPolicy(t *rapid.T) Policy {
	left := uint64(1000)
	draw := func(name string) uint64 {
		v := rapid.Uint64Range(0, left).Draw(t, name)
		left -= v
		return v
	}
	return Policy{
		Emission: ledger.Amount(rapid.Uint64Range(0, math.MaxInt64).Draw(t, "emission")),
		Beacon:   draw("beacon"), Witness: draw("witness"), Data: draw("data"), Operations: draw("operations"),
		DataRest:    rapid.Uint64Range(0, 1000).Draw(t, "rest"),
		CreditPrice: ledger.Amount(rapid.Uint64Range(0, math.MaxInt64).Draw(t, "price")),
		CapRatio:    rapid.Uint64Range(0, 3000).Draw(t, "cap"),
		CapFloor:    ledger.Amount(rapid.Uint64Range(0, math.MaxInt64).Draw(t, "floor")),
	}
}

func drawUnits(t *rapid.T) []native.Units {
	perm := rapid.Permutation(ids).Draw(t, "hotspots")
	out := make([]native.Units, rapid.IntRange(0, len(ids)).Draw(t, "n"))
	for i := range out {
		out[i] = native.Units{Hotspot: perm[i], Beacon: rapid.Uint64Range(0, 1<<50).Draw(t, "b"),
			Witness: rapid.Uint64Range(0, 1<<50).Draw(t, "w"), Credits: rapid.Uint64Range(0, 1<<40).Draw(t, "c")}
	}
	return out
}

// TestNothingIsMadeOrLost: whatever policy and units, the parts are the whole, the
// order of units has no influence, and nobody gets more for data than was burned.
func TestNothingIsMadeOrLost(t *testing.T) {
	who := owners()
	rapid.Check(t, func(t *rapid.T) {
		p, units := drawPolicy(t), drawUnits(t)
		res, err := Compute(3, units, who, p)
		if err != nil {
			t.Fatal(err)
		}
		credits := map[identity.HotspotID]uint64{}
		for _, u := range units {
			credits[u.Hotspot] = u.Credits
		}
		sum := res.Operations + res.Remainder
		var data ledger.Amount
		for i, r := range res.Rows {
			one, err := r.Total()
			if err != nil || one == 0 {
				t.Fatalf("row %+v: %v", r, err)
			}
			if sum, err = sum.Add(one); err != nil {
				t.Fatal(err)
			}
			data += r.Data
			if burned, err := p.CreditPrice.MulDiv(credits[r.Hotspot], 1); err == nil && r.Data > burned {
				t.Fatalf("%d paid for %d burned", r.Data, burned)
			}
			if i > 0 && bytes.Compare(res.Rows[i-1].Hotspot[:], r.Hotspot[:]) >= 0 {
				t.Fatal("rows are not sorted")
			}
		}
		if sum != res.Emission || sum > p.Emission {
			t.Fatalf("shared out %d of %d, the policy allows %d", sum, res.Emission, p.Emission)
		}
		if ceiling, _ := res.Emission.MulDiv(p.Data, 1000); data > ceiling {
			t.Fatalf("data got %d, its cap is %d", data, ceiling)
		}
		again, err := Compute(3, rapid.Permutation(units).Draw(t, "order"), who, p)
		if err != nil || !slices.Equal(again.Rows, res.Rows) || again.Remainder != res.Remainder {
			t.Fatal("the order decides")
		}
		list, err := Payouts(res.Rows)
		if err != nil {
			t.Fatal(err)
		}
		paid := res.Operations + res.Remainder
		for i, l := range list {
			paid += l.Amount
			if i > 0 && bytes.Compare(list[i-1].Wallet[:], l.Wallet[:]) >= 0 {
				t.Fatal("payouts are not sorted")
			}
		}
		if paid != res.Emission {
			t.Fatalf("payouts make %d of %d", paid, res.Emission)
		}
	})
}

func TestComputeRefuses(t *testing.T) {
	good := DefaultPolicy(1_000_000, 1)
	for name, tt := range map[string]struct {
		units []native.Units
		p     Policy
	}{
		"twice":    {[]native.Units{{Hotspot: ids[0], Beacon: 1}, {Hotspot: ids[0], Beacon: 1}}, good},
		"stranger": {[]native.Units{{Hotspot: id(999), Beacon: 1}}, good},
		"overflow": {[]native.Units{{Hotspot: ids[0], Beacon: 1 << 63}, {Hotspot: ids[1], Beacon: 1 << 63}}, good},
		"shares":   {nil, Policy{Emission: 1, Beacon: 600, Witness: 600}},
		"share":    {nil, Policy{Emission: 1, Data: math.MaxUint64}},
		"rest":     {nil, Policy{Emission: 1, DataRest: 1001}},
		"emission": {nil, Policy{Emission: 1 << 63}},
		"cap":      {nil, Policy{CapRatio: 1_000_001}},
		"floor":    {nil, Policy{CapRatio: 1, CapFloor: 1 << 63}},
	} {
		if res, err := Compute(1, tt.units, owners(), tt.p); err == nil {
			t.Errorf("%s: %+v", name, res)
		}
	}
	if res, err := Compute(1, nil, owners(), good); err != nil || res.Remainder != 930_000 || len(res.Rows) != 0 {
		t.Errorf("an epoch without anybody: %+v, %v", res, err)
	}
}

func rows(n int) []Row {
	out := make([]Row, n)
	for i := range out {
		out[i] = Row{Epoch: 9, Hotspot: ids[i%len(ids)], Owner: poc.Wallet{byte(i)}, Beacon: ledger.Amount(i + 1), Witness: 2, Data: 3}
	}
	return out
}

// naiveRoot is the definition of RFC 6962, section 2.1, word by word.
func naiveRoot(leaves [][]byte) tlog.Hash {
	switch n := len(leaves); n {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return sha256.Sum256(append([]byte{0}, leaves[0]...))
	default:
		k := 1
		for k*2 < n {
			k *= 2
		}
		l, r := naiveRoot(leaves[:k]), naiveRoot(leaves[k:])
		return sha256.Sum256(append(append([]byte{1}, l[:]...), r[:]...))
	}
}

func TestTree(t *testing.T) {
	for n := range 35 {
		rs := rows(n)
		var leaves [][]byte
		for _, r := range rs {
			b, _ := r.AppendBinary(nil)
			leaves = append(leaves, b)
		}
		root, err := Root(rs)
		if err != nil || root != naiveRoot(leaves) {
			t.Fatalf("%d rows: root %x, %v", n, root, err)
		}
		for i := range rs {
			p, err := Prove(rs, i)
			if err != nil || CheckProof(root, p) != nil {
				t.Fatalf("row %d of %d: %v, %v", i, n, err, CheckProof(root, p))
			}
			p.Row.Beacon++
			if err := CheckProof(root, p); !errors.Is(err, ErrProof) {
				t.Errorf("row %d of %d: a forged amount passes: %v", i, n, err)
			}
			p.Row.Beacon--
			for j := range p.Hashes {
				p.Hashes[j][0] ^= 1
				if CheckProof(root, p) == nil {
					t.Errorf("row %d of %d: hash %d is free", i, n, j)
				}
				p.Hashes[j][0] ^= 1
			}
			if n > 1 {
				p.Index = int64((i + 1) % n)
				if CheckProof(root, p) == nil {
					t.Errorf("row %d of %d passes for another", i, n)
				}
			}
		}
	}
	for _, i := range []int{-1, 3} {
		if _, err := Prove(rows(3), i); err == nil {
			t.Errorf("row %d of 3 is proven", i)
		}
	}
	for _, p := range []Proof{{Size: -1}, {Index: -1, Size: 1}, {Index: 5, Size: 2}, {Size: math.MaxInt64}, {Hashes: make([][32]byte, 65)}} {
		if err := CheckProof([32]byte{}, p); !errors.Is(err, ErrProof) {
			t.Errorf("%+v: %v", p, err)
		}
	}
}

func FuzzParseRow(f *testing.F) {
	b, _ := rows(1)[0].AppendBinary(nil)
	f.Add(b)
	f.Add(b[:20])
	f.Add(append(bytes.Clone(b), 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseRow(b)
		if err != nil {
			if !errors.Is(err, ErrRow) || r != (Row{}) {
				t.Fatalf("%+v, %v", r, err)
			}
			return
		}
		if again, err := r.AppendBinary(nil); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("not canonical: %x", again)
		}
	})
}

func TestRowRoundTrip(t *testing.T) {
	for _, r := range rows(5) {
		b, _ := r.AppendBinary(nil)
		if got, err := ParseRow(b); err != nil || got != r {
			t.Errorf("%+v, %v", got, err)
		}
		for n := range b {
			if _, err := ParseRow(b[:n]); !errors.Is(err, ErrRow) {
				t.Errorf("cut to %d: %v", n, err)
			}
		}
	}
	for name, r := range map[string]Row{"empty": {Hotspot: ids[0]}, "overflow": {Hotspot: ids[0], Beacon: ledger.MaxAmount, Data: 1}, "nobody": {Beacon: 1}} {
		b, _ := r.AppendBinary(nil)
		if _, err := ParseRow(b); !errors.Is(err, ErrRow) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Payouts([]Row{{Beacon: ledger.MaxAmount}, {Beacon: 1}}); !errors.Is(err, ledger.ErrOverflow) {
		t.Errorf("payouts overflow: %v", err)
	}
}

// TestCap: what is created follows what is burned, rounded down, and never goes
// above the schedule.
func TestCap(t *testing.T) {
	for _, c := range []struct {
		emission, price, floor ledger.Amount
		ratio, credits         uint64
		want                   ledger.Amount
	}{
		{1000, 1, 0, 0, 0, 1000}, // no cap
		{1000, 1, 0, 1000, 0, 0}, // nothing burned, nothing made
		{1000, 3, 10, 500, 7, 10 + 10},
		{1000, 1, 0, 1500, 1, 1},
		{1000, 1, 1, 1000, 999, 1000},
		{1000, 1, 1, 1000, 5000, 1000},
		{1000, ledger.MaxAmount, ledger.MaxAmount, 1000, math.MaxUint64, 1000},
		{ledger.MaxAmount, ledger.MaxAmount, 0, 999, 2, 9214148664817921031},
	} {
		p := Policy{Emission: c.emission, CreditPrice: c.price, CapRatio: c.ratio, CapFloor: c.floor}
		if got := p.EmissionFor(c.credits); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}
