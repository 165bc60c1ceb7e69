package beaconer

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"heliograph/firmware/txlimit"
	"heliograph/poc"
	"heliograph/provisioning/identity"
	"heliograph/radio"
	"heliograph/radio/region"
)

const base = int64(1_790_000_000_000_000_000) // UTC at monotonic 0

var key = identity.NewEd25519([32]byte{1})

func limits(t *testing.T) *txlimit.Limiter {
	t.Helper()
	plan, err := region.ByName("EU868")
	if err != nil {
		t.Fatal(err)
	}
	l, err := txlimit.New(txlimit.Config{Plan: plan, Gain: radio.DB(2), MaxPower: radio.DBm(27)}, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// challenge is due that long after monotonic 0.
func challenge(due time.Duration, nonce byte) poc.Challenge {
	return poc.Challenge{
		Hotspot: key.ID(), UnixNano: base + int64(due), Frequency: 867_500 * radio.KHz,
		DataRate: radio.LoRaRate(8, 125*radio.KHz), EIRP: radio.EIRP(radio.DBm(14)), Nonce: [16]byte{nonce},
	}
}

// at is a moment with all clocks running: the counter was 7 s at monotonic 0.
func at(mono time.Duration) Now {
	return Now{
		Mono: mono, UTC: radio.WallTime{UnixNano: base + int64(mono), Bound: 5 * time.Millisecond},
		Tick: radio.Tick(7_000_000 + mono.Microseconds()), HasTick: true,
	}
}

// show prints effects as one line of a scenario.
func show(fx Effects) string {
	var out []string
	for _, t := range fx.Transmit {
		when := "now"
		if t.Packet.When == radio.AtTick {
			when = fmt.Sprint(t.Packet.Tick)
		}
		out = append(out, fmt.Sprintf("transmit %v %v %v at %s", t.Packet.Frequency, t.Packet.DataRate, t.Packet.Power, when))
	}
	for _, b := range fx.Beacons {
		out = append(out, fmt.Sprintf("beacon %v tick %d at +%v ±%v", b.Power, b.Tick, time.Duration(b.Time.UnixNano-base), b.Time.Bound))
	}
	for _, d := range fx.Declines {
		out = append(out, fmt.Sprintf("decline %v", d.Cause))
	}
	for _, r := range fx.Refused {
		out = append(out, "refuse "+string(r))
	}
	if fx.Wake != 0 {
		out = append(out, fmt.Sprintf("wake %v", fx.Wake))
	}
	return strings.Join(out, "; ")
}

type step struct {
	now  Now
	in   any // poc.Challenge, radio.TxResult, or nil for time passing
	want string
}

func TestScenarios(t *testing.T) {
	c := challenge(10*time.Second, 1)
	change := func(f func(*poc.Challenge)) poc.Challenge { x := c; f(&x); return x }
	noTick := func(n Now) Now { n.HasTick = false; return n }
	noUTC := func(n Now) Now { n.UTC = radio.WallTime{}; return n }
	vague := func(n Now) Now { n.UTC.Bound = 2 * time.Second; return n }
	handed := "transmit 867.5 MHz SF8BW125 12 dBm at 17000000; wake 20s"
	tests := []struct {
		name  string
		cfg   Config
		steps []step
	}{
		{"flash", Config{}, []step{
			{at(time.Second), c, "wake 8s"},
			{at(5 * time.Second), nil, "wake 8s"},
			{at(8 * time.Second), nil, handed},
			{at(8100 * time.Millisecond), radio.TxResult{Status: radio.TxOK, Power: radio.DBm(11)}, "beacon 11 dBm tick 17000000 at +10s ±5ms"},
			{at(21 * time.Second), nil, ""},
		}},
		{"radio knows better", Config{}, []step{
			{at(8 * time.Second), c, handed},
			{at(10 * time.Second), radio.TxResult{Status: radio.TxOK, Power: radio.DBm(12), Tick: 17_000_002,
				Time: radio.WallTime{UnixNano: base + 10_000_002_000, Bound: time.Microsecond}}, "beacon 12 dBm tick 17000002 at +10.000002s ±1µs"},
		}},
		{"without a counter the host's clock times it", Config{}, []step{
			{noTick(at(time.Second)), c, "wake 10s"},
			{noTick(at(10 * time.Second)), nil, "transmit 867.5 MHz SF8BW125 12 dBm at now; wake 20s"},
			{noTick(at(10*time.Second + 40*time.Millisecond)), radio.TxResult{Status: radio.TxOK, Power: radio.DBm(12)},
				"beacon 12 dBm tick 0 at +10.02s ±25ms"},
		}},
		{"late", Config{}, []step{
			{at(10*time.Second - 99*time.Millisecond), c, "decline too_late"},
			{at(11 * time.Second), challenge(10*time.Second, 2), "decline too_late"},
		}},
		{"just in time", Config{}, []step{{at(10*time.Second - 100*time.Millisecond), c, handed}}},
		{"no clock, ever", Config{}, []step{
			{noUTC(at(time.Second)), c, "wake 2s"},
			{noUTC(at(10 * time.Second)), nil, "wake 11s"},
			{noUTC(at(11 * time.Second)), nil, "decline no_clock"},
		}},
		{"clock comes in time", Config{}, []step{
			{noUTC(at(time.Second)), c, "wake 2s"},
			{at(3 * time.Second), nil, "wake 8s"},
		}},
		{"clock too vague", Config{}, []step{{vague(at(8 * time.Second)), c, "decline no_clock"}}},
		{"another hotspot's", Config{}, []step{
			{at(0), change(func(c *poc.Challenge) { c.Hotspot = identity.NewEd25519([32]byte{2}).ID() }), "refuse not_for_me"}}},
		{"too far ahead", Config{}, []step{
			{at(0), challenge(10*time.Minute+1, 1), "refuse too_far_ahead"},
			{at(0), challenge(10*time.Minute, 1), "wake 9m58s"}}},
		{"repeated", Config{}, []step{{at(0), c, "wake 8s"}, {at(0), c, "refuse repeated; wake 8s"}}},
		{"too many", Config{MaxPending: 1}, []step{{at(0), c, "wake 8s"}, {at(0), challenge(time.Minute, 9), "refuse too_many; wake 8s"}}},
		{"switched off", Config{Disabled: true}, []step{{at(0), c, "decline disabled"}}},
		{"frequency outside the region", Config{}, []step{
			{at(8 * time.Second), change(func(c *poc.Challenge) { c.Frequency = 915 * radio.MHz }), "decline region"}}},
		{"power above the region", Config{}, []step{
			{at(8 * time.Second), change(func(c *poc.Challenge) { c.EIRP = radio.EIRP(radio.DBm(17)) }), "decline region"}}},
		{"power below the radio", Config{}, []step{
			{at(8 * time.Second), change(func(c *poc.Challenge) { c.EIRP = radio.EIRP(radio.DBm(1)) }), "decline radio"}}},
		{"radio is late", Config{}, []step{{at(8 * time.Second), c, handed}, {at(9 * time.Second), radio.TxResult{Status: radio.TxTooLate}, "decline too_late"}}},
		{"radio refuses", Config{}, []step{{at(8 * time.Second), c, handed}, {at(9 * time.Second), radio.TxResult{Status: radio.TxCollisionPacket}, "decline radio"}}},
		{"radio refuses the power", Config{}, []step{{at(8 * time.Second), c, handed}, {at(9 * time.Second), radio.TxResult{Status: radio.TxBadPower}, "decline region"}}},
		{"radio is silent", Config{}, []step{
			{at(8 * time.Second), c, handed},
			{at(20 * time.Second), nil, "decline radio"},
			{at(21 * time.Second), radio.TxResult{Status: radio.TxOK}, ""},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.cfg.Hotspot, tt.cfg.Limits = key.ID(), limits(t)
			m := New(tt.cfg)
			for i, s := range tt.steps {
				var fx Effects
				switch in := s.in.(type) {
				case poc.Challenge:
					proof, err := in.Prove(key)
					if err != nil {
						t.Fatal(err)
					}
					fx = m.Challenge(s.now, in, proof)
				case radio.TxResult:
					fx = m.Result(s.now, c.ID(), in)
				default:
					fx = m.Tick(s.now)
				}
				if got := show(fx); got != s.want {
					t.Fatalf("step %d gives %q, want %q", i, got, s.want)
				}
			}
		})
	}
}

// TestBeaconFitsChallenge checks what the oracle will check: the proof, and that
// the frame on the air carries its hash.
func TestBeaconFitsChallenge(t *testing.T) {
	m := New(Config{Hotspot: key.ID(), Limits: limits(t)})
	c := challenge(10*time.Second, 3)
	proof, err := c.Prove(key)
	if err != nil {
		t.Fatal(err)
	}
	fx := m.Challenge(at(8*time.Second), c, proof)
	tx := fx.Transmit[0].Packet
	payload, ok := poc.PayloadFromFrame(tx.Payload)
	if !ok || payload != poc.PayloadOf(proof) || payload != fx.Transmit[0].Payload || tx.InvertIQ || tx.NoCRC {
		t.Errorf("frame %x, packet %+v", tx.Payload, tx)
	}
	b := m.Result(at(10*time.Second), c.ID(), radio.TxResult{Status: radio.TxOK, Power: tx.Power}).Beacons[0]
	if err := c.VerifyProof(b.Proof); err != nil || b.Payload() != payload || b.Challenge != c.ID() {
		t.Errorf("beacon %+v: %v", b, err)
	}
}

func TestDutyCycleDeclines(t *testing.T) {
	m := New(Config{Hotspot: key.ID(), Limits: limits(t)})
	mono := 10 * time.Second
	for n := range 1000 {
		c := challenge(mono, byte(n))
		c.DataRate = radio.LoRaRate(10, 125*radio.KHz)
		c.Slot = uint16(n)
		fx := m.Challenge(at(mono-time.Second), c, []byte{1})
		if len(fx.Declines) == 1 {
			if fx.Declines[0].Cause != poc.DeclineDutyCycle || n < 50 {
				t.Fatalf("beacon %d: %v", n, show(fx))
			}
			return
		}
		m.Result(at(mono), c.ID(), radio.TxResult{Status: radio.TxOK})
		mono += 2 * time.Second
	}
	t.Fatal("a band of 36 s an hour has no end")
}
