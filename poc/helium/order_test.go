package helium

import (
	"errors"
	"testing"

	"heliograph/poc/geo"
	"heliograph/provisioning/identity"
	"heliograph/radio"
)

const retryLabel = "(region params unavailable -> retry)"

// labels names steps as the vectors do; a fault of the other side is marked.
func labels(steps []Step, own Side) []string {
	var out []string
	for _, s := range steps {
		out = append(out, label(s.Reason, s.Side, s.Retry, own))
	}
	return out
}

func label(r Reason, side Side, retry bool, own Side) string {
	switch {
	case retry:
		return retryLabel
	case side != own:
		return r.String() + "(" + side.String() + " side)"
	}
	return r.String()
}

func testID(n byte) identity.HotspotID {
	return identity.NewEd25519([32]byte{n}).ID()
}

// place is a res-12 cell that many metres north of 52.5° N 13.4° E.
func place(metres int64) geo.Cell {
	return geo.CellOf(geo.LatLng{Lat: 525_000_000 + geo.E7(metres*10_000_000/111_195), Lng: 134_000_000}, 12)
}

type fakeDenylist struct {
	nodes map[identity.HotspotID]bool
	edges map[[2]identity.HotspotID]bool
}

func (d fakeDenylist) Denied(id identity.HotspotID) bool { return d.nodes[id] }
func (d fakeDenylist) DeniedEdge(a, b identity.HotspotID) bool {
	return d.edges[[2]identity.HotspotID{a, b}] || d.edges[[2]identity.HotspotID{b, a}]
}

const t0 = Millis(1_700_000_000_000)

// stage is one beacon with witnesses, and the world around them.
type stage struct {
	beacon                              BeaconReport
	witnesses                           []WitnessReport
	gateways                            map[identity.HotspotID]Gateway
	params                              map[Region]RegionParams
	deny                                *fakeDenylist
	lastBeacon, lastMutual, lastWitness map[identity.HotspotID]Millis
	limits                              Limits
}

func (s *stage) world() *World {
	clock := func(m map[identity.HotspotID]Millis) func(identity.HotspotID) (Millis, bool) {
		return func(id identity.HotspotID) (Millis, bool) { v, ok := m[id]; return v, ok }
	}
	w := &World{
		Gateway:    func(id identity.HotspotID) (Gateway, bool) { g, ok := s.gateways[id]; return g, ok },
		Params:     func(r Region) (RegionParams, bool) { p, ok := s.params[r]; return p, ok },
		LastBeacon: clock(s.lastBeacon), LastBeaconMutual: clock(s.lastMutual), LastWitness: clock(s.lastWitness),
		Scale:  func(geo.Cell) Decimal { return DefaultScale() },
		Limits: s.limits,
	}
	if s.deny != nil {
		w.Denied = *s.deny
	}
	return w
}

func (s *stage) evaluate(t *testing.T) Outcome {
	t.Helper()
	out, err := Evaluate(s.beacon, s.witnesses, s.world())
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// newStage is a beacon by hotspot 0 and n witnesses 1..n, all valid.
func newStage(t *testing.T, n int) *stage {
	t.Helper()
	params, _ := Published(EU868)
	s := &stage{
		gateways: map[identity.HotspotID]Gateway{}, params: map[Region]RegionParams{EU868: params},
		deny:       &fakeDenylist{nodes: map[identity.HotspotID]bool{}, edges: map[[2]identity.HotspotID]bool{}},
		lastBeacon: map[identity.HotspotID]Millis{}, lastMutual: map[identity.HotspotID]Millis{},
		lastWitness: map[identity.HotspotID]Millis{}, limits: DefaultLimits(),
	}
	remote := Entropy{Data: make([]byte, 32), Start: t0.seconds() - 30}
	b, err := Derive(remote, []byte{1, 2, 3, 4}, params, 12)
	if err != nil {
		t.Fatal(err)
	}
	s.gateways[testID(0)] = Gateway{Location: place(0), Region: EU868, GainDeciDBi: 12, FullHotspot: true}
	s.beacon = BeaconReport{Key: testID(0), Local: []byte{1, 2, 3, 4}, Remote: remote, Data: b.Payload[:],
		Frequency: b.Frequency, DataRate: b.DataRate, TxPowerDBm: b.PowerDBm, Received: t0}
	s.lastWitness[testID(0)] = t0 - 3_600_000
	for i := 1; i <= n; i++ {
		id := testID(byte(i))
		s.gateways[id] = Gateway{Location: place(5000 + 100*int64(i)), Region: EU868, GainDeciDBi: 12, FullHotspot: true}
		s.lastMutual[id] = t0 - 3_600_000
		s.witnesses = append(s.witnesses, WitnessReport{Key: id, Data: b.Payload[:], SignalDeciDBm: -1100,
			Frequency: b.Frequency, Received: t0 + Millis(100*i)})
	}
	return s
}

// observedBeaconOrder breaks every rule at once and repairs what is complained
// of, until nothing is: the complaints are the order.
func observedBeaconOrder(t *testing.T) []string {
	t.Helper()
	s := newStage(t, 1)
	good := newStage(t, 1)
	key := s.beacon.Key
	s.gateways = map[identity.HotspotID]Gateway{}
	s.params = nil
	s.deny.nodes[key] = true
	s.beacon.Received += 181_000 // beyond the entropy's life
	s.beacon.Data = []byte("wrong")
	s.lastBeacon[key] = t0
	s.lastWitness = nil
	g := good.gateways[key]
	g.FullHotspot = false
	repair := map[string]func(){
		GatewayNotFound.String():   func() { s.gateways[key] = Gateway{} },
		NotAsserted.String():       func() { s.gateways[key] = g },
		retryLabel:                 func() { s.params = good.params },
		Denied.String():            func() { s.deny.nodes = nil },
		EntropyExpired.String():    func() { s.beacon.Received = t0 },
		InvalidCapability.String(): func() { s.gateways = good.gateways },
		IrregularInterval.String(): func() { s.lastBeacon[key] = t0 - 6*3600*1000 },
		InvalidPacket.String():     func() { s.beacon.Data = good.beacon.Data },
		NoValidWitnesses.String():  func() { s.lastWitness = good.lastWitness },
	}
	var seen []string
	for range 2 * len(repair) {
		out, err := Evaluate(s.beacon, s.witnesses, s.world())
		if err != nil && !errors.Is(err, ErrRetry) {
			t.Fatal(err)
		}
		if err == nil && out.Beacon.Valid() {
			return seen
		}
		l := label(out.Beacon.Reason, out.Beacon.Side, err != nil, SideBeaconer)
		seen = append(seen, l)
		if repair[l] == nil {
			t.Fatalf("unexpected complaint %q after %v", l, seen)
		}
		repair[l]()
	}
	t.Fatalf("repairing does not help: %v", seen)
	return nil
}

// observedWitnessOrder does the same for a witness. Checks 0 to 14 are run on
// their case, because a report of the beaconer's own key cannot be a stranger's
// at the same time; the last check is observed through Evaluate.
func observedWitnessOrder(t *testing.T) []string {
	t.Helper()
	s := newStage(t, 1)
	w := s.world()
	good := s.witnesses[0]
	bad := good
	bad.Key = s.beacon.Key
	bad.Received = t0 + 200_000
	bad.Data = nil
	bad.Frequency += radio.MHz
	bad.SignalDeciDBm = 0
	everyone := fakeDenylist{
		nodes: map[identity.HotspotID]bool{bad.Key: true, good.Key: true},
		edges: map[[2]identity.HotspotID]bool{{bad.Key, bad.Key}: true},
	}
	w.Denied = everyone
	c := &witnessCase{w: w, b: &s.beacon, firstWitness: t0, r: &bad, seen: true}
	beaconer := s.gateways[s.beacon.Key]
	// Half the world away there is no grid distance, which counts as too near.
	far := Gateway{Location: geo.CellOf(geo.LatLng{Lat: -400_000_000}, 12), Region: US915}
	repair := map[string]func(){
		Duplicate.String():                       func() { c.seen = false },
		GatewayNotFound.String():                 func() { c.known = true },
		NotAsserted.String():                     func() { c.gateway = far },
		NotAsserted.String() + "(beaconer side)": func() { c.beaconer = beaconer },
		Denied.String():                          func() { everyone.nodes[bad.Key] = false },
		DeniedEdge.String():                      func() { clear(everyone.edges) },
		SelfWitness.String():                     func() { bad.Key = good.Key; everyone.nodes[good.Key] = false },
		EntropyExpired.String():                  func() { bad.Received = t0 + 10_000 },
		TooLate.String():                         func() { bad.Received = good.Received },
		InvalidPacket.String():                   func() { bad.Data = good.Data },
		InvalidCapability.String():               func() { c.gateway.FullHotspot = true },
		InvalidFrequency.String():                func() { bad.Frequency = good.Frequency },
		InvalidRegion.String():                   func() { c.gateway.Region = EU868 },
		BelowMinDistance.String():                func() { c.gateway.Location = place(150_000) },
		MaxDistanceExceeded.String():             func() { c.gateway.Location = place(5_000) },
		BadRSSI.String():                         func() { bad.SignalDeciDBm = good.SignalDeciDBm },
	}
	var seen []string
	for range 2 * len(repair) {
		v := checkWitness(c)
		if v.Valid() {
			s.lastMutual = nil
			for _, u := range s.evaluate(t).Unselected {
				seen = append(seen, label(u.Reason, u.Side, false, SideWitness))
			}
			return seen
		}
		l := label(v.Reason, v.Side, false, SideWitness)
		seen = append(seen, l)
		if repair[l] == nil {
			t.Fatalf("unexpected complaint %q after %v", l, seen)
		}
		repair[l]()
	}
	t.Fatalf("repairing does not help: %v", seen)
	return nil
}
