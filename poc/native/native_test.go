package native

import (
	"encoding/hex"
	"reflect"
	"slices"
	"testing"
	"time"

	"heliograph/poc"
	"heliograph/poc/geo"
	"heliograph/provisioning/identity"
	"heliograph/radio"
)

const noon = int64(1_794_995_200_000_000_000)

var (
	sf9    = radio.LoRaRate(9, 125*radio.KHz)
	alice  = identity.NewEd25519([32]byte{1}).ID()
	bob    = identity.NewEd25519([32]byte{2}).ID()
	paris  = Site{Place: geo.LatLng{Lat: 488_566_000, Lng: 23_522_000}, Gain: 300, Region: "EU868"}
	nearby = Site{Place: geo.LatLng{Lat: 489_466_000, Lng: 23_522_000}, Gain: 600, Region: "EU868"} // 10 km north
)

func goodBeacon() Beacon {
	c := poc.Challenge{Epoch: 1, Hotspot: alice, UnixNano: noon, Frequency: 868_100_000, DataRate: sf9, EIRP: 1600}
	return Beacon{
		Origin: Origin{Registered: true, Session: true, Signature: true},
		Report: poc.Beacon{Hotspot: alice, Challenge: c.ID(), Frequency: c.Frequency, DataRate: sf9, Power: 1300,
			Time: radio.WallTime{UnixNano: noon + 4_000_000, Bound: time.Millisecond}},
		Received: noon + 2_000_000_000, Site: paris, Issued: true, Challenge: c, Proof: true,
	}
}

func goodWitness() Witness {
	b := goodBeacon()
	end := b.Report.Time.UnixNano + int64(OnAir(sf9).Duration())
	return Witness{
		Origin: b.Origin,
		Report: poc.Witness{Hotspot: bob, Frequency: 868_100_000, Offset: -3000, DataRate: sf9, RSSI: -11_000, SNR: 500,
			Time: radio.WallTime{UnixNano: end + 30_000, Bound: time.Millisecond}},
		Received: noon + 2_000_000_000, Site: nearby, State: BeaconCounts, Beacon: TransmissionOf(b.Report, paris),
	}
}

// fault breaks exactly what the check of the same name looks at, and whatever
// comes later as little as possible.
type fault[E any] struct {
	check  string
	reason poc.Reason
	do     func(*E)
}

var beaconFaults = []fault[Beacon]{
	{"registered", poc.UnknownHotspot, func(b *Beacon) { b.Registered = false }},
	{"session", poc.BadSession, func(b *Beacon) { b.Session = false }},
	{"signature", poc.BadSignature, func(b *Beacon) { b.Signature = false }},
	{"challenge", poc.ChallengeUnknown, func(b *Beacon) { b.Issued = false }},
	{"proof", poc.BadProof, func(b *Beacon) { b.Proof = false }},
	{"once", poc.Duplicate, func(b *Beacon) { b.Repeated = true }},
	{"stated_time", poc.NoTime, func(b *Beacon) { b.Report.Time = radio.WallTime{} }},
	{"received", poc.InTheFuture, func(b *Beacon) { b.Received = noon - int64(time.Minute) }},
	{"received", poc.TooOld, func(b *Beacon) { b.Received = noon + int64(27*time.Hour) }},
	{"instant", poc.ChallengeNotDue, func(b *Beacon) { b.Challenge.UnixNano -= int64(time.Second) }},
	{"frequency", poc.WrongFrequency, func(b *Beacon) { b.Report.Frequency += 200_000 }},
	{"data_rate", poc.WrongDataRate, func(b *Beacon) { b.Report.DataRate.SF = 7 }},
	{"power", poc.WrongPower, func(b *Beacon) { b.Report.Power += 101 }},
	{"power", poc.WrongPower, func(b *Beacon) { b.Report.Power -= 301 }},
}

var witnessFaults = []fault[Witness]{
	{"registered", poc.UnknownHotspot, func(w *Witness) { w.Registered = false }},
	{"session", poc.BadSession, func(w *Witness) { w.Session = false }},
	{"signature", poc.BadSignature, func(w *Witness) { w.Signature = false }},
	{"once", poc.Duplicate, func(w *Witness) { w.Repeated = true }},
	{"beacon", poc.NoBeacon, func(w *Witness) { w.State = BeaconMissing }},
	{"self", poc.SelfWitness, func(w *Witness) { w.Report.Hotspot = alice }},
	{"beacon_counts", poc.BeaconRejected, func(w *Witness) { w.State = BeaconRefused }},
	{"region", poc.WrongRegion, func(w *Witness) { w.Site.Region = "US915" }},
	{"stated_time", poc.NoTime, func(w *Witness) { w.Report.Time = radio.WallTime{} }},
	{"received", poc.InTheFuture, func(w *Witness) { w.Received = noon - int64(time.Minute) }},
	{"received", poc.TooOld, func(w *Witness) { w.Received = noon + int64(27*time.Hour) }},
	{"time", poc.WrongTime, func(w *Witness) { w.Beacon.Time.UnixNano -= int64(time.Second) }},
	{"frequency", poc.WrongFrequency, func(w *Witness) { w.Report.Offset = 31_251 }},
	{"data_rate", poc.WrongDataRate, func(w *Witness) { w.Report.DataRate = radio.LoRaRate(10, 125*radio.KHz) }},
	{"near", poc.TooClose, func(w *Witness) { w.Site.Place = w.Beacon.Site.Place }},
	{"far", poc.TooFar, func(w *Witness) { w.Site.Place.Lat -= 20_000_000 }},
	{"rssi_floor", poc.BelowSensitivity, func(w *Witness) { w.Report.RSSI = -13_552 }},
	{"rssi_ceiling", poc.AboveFreeSpace, func(w *Witness) { w.Report.RSSI = -5_000 }},
	{"snr_floor", poc.SNRTooLow, func(w *Witness) { w.Report.SNR = -1_651 }},
	{"snr_ceiling", poc.SNRTooHigh, func(w *Witness) { w.Report.RSSI, w.Report.SNR = -12_500, 900 }},
}

func TestHonestReportsPass(t *testing.T) {
	p := Default()
	if b := goodBeacon(); CheckBeacon(&p, &b) != (Finding{}) {
		t.Errorf("beacon: %+v", CheckBeacon(&p, &b))
	}
	if w := goodWitness(); CheckWitness(&p, &w) != (Finding{}) {
		t.Errorf("witness: %+v", CheckWitness(&p, &w))
	}
	if k := (Packet{Origin: goodBeacon().Origin, Carried: true}); CheckPacket(&p, &k) != (Finding{}) {
		t.Errorf("packet: %+v", CheckPacket(&p, &k))
	}
	if d := (Decline{Origin: goodBeacon().Origin, Issued: true}); CheckDecline(&p, &d).Reason != poc.Declined {
		t.Errorf("decline: %+v", CheckDecline(&p, &d))
	}
}

// TestEveryBeaconCheckIsReachable breaks one thing at a time.
func TestEveryBeaconCheckIsReachable(t *testing.T) {
	reachable(t, BeaconChecks(), beaconFaults, goodBeacon, CheckBeacon)
}

// TestEveryWitnessCheckIsReachable breaks one thing at a time.
func TestEveryWitnessCheckIsReachable(t *testing.T) {
	reachable(t, WitnessChecks(), witnessFaults, goodWitness, CheckWitness)
}

func reachable[E any](t *testing.T, checks []Check[E], faults []fault[E], good func() E, check func(*Params, *E) Finding) {
	t.Helper()
	p := Default()
	seen := map[string][]poc.Reason{}
	for _, f := range faults {
		e := good()
		f.do(&e)
		got := check(&p, &e)
		if got.Reason != f.reason {
			t.Errorf("%s: %v, want %v", f.check, got.Reason, f.reason)
		}
		if got.Reason.Unit() != "" && got.Got == got.Limit {
			t.Errorf("%s: no numbers: %+v", f.check, got)
		}
		if !slices.Contains(seen[f.check], f.reason) {
			seen[f.check] = append(seen[f.check], f.reason)
		}
	}
	for _, c := range checks {
		if !slices.Equal(seen[c.Name], c.Gives) {
			t.Errorf("%s gives %v, the table says %v", c.Name, seen[c.Name], c.Gives)
		}
	}
}

// TestOrder breaks two things at a time, in every pair: the earlier check speaks.
func TestOrder(t *testing.T) {
	orderHolds(t, BeaconChecks(), beaconFaults, goodBeacon)
	orderHolds(t, WitnessChecks(), witnessFaults, goodWitness)
}

func orderHolds[E any](t *testing.T, checks []Check[E], faults []fault[E], good func() E) {
	t.Helper()
	p := Default()
	place := func(name string) int {
		return slices.IndexFunc(checks, func(c Check[E]) bool { return c.Name == name })
	}
	for _, a := range faults {
		for _, b := range faults {
			if place(a.check) >= place(b.check) {
				continue
			}
			e := good()
			b.do(&e)
			a.do(&e)
			if got := first(checks, &p, &e).Reason; got != a.reason {
				t.Errorf("%s before %s: %v, want %v", a.check, b.check, got, a.reason)
			}
		}
	}
}

func TestOtherReports(t *testing.T) {
	p := Default()
	origin := goodBeacon().Origin
	for want, o := range map[poc.Reason]Origin{
		poc.UnknownHotspot: {},
		poc.BadSession:     {Registered: true},
		poc.BadSignature:   {Registered: true, Session: true},
		poc.Duplicate:      {Registered: true, Session: true, Signature: true, Repeated: true},
	} {
		if got := CheckPacket(&p, &Packet{Origin: o, Carried: true}).Reason; got != want {
			t.Errorf("packet: %v, want %v", got, want)
		}
		if got := CheckDecline(&p, &Decline{Origin: o, Issued: true}).Reason; got != want {
			t.Errorf("decline: %v, want %v", got, want)
		}
	}
	if got := CheckPacket(&p, &Packet{Origin: origin}).Reason; got != poc.NotRouted {
		t.Errorf("nobody's packet: %v", got)
	}
	if got := CheckDecline(&p, &Decline{Origin: origin}).Reason; got != poc.ChallengeUnknown {
		t.Errorf("decline of nothing: %v", got)
	}
}

// TestLimitsAreInclusive stands on each numeric limit, then one step beyond.
func TestLimitsAreInclusive(t *testing.T) {
	p := Default()
	for name, f := range map[string]func(beyond int64) poc.Reason{
		"instant": func(x int64) poc.Reason {
			b := goodBeacon()
			b.Report.Time.UnixNano = noon + int64(51*time.Millisecond) + x*1000
			return CheckBeacon(&p, &b).Reason
		},
		"power": func(x int64) poc.Reason {
			b := goodBeacon()
			b.Report.Power = 1400 + radio.CentiDBm(x)
			return CheckBeacon(&p, &b).Reason
		},
		"time": func(x int64) poc.Reason {
			w := goodWitness()
			end := w.Beacon.Time.UnixNano + int64(OnAir(sf9).Duration())
			w.Report.Time.UnixNano = end - int64(22*time.Millisecond) - x*1000
			return CheckWitness(&p, &w).Reason
		},
		"ceiling": func(x int64) poc.Reason {
			w := goodWitness()
			limit := Ceiling(paris, nearby, 1300, 868_100_000).Add(p.CeilingMargin)
			w.Report.RSSI = limit + radio.CentiDBm(x)
			return CheckWitness(&p, &w).Reason
		},
	} {
		if got := f(0); got != poc.OK {
			t.Errorf("%s: at the limit: %v", name, got)
		}
		if got := f(1); got == poc.OK {
			t.Errorf("%s: beyond the limit: ok", name)
		}
	}
}

// TestABadClockIsNoExcuse: admitting an error of an hour does not move a beacon.
func TestABadClockIsNoExcuse(t *testing.T) {
	p := Default()
	b := goodBeacon()
	b.Report.Time = radio.WallTime{UnixNano: noon + int64(2*time.Second), Bound: time.Hour}
	if f := CheckBeacon(&p, &b); f.Reason != poc.ChallengeNotDue || f.Got != 2_000_000 || f.Limit != 1_050_000 {
		t.Errorf("%+v", f)
	}
}

func TestMakeFitsCheck(t *testing.T) {
	p := Default()
	b := goodBeacon()
	tx := Answer(b.Challenge, []byte("proof"), paris.Gain)
	b.Report.Power, b.Report.Frequency, b.Report.DataRate = tx.Power, tx.Frequency, tx.DataRate
	if f := CheckBeacon(&p, &b); !f.Accepted() {
		t.Errorf("%+v", f)
	}
	rx := radio.RxPacket{Payload: tx.Payload, Frequency: tx.Frequency, DataRate: tx.DataRate, CRC: radio.CRCOK,
		RSSI: -9000, SNR: 500, Offset: 77, HasOffset: true}
	w, ok := Observe(bob, rx)
	if !ok || w.Payload != poc.PayloadOf([]byte("proof")) || w.Offset != 77 || w.Hotspot != bob {
		t.Errorf("%+v, %v", w, ok)
	}
	rx.CRC = radio.CRCBad
	if _, ok := Observe(bob, rx); ok {
		t.Error("a packet with a bad checksum is a beacon")
	}
	if OnAir(radio.FSKRate(50_000)) == 0 || OnAir(sf9) < 150_000 || OnAir(radio.DataRate{}) != 0 {
		t.Errorf("on air: %v", OnAir(sf9))
	}
}

func TestPhysics(t *testing.T) {
	for sf, want := range map[radio.SpreadingFactor]radio.CentiDB{5: -250, 7: -750, 12: -2000} {
		if MinSNR(sf) != want {
			t.Errorf("SF%d: %v", sf, MinSNR(sf))
		}
	}
	if got := Sensitivity(radio.LoRaRate(12, 125*radio.KHz), radio.DB(6)); got != -13_701 {
		t.Errorf("sensitivity of SF12: %v", got)
	}
	if got := Sensitivity(radio.LoRaRate(8, 500*radio.KHz), radio.DB(6)); got != -12_099 {
		t.Errorf("sensitivity of SF8 at 500 kHz: %v", got)
	}
	// 13 dBm + 3 dBi + 6 dBi - 111.22 dB over 10.0 km at 868.1 MHz.
	if got := Ceiling(paris, nearby, 1300, 868_100_000); got < -8930 || got > -8915 {
		t.Errorf("ceiling: %v", got)
	}
}

func TestParams(t *testing.T) {
	p := Default()
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	if n := reflect.TypeOf(p).NumField(); n != len(p.Limits()) {
		t.Errorf("%d fields, %d limits", n, len(p.Limits()))
	}
	h := p.Hash()
	// A change of this hash is a change of the rules: publish it as such.
	if got := hex.EncodeToString(h[:8]); got != "4403f76e3b8f57b9" {
		t.Errorf("hash of the default parameters is %s", got)
	}
	names := map[string]bool{}
	v := reflect.ValueOf(&p).Elem()
	for i, l := range p.Limits() {
		if names[l.Name] || l.Name == "" || l.Why == "" {
			t.Errorf("limit %q", l.Name)
		}
		names[l.Name] = true
		// Each field moves its own limit, in the order of declaration.
		q := Default()
		f := reflect.ValueOf(&q).Elem().Field(i)
		step := int64(1)
		if f.Type() == reflect.TypeOf(time.Duration(0)) {
			step = int64(time.Microsecond)
		}
		if f.CanInt() {
			f.SetInt(v.Field(i).Int() + step)
		} else {
			f.SetUint(v.Field(i).Uint() + 1)
		}
		if q.Limits()[i].Value != l.Value+1 || q.Hash() == h {
			t.Errorf("field %d does not move limit %s", i, l.Name)
		}
	}
	for name, f := range map[string]func(*Params){
		"negative":   func(p *Params) { p.MaxDistance = -1 },
		"distances":  func(p *Params) { p.MinDistance = p.MaxDistance + 1 },
		"nobody":     func(p *Params) { p.MaxWitnesses = 0 },
		"everybody":  func(p *Params) { p.MaxWitnesses = 23 },
		"overweight": func(p *Params) { p.FileWeight = 1001 },
		"two points": func(p *Params) { p.LinkObservations = 2 },
		"clocks":     func(p *Params) { p.CoarseWeight = 950 },
	} {
		q := Default()
		f(&q)
		if q.Validate() == nil {
			t.Errorf("%s passes", name)
		}
	}
}

func TestUnits(t *testing.T) {
	// Witness each and beaconer for 1..15 witnesses, four decimals, as in the table
	// of the baseline rule set.
	witness := []uint64{10000, 10000, 10000, 10000, 7600, 6067, 5017, 4262, 3697, 3262, 2918, 2640, 2411, 2220, 2057}
	beacon := []uint64{2500, 5000, 7500, 10000, 12000, 13600, 14880, 15904, 16723, 17379, 17903, 18322, 18658, 18926, 19141}
	for i := range witness {
		if got := (WitnessUnits(i+1) + 50) / 100; got != witness[i] {
			t.Errorf("witness of %d: %d, want %d", i+1, got, witness[i])
		}
		if got := (BeaconUnits(i+1) + 50) / 100; got != beacon[i] {
			t.Errorf("beacon of %d: %d, want %d", i+1, got, beacon[i])
		}
	}
	if BeaconUnits(0) != 0 || WitnessUnits(0) != 0 || BeaconUnits(-1) != 0 {
		t.Error("nobody earns")
	}
	for w := 1; w < 200; w++ {
		if BeaconUnits(w) > BeaconUnits(w+1) || BeaconUnits(w) >= 2*Unit {
			t.Errorf("beacon of %d: %d", w, BeaconUnits(w))
		}
		if WitnessUnits(w) < WitnessUnits(w+1) || WitnessUnits(w)*uint64(w) > 4*Unit {
			t.Errorf("witness of %d: %d", w, WitnessUnits(w))
		}
	}
}

func TestWeight(t *testing.T) {
	p := Default()
	ecc := identity.HotspotID{0} // tag of a P-256 key
	for _, tt := range []struct {
		h     identity.HotspotID
		bound time.Duration
		want  uint32
	}{{ecc, time.Microsecond, 1000}, {ecc, 50 * time.Millisecond, 900}, {ecc, time.Second, 700}, {alice, time.Microsecond, 900}, {alice, time.Second, 630}} {
		if got := Weight(&p, tt.h, radio.WallTime{UnixNano: noon, Bound: tt.bound}); got != tt.want {
			t.Errorf("%v ±%v: %d, want %d", tt.h.Type(), tt.bound, got, tt.want)
		}
	}
	if Weighted(333_333, 700) != 233_333 {
		t.Error("Weighted does not round down")
	}
}

func TestCredits(t *testing.T) {
	for size, want := range map[int]uint32{0: 1, 1: 1, 24: 1, 25: 2, 48: 2, 49: 3, 255: 11} {
		if Credits(size) != want {
			t.Errorf("%d bytes cost %d, want %d", size, Credits(size), want)
		}
	}
}
