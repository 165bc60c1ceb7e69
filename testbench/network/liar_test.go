package network

import (
	"bytes"
	"math"
	"slices"
	"testing"
	"time"

	"heliograph/oracle/challenge"
	"heliograph/oracle/registry"
	"heliograph/oracle/verify/verifytest"
	"heliograph/poc"
	"heliograph/poc/native"
	"heliograph/radio"
	"heliograph/testbench/ether"
)

// cityEpoch is an epoch of the city, in which the air decides who hears whom.
// asserted gives the place that the n-th hotspot claims; it transmits from where
// it stands.
func cityEpoch(t *testing.T, asserted func(n int, stands ether.Place) ether.Place) *verifytest.Network {
	t.Helper()
	cfg := challenge.Default()
	cfg.EpochLength, cfg.PerEpoch, cfg.Guard, cfg.MinLead = 2*time.Hour, 4, time.Minute, time.Minute
	n, err := verifytest.Make(verifytest.Config{Hotspots: len(vienna), Challenge: cfg})
	if err != nil {
		t.Fatal(err)
	}
	n.Reports = nil
	air := ether.NewAir(ether.Config{Seed: 1, Exponent: exponent})
	for i, s := range vienna {
		p := asserted(i, s.place)
		n.Asserted[i].Position = poc.Position{LatE7: int32(math.Round(p.Lat * 1e7)), LonE7: int32(math.Round(p.Lon * 1e7))}
		n.Asserted[i].Gain = s.gain
		air.Join(ether.Station{Name: s.name, Place: s.place, Gain: s.gain})
	}
	n.Registry = registry.Fold(slices.Values(n.Asserted))
	schedule, err := challenge.New(n.Seed, n.Epoch, cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range schedule.All(n.Registry) {
		flash(t, n, air, c)
	}
	return n
}

// flash sends the beacon that a challenge asks for, and files all reports.
func flash(t *testing.T, n *verifytest.Network, air *ether.Air, c poc.Challenge) {
	t.Helper()
	from := slices.IndexFunc(n.Asserted, func(a poc.Assertion) bool { return a.Hotspot == c.Hotspot })
	b, err := n.Beacon(from, c)
	if err != nil {
		t.Fatal(err)
	}
	received := c.UnixNano + int64(3*time.Second)
	if err := n.Add(from, b, received); err != nil {
		t.Fatal(err)
	}
	id, _, err := air.Begin(ether.StationID(from), native.Answer(c, b.Proof, n.Asserted[from].Gain), c.UnixNano/1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, rx := range air.End(id) {
		rx.Packet.Tick = radio.Tick(rx.End)
		rx.Packet.Time = radio.WallTime{UnixNano: rx.End * 1000, Bound: time.Millisecond}
		w, ok := native.Observe(n.Keys[rx.To].ID(), rx.Packet)
		if !ok || !bytes.Equal(w.Payload[:], b.Payload().Frame()[1:]) {
			t.Fatal("a witness did not recognise the beacon")
		}
		if err := n.Add(int(rx.To), w, received); err != nil {
			t.Fatal(err)
		}
	}
}

// liar is the hotspot that claims to be elsewhere: in the middle of the city, so
// that many hear it.
const liar = 1

// witnessing counts the verdicts on witness reports of links with a hotspot, and
// on all others.
func witnessing(t *testing.T, n *verifytest.Network, of int) (with, others map[poc.Reason]int) {
	t.Helper()
	out, err := n.Judge(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sender := map[poc.Payload]int{}
	reports := map[poc.ID]poc.Report{}
	for _, r := range n.Reports {
		p, err := poc.ParseReport(r.Data)
		if err != nil {
			t.Fatal(err)
		}
		reports[p.ID] = p
		if p.Beacon != nil {
			sender[p.Beacon.Payload()] = slices.IndexFunc(n.Asserted, func(a poc.Assertion) bool { return a.Hotspot == p.Hotspot })
		}
	}
	with, others = map[poc.Reason]int{}, map[poc.Reason]int{}
	for _, v := range out.Verdicts {
		r := reports[v.Report]
		switch {
		case r.Witness == nil:
		case sender[r.Witness.Payload] == of || r.Hotspot == n.Asserted[of].Hotspot:
			with[v.Reason]++
		default:
			others[v.Reason]++
		}
	}
	return with, others
}

func good(m map[poc.Reason]int) int { return m[poc.OK] + m[poc.NotSelected] }

func sum(m map[poc.Reason]int) (n int) {
	for _, k := range m {
		n += k
	}
	return n
}

// TestHonestCity: physics and rules agree, nobody who tells the truth is refused.
func TestHonestCity(t *testing.T) {
	n := cityEpoch(t, func(_ int, p ether.Place) ether.Place { return p })
	with, others := witnessing(t, n, liar)
	if good(with) != sum(with) || good(others) != sum(others) || sum(with) < 50 || sum(others) < 500 {
		t.Errorf("links of one hotspot: %v, others: %v", with, others)
	}
}

// TestLiar: one hotspot claims to stand elsewhere. A lie beyond the longest link
// that counts costs it everything. A shorter one is seen wherever the signal is
// stronger than free space allows over the claimed distance; links that buildings
// weaken stay below that, which is as far as this rule can see. Nobody who tells
// the truth is refused because of it.
func TestLiar(t *testing.T) {
	honest := cityEpoch(t, func(_ int, p ether.Place) ether.Place { return p })
	before, err := honest.Judge(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		km     int
		reason poc.Reason
		all    bool
	}{{60, poc.AboveFreeSpace, false}, {150, poc.TooFar, true}} {
		n := cityEpoch(t, func(i int, p ether.Place) ether.Place {
			if i == liar {
				p.Lat -= float64(tt.km) / 111.2
			}
			return p
		})
		with, others := witnessing(t, n, liar)
		if with[tt.reason] < 10 || good(with)+with[tt.reason] != sum(with) || (tt.all && good(with) != 0) {
			t.Errorf("%d km: links of the liar: %v", tt.km, with)
		}
		if good(others) != sum(others) || sum(others) < 500 {
			t.Errorf("%d km: links of honest hotspots: %v", tt.km, others)
		}
		after, err := n.Judge(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		id := n.Asserted[liar].Hotspot
		was, is := before.UnitsOf(id), after.UnitsOf(id)
		if was.Beacon == 0 || was.Witness == 0 || (tt.all && is.Beacon+is.Witness != 0) {
			t.Errorf("%d km: units of the liar: %+v, honestly %+v", tt.km, is, was)
		}
		t.Logf("%d km: %d of %d links refused", tt.km, sum(with)-good(with), sum(with))
	}
}
