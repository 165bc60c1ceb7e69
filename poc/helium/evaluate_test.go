package helium

import (
	"errors"
	"slices"
	"testing"

	"heliograph/poc/geo"
	"heliograph/provisioning/identity"
	"heliograph/radio"
)

func TestValidPoC(t *testing.T) {
	s := newStage(t, 20)
	slices.Reverse(s.witnesses)
	out := s.evaluate(t)
	if !out.Beacon.Valid() || len(out.Selected) != 14 || len(out.Unselected) != 6 {
		t.Fatalf("beacon %v, %d selected, %d unselected", out.Beacon, len(out.Selected), len(out.Unselected))
	}
	for i, w := range append(slices.Clone(out.Selected), out.Unselected...) {
		if w.Report.Key != testID(byte(i+1)) || !w.Valid() {
			t.Errorf("place %d: %v, %v", i, w.Report.Key, w.Verdict)
		}
		if want := map[bool]string{true: "0.222", false: "0"}[i < 14]; w.Units.String() != want {
			t.Errorf("place %d: units %s, want %s", i, w.Units, want)
		}
	}
	if out.Units.Text(4) != "1.8926" || out.Scale.Text(4) != "0.2000" {
		t.Errorf("units %s, scale %s", out.Units, out.Scale)
	}
	if got := Share(out.Scale, out.Units).String(); got != "0.37852" {
		t.Errorf("share %s", got)
	}
	e := out.Effects
	if e.LastBeacon != t0 || !e.Mutual || len(e.LastWitness) != 20 || e.LastWitness[testID(3)] != t0+300 {
		t.Errorf("effects %+v", e)
	}
}

// One thing is wrong with a beacon; all of its witnesses get its reason.
func TestBeaconReasons(t *testing.T) {
	other, _ := Published(US915)
	for name, c := range map[string]struct {
		spoil func(*stage)
		want  Reason
	}{
		"unknown":              {func(s *stage) { delete(s.gateways, s.beacon.Key) }, GatewayNotFound},
		"no location":          {func(s *stage) { s.change(0, func(g *Gateway) { g.Location = 0 }) }, NotAsserted},
		"no region":            {func(s *stage) { s.change(0, func(g *Gateway) { g.Region = RegionAbsent }) }, NotAsserted},
		"denied":               {func(s *stage) { s.deny.nodes[s.beacon.Key] = true }, Denied},
		"no filter":            {func(s *stage) { s.deny = nil }, Denied},
		"before the entropy":   {func(s *stage) { s.beacon.Received = t0 - 31_000 }, EntropyExpired},
		"after the entropy":    {func(s *stage) { s.beacon.Received = t0 + 151_000 }, EntropyExpired},
		"data only":            {func(s *stage) { s.change(0, func(g *Gateway) { g.FullHotspot = false }) }, InvalidCapability},
		"same window":          {func(s *stage) { s.lastBeacon[s.beacon.Key] = t0 - 1000 }, IrregularInterval},
		"payload":              {func(s *stage) { s.beacon.Data = append([]byte{}, s.beacon.Data[1:]...) }, InvalidPacket},
		"local entropy":        {func(s *stage) { s.beacon.Local = []byte{1, 2, 3, 5} }, InvalidPacket},
		"entropy version":      {func(s *stage) { s.beacon.Remote.Version = 2 }, InvalidPacket},
		"frequency":            {func(s *stage) { s.beacon.Frequency += 200 * radio.KHz }, InvalidPacket},
		"data rate":            {func(s *stage) { s.beacon.DataRate.SF = 9 }, InvalidPacket},
		"other channels":       {func(s *stage) { s.params[EU868] = other }, InvalidPacket},
		"gain over the EIRP":   {func(s *stage) { s.change(0, func(g *Gateway) { g.GainDeciDBi = 200 }) }, InvalidPacket},
		"never a witness":      {func(s *stage) { s.lastWitness = nil }, NoValidWitnesses},
		"witness too long ago": {func(s *stage) { s.lastWitness[s.beacon.Key] = t0 - 48*3_600_000 }, NoValidWitnesses},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, 3)
			c.spoil(s)
			out := s.evaluate(t)
			want := Verdict{c.want, SideBeaconer}
			if out.Beacon != want || len(out.Selected) != 0 || len(out.Unselected) != 3 || out.Units.Sign() != 0 {
				t.Fatalf("beacon %v, want %v; %d selected", out.Beacon, want, len(out.Selected))
			}
			for _, w := range out.Unselected {
				if w.Verdict != want {
					t.Errorf("witness %v, want %v", w.Verdict, want)
				}
			}
			if out.Effects.LastBeacon != s.beacon.Received {
				t.Error("an invalid beacon must use up its window too")
			}
			if late := c.want == NoValidWitnesses; out.Effects.Mutual != late || (len(out.Effects.LastWitness) == 3) != late {
				t.Errorf("effects %+v", out.Effects)
			}
		})
	}
}

func (s *stage) change(n byte, f func(*Gateway)) {
	g := s.gateways[testID(n)]
	f(&g)
	s.gateways[testID(n)] = g
}

func TestBeaconBounds(t *testing.T) {
	for name, spoil := range map[string]func(*stage){
		"first second of entropy": func(s *stage) { s.beacon.Received = t0 - 30_000; s.witnesses = nil },
		"last second of entropy":  func(s *stage) { s.beacon.Received = t0 + 150_999; s.witnesses = nil },
		"next window":             func(s *stage) { s.lastBeacon[s.beacon.Key] = t0 - 6*3_600_000 },
		"almost 48 hours":         func(s *stage) { s.lastWitness[s.beacon.Key] = t0 - 48*3_600_000 + 1 },
		"too much power":          func(s *stage) { s.beacon.TxPowerDBm = 30 },
		"entropy version 1":       func(s *stage) { s.beacon.Remote.Version = 1 },
	} {
		s := newStage(t, 1)
		spoil(s)
		if out := s.evaluate(t); !out.Beacon.Valid() {
			t.Errorf("%s: %v", name, out.Beacon)
		}
	}
	s := newStage(t, 0)
	if out := s.evaluate(t); !out.Beacon.Valid() || out.Effects.Mutual || out.Units.Sign() != 0 {
		t.Errorf("lone beacon: %+v", out)
	}
}

func TestRetry(t *testing.T) {
	s := newStage(t, 1)
	s.params = nil
	if _, err := Evaluate(s.beacon, s.witnesses, s.world()); !errors.Is(err, ErrRetry) {
		t.Errorf("error %v", err)
	}
}

// One thing is wrong with the second of three witnesses; the others stay valid.
func TestWitnessReasons(t *testing.T) {
	const bad = 1
	for name, c := range map[string]struct {
		spoil func(*stage, *WitnessReport)
		want  Reason
	}{
		"unknown":        {func(s *stage, w *WitnessReport) { delete(s.gateways, w.Key) }, GatewayNotFound},
		"no location":    {func(s *stage, w *WitnessReport) { s.change(2, func(g *Gateway) { g.Location = 0 }) }, NotAsserted},
		"denied":         {func(s *stage, w *WitnessReport) { s.deny.nodes[w.Key] = true }, Denied},
		"edge":           {func(s *stage, w *WitnessReport) { s.deny.edges[[2]identity.HotspotID{s.beacon.Key, w.Key}] = true }, DeniedEdge},
		"edge turned":    {func(s *stage, w *WitnessReport) { s.deny.edges[[2]identity.HotspotID{w.Key, s.beacon.Key}] = true }, DeniedEdge},
		"entropy":        {func(s *stage, w *WitnessReport) { w.Received = t0 + 151_000 }, EntropyExpired},
		"late":           {func(s *stage, w *WitnessReport) { w.Received = t0 + 4001 }, TooLate},
		"payload":        {func(s *stage, w *WitnessReport) { w.Data = []byte("other") }, InvalidPacket},
		"data only":      {func(s *stage, w *WitnessReport) { s.change(2, func(g *Gateway) { g.FullHotspot = false }) }, InvalidCapability},
		"frequency":      {func(s *stage, w *WitnessReport) { w.Frequency += 100_001 }, InvalidFrequency},
		"wild frequency": {func(s *stage, w *WitnessReport) { w.Frequency = -1 << 63 }, InvalidFrequency},
		"region":         {func(s *stage, w *WitnessReport) { s.change(2, func(g *Gateway) { g.Region = RU864 }) }, InvalidRegion},
		"next door":      {func(s *stage, w *WitnessReport) { s.change(2, func(g *Gateway) { g.Location = place(200) }) }, BelowMinDistance},
		"other continent": {func(s *stage, w *WitnessReport) {
			s.change(2, func(g *Gateway) { g.Location = geo.CellOf(geo.LatLng{Lat: -300_000_000}, 12) })
		}, BelowMinDistance},
		"coarse location": {func(s *stage, w *WitnessReport) {
			s.change(2, func(g *Gateway) { g.Location = g.Location.Parent(9) })
		}, BelowMinDistance},
		"102 km":          {func(s *stage, w *WitnessReport) { s.change(2, func(g *Gateway) { g.Location = place(102_000) }) }, MaxDistanceExceeded},
		"loud":            {func(s *stage, w *WitnessReport) { w.SignalDeciDBm = -300 }, BadRSSI},
		"never a beacon":  {func(s *stage, w *WitnessReport) { delete(s.lastMutual, w.Key) }, NoValidBeacons},
		"beacon long ago": {func(s *stage, w *WitnessReport) { s.lastMutual[w.Key] = w.Received - 48*3_600_000 }, NoValidBeacons},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, 3)
			c.spoil(s, &s.witnesses[bad])
			out := s.evaluate(t)
			if !out.Beacon.Valid() || len(out.Selected) != 2 || len(out.Unselected) != 1 {
				t.Fatalf("beacon %v, %d selected, %v", out.Beacon, len(out.Selected), out.Unselected)
			}
			if got := out.Unselected[0]; got.Verdict != (Verdict{c.want, SideWitness}) || got.Units.Sign() != 0 {
				t.Errorf("%v, want %v", got.Verdict, c.want)
			}
			// A newcomer's reception counts for its own beacons all the same.
			_, counted := out.Effects.LastWitness[testID(2)]
			if counted != (c.want == NoValidBeacons) {
				t.Errorf("last witness set: %v", counted)
			}
		})
	}
}

func TestDuplicateAndSelf(t *testing.T) {
	s := newStage(t, 2)
	again := s.witnesses[0]
	again.Received += 50
	self := s.witnesses[0]
	self.Key = s.beacon.Key
	s.witnesses = append(s.witnesses, again, self)
	out := s.evaluate(t)
	if len(out.Selected) != 2 || len(out.Unselected) != 1 || out.Unselected[0].Reason != Duplicate {
		t.Errorf("%d selected, unselected %v", len(out.Selected), out.Unselected)
	}
	if _, counted := out.Effects.LastWitness[s.beacon.Key]; counted {
		t.Error("a self-witness counts as a witness")
	}
	s.witnesses = []WitnessReport{self}
	if out := s.evaluate(t); !out.Effects.Mutual || len(out.Unselected) != 0 {
		t.Errorf("the baseline lets a self-witness count as a raw report: %+v", out)
	}
}

// The first report starts the clock, even when it is refused.
func TestRefusedWitnessStartsClock(t *testing.T) {
	s := newStage(t, 2)
	delete(s.gateways, s.witnesses[0].Key)
	s.witnesses[0].Received = t0 - 3000
	s.witnesses[1].Received = t0 - 1499
	out := s.evaluate(t)
	if len(out.Selected) != 0 || out.Unselected[1].Reason != TooLate {
		t.Errorf("%d selected, %v", len(out.Selected), out.Unselected)
	}
	s.witnesses[1].Received = t0 - 1500
	if out := s.evaluate(t); len(out.Selected) != 1 {
		t.Errorf("exactly 1500 ms after the first: %v", out.Unselected)
	}
}

func TestMaxDistanceCutsToKilometres(t *testing.T) {
	for m, want := range map[int64]Reason{100_000: None, 100_999: None, 101_000: MaxDistanceExceeded} {
		if got := CheckMaxDistance(m, 100); got != want {
			t.Errorf("%d m: %v", m, got)
		}
	}
}

func TestEvaluateKeepsArguments(t *testing.T) {
	s := newStage(t, 3)
	slices.Reverse(s.witnesses)
	before := slices.Clone(s.witnesses)
	s.evaluate(t)
	for i := range before {
		if s.witnesses[i].Key != before[i].Key {
			t.Fatal("Evaluate sorted the caller's slice")
		}
	}
}
