package challenge

import (
	"encoding/hex"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"heliograph/oracle/registry"
	"heliograph/poc"
	"heliograph/poc/native"
	"heliograph/provisioning/identity"
	"heliograph/radio"
	"heliograph/radio/region"
)

func hotspot(n int, name string, gain radio.CentiDB) registry.Hotspot {
	id := identity.HotspotID{1, byte(n), byte(n >> 8)}
	return registry.Hotspot{ID: id, Assertion: poc.Assertion{Hotspot: id, Region: name, Gain: gain, Sequence: 1}}
}

// TestScheduleHolds every promise of a schedule, for all regions, gains and
// configurations.
func TestScheduleHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := Config{
			EpochLength: time.Duration(rapid.IntRange(60, 90_000).Draw(t, "seconds")) * time.Second,
			PerEpoch:    uint16(rapid.IntRange(1, 24).Draw(t, "per epoch")),
			Guard:       time.Duration(rapid.IntRange(0, 10).Draw(t, "guard")) * time.Second,
		}
		e := poc.Epoch(rapid.Uint32Range(0, 30_000).Draw(t, "epoch"))
		h := hotspot(rapid.IntRange(0, 1000).Draw(t, "hotspot"), rapid.SampledFrom(region.Names()).Draw(t, "region"),
			radio.CentiDB(rapid.Int32Range(-1000, 2000).Draw(t, "gain")))
		cs, err := Schedule(poc.Seed{9}, e, cfg, h)
		if err != nil || len(cs) != int(cfg.PerEpoch) {
			t.Fatalf("%d challenges, %v", len(cs), err)
		}
		plan, _ := region.ByName(h.Assertion.Region)
		for i, c := range cs {
			if Of(c.UnixNano-int64(cfg.Guard), cfg.EpochLength) != e || Of(c.UnixNano+int64(cfg.Guard), cfg.EpochLength) != e {
				t.Fatalf("challenge %d is due in the guard time", i)
			}
			if i > 0 && c.UnixNano-cs[i-1].UnixNano < int64(cfg.slot()/8) {
				t.Fatalf("challenges %d and %d bunch", i-1, i)
			}
			if c.Slot != uint16(i) || c.Epoch != e || c.Hotspot != h.ID || c.UnixNano%1000 != 0 {
				t.Fatalf("%+v", c)
			}
			tx := region.Tx{Frequency: c.Frequency, DataRate: c.DataRate, EIRP: c.EIRP, Gain: h.Assertion.Gain,
				OnAir: native.OnAir(c.DataRate), Listened: true}
			if err := plan.CheckTx(tx); err != nil {
				t.Fatal(err)
			}
			if c.ID() == (poc.ID{}) {
				t.Fatal("a challenge that cannot be written")
			}
		}
	})
}

func TestFind(t *testing.T) {
	s, err := New(poc.Seed{1}, 20_000, Default())
	if err != nil {
		t.Fatal(err)
	}
	h := hotspot(1, "EU868", 300)
	cs, _ := s.Of(h)
	for _, c := range cs {
		for _, near := range []int64{c.UnixNano, 0, 1 << 62, c.UnixNano + int64(5*time.Hour), -1} {
			if got, ok := s.Find(h, c.ID(), near); !ok || got != c {
				t.Errorf("slot %d near %d: %v", c.Slot, near, ok)
			}
		}
		if _, ok := s.Find(hotspot(2, "EU868", 300), c.ID(), c.UnixNano); ok {
			t.Error("another hotspot has the challenge")
		}
	}
	if _, ok := s.Find(h, poc.ID{1}, cs[0].UnixNano); ok {
		t.Error("an invented id is found")
	}
	if _, ok := s.Find(hotspot(1, "MARS1", 0), cs[0].ID(), 0); ok {
		t.Error("a challenge where there is no region")
	}
}

func TestEverythingIsDrawn(t *testing.T) {
	s, _ := New(poc.Seed{3}, 7, Default())
	type count map[any]int
	channels, rates, steps, minutes, nonces := count{}, count{}, count{}, count{}, count{}
	const n = 2000
	for i := range n {
		cs, err := s.Of(hotspot(i, "EU868", 120))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range cs {
			channels[c.Frequency]++
			rates[c.DataRate]++
			steps[c.EIRP]++
			nonces[c.Nonce]++
			minutes[c.UnixNano/int64(time.Hour)%24]++
		}
	}
	total := n * int(Default().PerEpoch)
	for name, tt := range map[string]struct {
		got  count
		want int
	}{"channels": {channels, 8}, "rates": {rates, 4}, "powers": {steps, 4}, "hours": {minutes, 24}} {
		if len(tt.got) != tt.want {
			t.Errorf("%s: %d values, want %d", name, len(tt.got), tt.want)
		}
		for v, c := range tt.got {
			if mean := total / tt.want; name != "hours" && (c < mean*93/100 || c > mean*107/100) {
				t.Errorf("%s: %v was drawn %d times of %d, want about %d", name, v, c, total, mean)
			}
		}
	}
	if len(nonces) != total {
		t.Errorf("%d nonces for %d challenges", len(nonces), total)
	}
	a, _ := Schedule(poc.Seed{3}, 7, Default(), hotspot(1, "EU868", 120))
	b, _ := Schedule(poc.Seed{4}, 7, Default(), hotspot(1, "EU868", 120))
	if a[0].UnixNano == b[0].UnixNano || a[0].Nonce == b[0].Nonce {
		t.Error("the seed has no influence")
	}
}

func TestAllAndDue(t *testing.T) {
	var as []poc.Assertion
	for i := range 50 {
		as = append(as, hotspot(i, "US915", 0).Assertion)
	}
	as = append(as, hotspot(99, "MARS1", 0).Assertion)
	s, _ := New(poc.Seed{5}, 10, Default())
	all := s.All(registry.Fold(slices.Values(as)))
	if len(all) != 50*int(Default().PerEpoch) {
		t.Fatalf("%d challenges", len(all))
	}
	start := Start(10, 24*time.Hour)
	seen := 0
	for from := start; from < start+int64(24*time.Hour); from += int64(7 * time.Minute) {
		to := from + int64(7*time.Minute)
		for _, c := range Due(all, from, to) {
			if c.UnixNano < from || c.UnixNano >= to {
				t.Fatalf("%d is not within %d..%d", c.UnixNano, from, to)
			}
			seen++
		}
	}
	if seen != len(all) {
		t.Errorf("%d of %d were due", seen, len(all))
	}
	if got := Due(all, start+5, start); len(got) != 0 {
		t.Errorf("backwards: %d", len(got))
	}
	if got := Due(all, all[3].UnixNano, all[3].UnixNano+1); len(got) != 1 || got[0] != all[3] {
		t.Errorf("edge: %v", got)
	}
}

// TestFrozen: a change of these values changes what every published epoch means.
func TestFrozen(t *testing.T) {
	cs, err := Schedule(poc.Seed{1, 2, 3}, 20_000, Default(), hotspot(7, "EU868", 300))
	if err != nil {
		t.Fatal(err)
	}
	id := cs[5].ID()
	if got := hex.EncodeToString(id[:8]); got != "65416902ea34d1e9" {
		t.Errorf("challenge 5 has id %s: %+v", got, cs[5])
	}
}

func TestConfig(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
	for name, f := range map[string]func(*Config){
		"length":   func(c *Config) { c.EpochLength = 0 },
		"fraction": func(c *Config) { c.EpochLength += time.Millisecond },
		"nothing":  func(c *Config) { c.PerEpoch = 0 },
		"guard":    func(c *Config) { c.Guard = 12 * time.Hour },
		"negative": func(c *Config) { c.MinLead = -1 },
		"dense":    func(c *Config) { c.EpochLength, c.Guard = 11*time.Second, 0 },
	} {
		c := Default()
		f(&c)
		if c.Validate() == nil {
			t.Errorf("%s passes", name)
		}
		if _, err := Schedule(poc.Seed{}, 1, c, hotspot(1, "EU868", 0)); err == nil {
			t.Errorf("%s makes a schedule", name)
		}
	}
	if _, err := Schedule(poc.Seed{}, 1, Default(), hotspot(1, "", 0)); err == nil {
		t.Error("no region makes a schedule")
	}
}

func BenchmarkFind(b *testing.B) {
	s, _ := New(poc.Seed{1}, 20_000, Default())
	h := hotspot(1, "EU868", 300)
	cs, _ := s.Of(h)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := s.Find(h, cs[7].ID(), cs[7].UnixNano); !ok {
			b.Fatal("lost")
		}
	}
}
