package device

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/radio"
	"heliograph/radio/airtime"
	"heliograph/radio/gwmp"
	"heliograph/radio/lorawan"
	"heliograph/radio/region"
	"heliograph/testbench/ether"
	"heliograph/testbench/lns"
)

var appKey = lorawan.AESKey{9, 8, 7, 6, 5, 4, 3, 2, 1}

const (
	devEUI  = lorawan.EUI64(0x1122334455667788)
	joinEUI = lorawan.EUI64(0x8877665544332211)
)

func eu868(t testing.TB) *region.Plan {
	t.Helper()
	p, err := region.ByName("EU868")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func config(t testing.TB) Config {
	return Config{DevEUI: devEUI, JoinEUI: joinEUI, AppKey: appKey, Plan: eu868(t), Seed: 4, DR: 3, ConfirmEvery: 3}
}

// town is a device, a gateway and a network server in virtual time.
type town struct {
	t      *testing.T
	core   *lns.Core
	device *Device
	gw     *ether.Concentrator
	start  time.Time
	// drop says whether a downlink gets lost before the gateway sends it.
	drop func(lns.Downlink) bool

	mu     sync.Mutex
	events []Event
}

// live runs a town for d of virtual time.
func live(t *testing.T, cfg Config, d time.Duration, drop func(lns.Downlink) bool) (out *town) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), d)
		defer cancel()
		e := ether.New(ether.Config{Seed: 1})
		core, err := lns.NewCore(lns.Config{
			Plan: cfg.Plan, NetID: 0x24, Devices: []lns.Device{{DevEUI: devEUI, JoinEUI: joinEUI, AppKey: appKey}},
		})
		if err != nil {
			t.Fatal(err)
		}
		w := &town{t: t, core: core, start: time.Now(), drop: drop}
		w.gw = ether.NewConcentrator(e.Join(ether.Station{Place: ether.Place{Lat: 48.2, Lon: 16.37}}), ether.Clock{Offset: 1 << 40, PPB: 9000})
		w.device, err = On(e, ether.Station{Place: ether.Place{Lat: 48.205, Lon: 16.37}}, cfg, w.note)
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for _, run := range []func(context.Context) error{e.Run, w.device.Run, w.serve} {
			wg.Go(func() {
				if err := run(ctx); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("ended with %v", err)
				}
			})
		}
		wg.Wait()
		out = w
	})
	return out
}

func (w *town) note(e Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
}

// serve is a packet forwarder and its network server in one loop.
func (w *town) serve(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		got, err := w.gw.Receive(ctx)
		if err != nil {
			return err
		}
		for _, p := range got {
			w.core.Push(time.Since(w.start), gwmp.MAC{1}, gwmp.RxPKOf(p))
		}
		time.Sleep(101 * time.Millisecond) // no second uplink comes in that time
		downs, _ := w.core.Due(time.Since(w.start))
		for _, d := range downs {
			if w.drop != nil && w.drop(d) {
				continue
			}
			wg.Go(func() {
				now, _ := w.gw.Now()
				r, err := w.gw.Send(ctx, d.TxPK.Packet(now))
				if ctx.Err() == nil && (err != nil || r.Status != radio.TxOK) {
					w.t.Errorf("downlink: %v, %v", r.Status, err)
				}
			})
		}
	}
}

func (w *town) count(k EventKind) (n int) {
	for _, e := range w.events {
		if e.Kind == k {
			n++
		}
	}
	return n
}

func (w *town) data() (out []lns.Record) {
	for _, r := range w.core.Records() {
		if r.Verdict == lns.Data {
			out = append(out, r)
		}
	}
	return out
}

func TestJoinAndUplinks(t *testing.T) {
	w := live(t, config(t), 20*time.Minute, nil)
	s := w.device.Stats()
	if s.Joins != 1 || s.JoinRequests != 1 || s.Uplinks < 35 || s.Acked != s.Confirmed || s.Confirmed < s.Uplinks/3 || s.GaveUp != 0 {
		t.Errorf("stats %+v", s)
	}
	if s.Transmissions != s.Uplinks || s.Downlinks != s.Acked || s.Ignored != 0 {
		t.Errorf("stats %+v", s)
	}
	got := w.data()
	if uint64(len(got)) != s.Uplinks {
		t.Fatalf("%d uplinks arrived, %d were sent", len(got), s.Uplinks)
	}
	var sent []Event
	for _, e := range w.events {
		if e.Kind == Sent {
			sent = append(sent, e)
		}
	}
	for i, r := range got {
		if r.FCnt != uint32(i) || !bytes.Equal(r.Payload, sent[i].Payload) || sent[i].FCnt != r.FCnt {
			t.Fatalf("uplink %d: counter %d, payload %x, sent %x", i, r.FCnt, r.Payload, sent[i].Payload)
		}
		if bytes.Contains(r.First.Payload, r.Payload) {
			t.Fatalf("uplink %d is not encrypted", i)
		}
	}
}

func TestLostJoinAcceptsMakeItTryAgain(t *testing.T) {
	lost := 0
	w := live(t, config(t), 20*time.Minute, func(lns.Downlink) bool { lost++; return lost <= 3 })
	s := w.device.Stats()
	if s.JoinRequests != 4 || s.Joins != 1 || s.Uplinks == 0 {
		t.Errorf("stats %+v", s)
	}
	for _, r := range w.core.Records() {
		if r.Verdict == lns.OldNonce {
			t.Error("a DevNonce was used twice")
		}
	}
	if first := w.data()[0]; first.First.DataRate.SF != 10 { // DR3 is SF9; one step down after two failures
		t.Errorf("first uplink at SF%d, want SF10", first.First.DataRate.SF)
	}
}

func TestConfirmedUplinkIsRepeated(t *testing.T) {
	acks := 0
	w := live(t, config(t), 20*time.Minute, func(d lns.Downlink) bool {
		if len(d.TxPK.Payload) > 12 { // a join-accept
			return false
		}
		acks++
		return acks <= 2
	})
	s := w.device.Stats()
	if s.Acked != s.Confirmed || s.Transmissions != s.Uplinks+2 || s.GaveUp != 0 || w.count(Resent) != 2 {
		t.Errorf("stats %+v, %d repetitions", s, w.count(Resent))
	}
	var repeats []uint32
	for _, r := range w.core.Records() {
		if r.Verdict == lns.Repeat {
			repeats = append(repeats, r.FCnt)
		}
	}
	if !slices.Equal(repeats, []uint32{2, 2}) {
		t.Errorf("repetitions of %v, want of 2 twice", repeats)
	}
}

func TestGivesUpAndGoesOn(t *testing.T) {
	w := live(t, config(t), 20*time.Minute, func(d lns.Downlink) bool { return len(d.TxPK.Payload) <= 12 })
	s := w.device.Stats()
	if s.Acked != 0 || s.GaveUp == 0 || s.Confirmed-s.GaveUp > 1 || uint64(w.count(GaveUp)) != s.GaveUp {
		t.Errorf("stats %+v", s)
	}
	if n := s.Transmissions; n < s.Uplinks+3*s.GaveUp || n > s.Uplinks+3*s.Confirmed {
		t.Errorf("%d transmissions of %d uplinks, %d given up", n, s.Uplinks, s.GaveUp)
	}
}

func TestDutyCycleHolds(t *testing.T) {
	cfg := config(t)
	cfg.DR, cfg.Every, cfg.ConfirmEvery = 0, 2*time.Second, 0
	w := live(t, cfg, 150*time.Minute, nil)
	s := w.device.Stats()
	if s.Deferred == 0 {
		t.Fatalf("never deferred: %+v", s)
	}
	// No hour of any start holds more than 36 s: 868.0-868.6 MHz is a 1 % band
	// and all default channels lie in it.
	type sent struct{ end, air radio.Micros }
	var all []sent
	var end radio.Micros
	last := uint32(0)
	for _, r := range w.core.Records() {
		air, err := airtime.OnAir(airtime.Params{DataRate: r.First.DataRate, Coding: 1, PayloadBytes: len(r.First.Payload)})
		if err != nil {
			t.Fatal(err)
		}
		end += radio.Micros(r.First.Tmst - last) // the counter wraps after 71 minutes, the pauses are shorter
		last = r.First.Tmst
		all = append(all, sent{end, air})
	}
	if uint64(len(all)) != s.Transmissions+s.JoinRequests || len(all) < 45 {
		t.Fatalf("%d heard, %+v", len(all), s)
	}
	for i := range all {
		var sum radio.Micros
		for _, x := range all[i:] {
			if x.end < all[i].end+airtime.Hour {
				sum += x.air
			}
		}
		if sum > airtime.Hour/100 {
			t.Fatalf("%v on air in the hour after transmission %d", sum.Duration(), i)
		}
	}
}

func TestSameSeedSameLife(t *testing.T) {
	a, b := live(t, config(t), 5*time.Minute, nil), live(t, config(t), 5*time.Minute, nil)
	ra, rb := a.core.Records(), b.core.Records()
	if len(ra) != len(rb) || len(ra) < 8 {
		t.Fatalf("%d and %d records", len(ra), len(rb))
	}
	for i := range ra {
		if !bytes.Equal(ra[i].First.Payload, rb[i].First.Payload) || ra[i].First.Frequency != rb[i].First.Frequency ||
			ra[i].First.Tmst != rb[i].First.Tmst {
			t.Fatalf("record %d differs", i)
		}
	}
}

func TestHearsOnlyInItsWindows(t *testing.T) {
	m, err := New(config(t))
	if err != nil {
		t.Fatal(err)
	}
	fx := m.Tick(0)
	if fx.Transmit == nil {
		t.Fatal("no join-request")
	}
	accept, err := lorawan.BuildJoinAccept10(lorawan.JoinAcceptBody{JoinNonce: 1, NetID: 0x24, DevAddr: 0x48000001, RXDelay: 1}, appKey)
	if err != nil {
		t.Fatal(err)
	}
	forged, err := lorawan.BuildJoinAccept10(lorawan.JoinAcceptBody{JoinNonce: 1, NetID: 0x24, DevAddr: 0x48000001}, lorawan.AESKey{1})
	if err != nil {
		t.Fatal(err)
	}
	w := m.windows[0]
	right := Heard{PHY: accept, Frequency: w.freq, DataRate: w.rate, Start: w.opens, End: w.opens + 200*time.Millisecond}
	for name, change := range map[string]func(*Heard){
		"early":           func(h *Heard) { h.Start -= time.Second },
		"late":            func(h *Heard) { h.Start += 30 * time.Millisecond },
		"other frequency": func(h *Heard) { h.Frequency += 200 * radio.KHz },
		"other rate":      func(h *Heard) { h.DataRate.SF++ },
		"forged":          func(h *Heard) { h.PHY = forged },
		"garbage":         func(h *Heard) { h.PHY = []byte{0x20, 1, 2} },
		"an uplink":       func(h *Heard) { h.PHY = fx.Transmit.Packet.Payload },
	} {
		h := right
		change(&h)
		if got := m.Heard(h.End, h); len(got.Events) != 0 || m.session != nil {
			t.Errorf("%s: accepted: %+v", name, got)
		}
	}
	if got := m.Heard(right.End, right); len(got.Events) != 1 || got.Events[0].Kind != Joined {
		t.Errorf("genuine: %+v", got)
	}
}

func TestConfigIsChecked(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"no plan":      func(c *Config) { c.Plan = nil },
		"rate":         func(c *Config) { c.DR = 15 },
		"rate nowhere": func(c *Config) { c.DR = 6 },
		"tries":        func(c *Config) { c.Tries = 16 },
		"port":         func(c *Config) { c.FPort = 224 },
		"pace":         func(c *Config) { c.Every = time.Millisecond },
		"power":        func(c *Config) { c.Gain = radio.DB(6) },
	} {
		c := config(t)
		change(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestOversizedPayloadIsDropped(t *testing.T) {
	cfg := config(t)
	cfg.Payload = func(fcnt uint32) []byte { return make([]byte, 100+100*(fcnt%2)) } // DR3 takes 115
	w := live(t, cfg, 10*time.Minute, nil)
	if s := w.device.Stats(); s.Oversized == 0 || s.Uplinks == 0 || uint64(len(w.data())) != s.Uplinks {
		t.Errorf("stats %+v", s)
	}
}
