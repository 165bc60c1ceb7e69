package policy_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"heliograph/oracle/ledger"
	"heliograph/oracle/policy"
	"heliograph/oracle/reward"
	"heliograph/poc"
	"heliograph/provisioning/identity"
)

var key = identity.NewEd25519([32]byte{1})

func first() policy.Document {
	s := reward.DefaultPolicy(0, 10)
	return policy.Document{Network: "test", Version: 1, Announced: 90, From: 100, Schedule: policy.Schedule{Kind: policy.Fixed, Initial: 1000}, Shares: s, Threshold: 5, Operator: poc.Wallet{7}}
}

func sign(t testing.TB, d policy.Document) policy.Signed {
	t.Helper()
	s, err := policy.Sign(d, key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// after is the version that follows on another.
func after(s policy.Signed, announced, from poc.Epoch) policy.Document {
	d := s.Document
	d.Version, d.Previous, d.Announced, d.From = s.Version+1, s.ID(), announced, from
	d.Schedule.Initial /= 2
	return d
}

func TestSchedules(t *testing.T) {
	halving := policy.Schedule{Kind: policy.Halving, Initial: 1001, Start: 100, Span: 10}
	down := policy.Schedule{Kind: policy.Linear, Initial: 1000, Final: 1, Start: 100, Span: 7}
	up := policy.Schedule{Kind: policy.Linear, Initial: 0, Final: ledger.MaxAmount, Start: 0, Span: math.MaxUint32}
	for _, c := range []struct {
		s    policy.Schedule
		at   poc.Epoch
		want ledger.Amount
	}{
		{policy.Schedule{Kind: policy.Fixed, Initial: 9}, 4_000_000_000, 9},
		{halving, 0, 1001}, {halving, 109, 1001}, {halving, 110, 500}, {halving, 119, 500}, {halving, 120, 250},
		{halving, 100 + 10*9, 1}, {halving, 100 + 10*10, 0}, {halving, math.MaxUint32, 0},
		{down, 100, 1000}, {down, 101, 1000 - 142}, {down, 106, 1000 - 856}, {down, 107, 1}, {down, 5000, 1},
		{up, math.MaxUint32, ledger.MaxAmount}, {up, 1, ledger.MaxAmount / math.MaxUint32},
	} {
		if err := c.s.Check(); err != nil {
			t.Errorf("%+v: %v", c.s, err)
		}
		if got := c.s.At(c.at); got != c.want {
			t.Errorf("%+v at %d: %d, want %d", c.s, c.at, got, c.want)
		}
	}
	for _, s := range []policy.Schedule{{}, {Kind: 9}, {Kind: policy.Halving}, {Kind: policy.Linear}, {Kind: policy.Fixed, Span: 1}, {Kind: policy.Halving, Span: 1, Final: 1}, {Kind: policy.Fixed, Initial: 1 << 63}} {
		if s.Check() == nil {
			t.Errorf("%+v is taken", s)
		}
	}
}

// A schedule never leaves the range between its ends, and moves one way only.
func TestSchedulesAreMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := policy.Schedule{Kind: policy.Kind(rapid.IntRange(2, 3).Draw(t, "kind")), Initial: ledger.Amount(rapid.Uint64Range(0, math.MaxInt64).Draw(t, "initial")),
			Start: poc.Epoch(rapid.Uint32().Draw(t, "start")), Span: rapid.Uint32Min(1).Draw(t, "span")}
		if s.Kind == policy.Linear {
			s.Final = ledger.Amount(rapid.Uint64Range(0, math.MaxInt64).Draw(t, "final"))
		}
		a, b := poc.Epoch(rapid.Uint32().Draw(t, "a")), poc.Epoch(rapid.Uint32().Draw(t, "b"))
		if a > b {
			a, b = b, a
		}
		x, y := s.At(a), s.At(b)
		rising := s.Kind == policy.Linear && s.Final > s.Initial
		if rising && x > y || !rising && x < y || max(x, y) > max(s.Initial, s.Final) || min(x, y) < min(s.Initial, s.Final) {
			t.Fatalf("%+v: %d at %d, %d at %d", s, x, a, y, b)
		}
	})
}

func TestRoundTrips(t *testing.T) {
	d := first()
	d.Shares.CapRatio, d.Shares.CapFloor = 1500, 3
	two := after(sign(t, d), 100, 110)
	two.Schedule = policy.Schedule{Kind: policy.Linear, Initial: 1 << 62, Final: 2, Start: 110, Span: 1000}
	two.Operator = poc.Wallet{}
	for _, d := range []policy.Document{d, two} {
		raw, err := d.AppendBinary(nil)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := policy.Parse(raw); err != nil || back != d {
			t.Errorf("bytes: %+v, %v", back, err)
		}
		text, err := json.Marshal(sign(t, d))
		if err != nil {
			t.Fatal(err)
		}
		var s policy.Signed
		if err := json.Unmarshal(text, &s); err != nil || s.Document != d || s.Verify(key.ID()) != nil {
			t.Errorf("text: %v, %+v\n%s", err, s, text)
		}
		for name, broken := range map[string]string{
			"text changed": strings.Replace(string(text), `"credit_price":"10"`, `"credit_price":"11"`, 1),
			"unknown":      strings.Replace(string(text), `"credit_price"`, `"credit_prize"`, 1),
			"float":        strings.Replace(string(text), `"credit_price":"10"`, `"credit_price":"1e1"`, 1),
			"hash changed": strings.Replace(string(text), `"hash":"`+s.ID().String()[:1], `"hash":"x`, 1),
		} {
			if broken == string(text) {
				t.Fatalf("%s: nothing was changed", name)
			}
			if err := json.Unmarshal([]byte(broken), &s); err == nil {
				t.Errorf("%s: taken", name)
			}
		}
	}
}

func TestRefusedDocuments(t *testing.T) {
	for name, change := range map[string]func(*policy.Document){
		"version 0":           func(d *policy.Document) { d.Version = 0 },
		"first has a parent":  func(d *policy.Document) { d.Previous[0] = 1 },
		"second without one":  func(d *policy.Document) { d.Version = 2 },
		"retroactive":         func(d *policy.Document) { d.Version, d.Previous[0], d.From = 2, 1, d.Announced },
		"shares":              func(d *policy.Document) { d.Shares.Data = 900 },
		"threshold":           func(d *policy.Document) { d.Threshold = 1 << 63 },
		"schedule":            func(d *policy.Document) { d.Schedule.Kind = 0 },
		"emission beside it":  func(d *policy.Document) { d.Shares.Emission = 1 },
		"name is not UTF-8":   func(d *policy.Document) { d.Network = "\xff" },
		"name is much longer": func(d *policy.Document) { d.Network = strings.Repeat("x", 65) },
	} {
		d := first()
		change(&d)
		if _, err := policy.Sign(d, key); !errors.Is(err, policy.ErrDocument) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestChain(t *testing.T) {
	one := sign(t, first())
	two := sign(t, after(one, 100, 110))
	three := sign(t, after(two, 111, 120))
	c, err := policy.NewChain(key.ID(), []policy.Signed{three, one, two})
	if err != nil {
		t.Fatal(err)
	}
	for e, want := range map[poc.Epoch]uint32{100: 1, 109: 1, 110: 2, 119: 2, 120: 3, math.MaxUint32: 3} {
		d, err := c.At(e)
		if err != nil || d.Version != want || len(c.Upto(e)) != int(want) || c.Keeps(e, d.ID()) != nil {
			t.Errorf("epoch %d: version %d, %v; want %d", e, d.Version, err, want)
		}
		if again, err := policy.NewChain(key.ID(), c.Upto(e)); err != nil {
			t.Errorf("epoch %d: what a stranger gets: %v", e, err)
		} else if got, err := again.At(e); err != nil || got.ID() != d.ID() {
			t.Errorf("epoch %d: a stranger finds version %d, %v", e, got.Version, err)
		}
	}
	if _, err := c.At(99); !errors.Is(err, policy.ErrChain) {
		t.Errorf("before the first: %v", err)
	}
	if err := c.Keeps(112, one.ID()); err == nil || !strings.Contains(err.Error(), "retroactive") {
		t.Errorf("a later document for an opened epoch: %v", err)
	}
	d, err := c.At(115)
	if p := d.Reward(115); err != nil || p.Emission != 500 || p.Beacon != 60 {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestRefusedChains(t *testing.T) {
	one := sign(t, first())
	two := sign(t, after(one, 100, 110))
	three := sign(t, after(two, 111, 120))
	other := identity.NewEd25519([32]byte{2})
	forged, err := policy.Sign(after(one, 100, 110), other)
	if err != nil {
		t.Fatal(err)
	}
	unsigned, err := policy.Unsigned(first())
	if err != nil {
		t.Fatal(err)
	}
	changed := sign(t, after(one, 100, 110))
	changed.Raw = bytes.Clone(changed.Raw)
	changed.Raw[len(changed.Raw)-1] ^= 1
	overlap := after(one, 90, 100)
	elsewhere := after(one, 100, 110)
	elsewhere.Network = "other"
	backdated := after(one, 80, 110)
	for name, c := range map[string]struct {
		key  identity.HotspotID
		docs []policy.Signed
		want string
	}{
		"none":             {key.ID(), nil, "0 documents"},
		"no key":           {identity.HotspotID{}, []policy.Signed{one, two}, "no policy key"},
		"another's":        {key.ID(), []policy.Signed{one, forged}, "not signed by the policy key"},
		"unsigned":         {key.ID(), []policy.Signed{unsigned}, "no signature"},
		"changed":          {key.ID(), []policy.Signed{one, changed}, "not signed by the policy key"},
		"gap":              {key.ID(), []policy.Signed{one, three}, "what is missing"},
		"begins late":      {key.ID(), []policy.Signed{two, three}, "from version 1 on"},
		"twice":            {key.ID(), []policy.Signed{one, two, sign(t, after(one, 100, 111))}, "two documents of version 2"},
		"overlap":          {key.ID(), []policy.Signed{one, sign(t, overlap)}, "overlap"},
		"another network":  {key.ID(), []policy.Signed{one, sign(t, elsewhere)}, "network"},
		"backdated":        {key.ID(), []policy.Signed{one, sign(t, backdated)}, "was announced"},
		"another ancestor": {key.ID(), []policy.Signed{one, two, sign(t, after(sign(t, after(one, 101, 111)), 111, 120))}, "follows on"},
	} {
		if _, err := policy.NewChain(c.key, c.docs); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if _, err := policy.NewChain(identity.HotspotID{}, []policy.Signed{unsigned}); err != nil {
		t.Errorf("an operator's own document: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(sign(f, first()).Raw)
	f.Add([]byte("heliograph policy\x00\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := policy.Parse(b)
		if err != nil {
			if !errors.Is(err, policy.ErrDocument) || d != (policy.Document{}) {
				t.Fatalf("%+v, %v", d, err)
			}
			return
		}
		if again, err := d.AppendBinary(nil); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("not canonical: %x, %v", again, err)
		}
		text, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		var back policy.Document
		if err := json.Unmarshal(text, &back); err != nil || back != d {
			t.Fatalf("the text says something else: %s, %v", text, err)
		}
	})
}

// TestAnotherPolicyKey: a document signed by the old key names the new one, which
// signs from the next version on, and the old one no more.
func TestAnotherPolicyKey(t *testing.T) {
	next, thief := identity.NewEd25519([32]byte{2}), identity.NewEd25519([32]byte{3})
	with := func(d policy.Document, k *identity.Key) policy.Signed {
		s, err := policy.Sign(d, k)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	one := sign(t, first())
	naming := after(one, 100, 110)
	naming.Successor = next.ID()
	two := sign(t, naming)
	third := after(two, 115, 120)
	third.Successor = identity.HotspotID{}
	three := with(third, next)
	fourth := after(three, 125, 130)
	c, err := policy.NewChain(key.ID(), []policy.Signed{with(fourth, next), three, one, two})
	if err != nil || c.Key() != key.ID() {
		t.Fatalf("%v, key %v", err, c.Key())
	}
	if d, err := c.At(120); err != nil || d.Version != 3 {
		t.Errorf("version %d counts from epoch 120: %v", d.Version, err)
	}
	for name, docs := range map[string][]policy.Signed{
		"the old key goes on":               {one, two, sign(t, third)},
		"the old key comes back":            {one, two, three, sign(t, fourth)},
		"a thief":                           {one, two, with(third, thief)},
		"the new key names itself":          {one, with(naming, next)},
		"the new key before it was named":   {one, with(after(one, 100, 110), next)},
		"begins with the new key's version": {with(first(), next)},
	} {
		if _, err := policy.NewChain(key.ID(), docs); !errors.Is(err, policy.ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// As bytes and as text, and only documents that name one have the longer form.
	raw, err := naming.AppendBinary(nil)
	if err != nil || len(raw) != len(one.Raw)+identity.Size {
		t.Fatalf("%d bytes, without a successor %d: %v", len(raw), len(one.Raw), err)
	}
	if got, err := policy.Parse(raw); err != nil || got != naming {
		t.Errorf("%+v: %v", got, err)
	}
	for _, bad := range [][]byte{raw[:len(raw)-1], append(bytes.Clone(raw), 0), append(bytes.Clone(raw[:len(raw)-identity.Size]), make([]byte, identity.Size)...)} {
		if _, err := policy.Parse(bad); !errors.Is(err, policy.ErrDocument) {
			t.Errorf("%d bytes: %v", len(bad), err)
		}
	}
	text, err := json.Marshal(two)
	var back policy.Signed
	if err == nil {
		err = json.Unmarshal(text, &back)
	}
	if err != nil || back.Document != naming || !strings.Contains(string(text), `"policy_key_from_next_version"`) {
		t.Errorf("%s: %v", text, err)
	}
}
