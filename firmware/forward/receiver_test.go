package forward

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"heliograph/poc"
	"heliograph/provisioning/identity"
	"heliograph/radio"
)

const base = int64(1_790_000_000_000_000_000)

var key = identity.NewEd25519([32]byte{1})

func at(mono time.Duration) Now {
	return Now{
		Mono: mono, Tick: radio.Tick(7_000_000 + mono.Microseconds()), HasTick: true, TickBound: time.Millisecond,
		UTC: radio.WallTime{UnixNano: base + int64(mono), Bound: 5 * time.Millisecond},
	}
}

// uplink is a data frame that was received at monotonic 1 s, made different by n.
func uplink(n byte) radio.RxPacket {
	phy, _ := hex.DecodeString("806b0628268000000aa7c9b885ea4186") // captured; see spec vectors
	phy[6] = n
	return radio.RxPacket{
		Payload: phy, Frequency: 868_100 * radio.KHz, DataRate: radio.LoRaRate(7, 125*radio.KHz), Coding: 1,
		CRC: radio.CRCOK, RSSI: -8000, SignalRSSI: -8100, HasSignalRSSI: true, SNR: 700, Tick: 8_000_000,
	}
}

func beacon(n byte) radio.RxPacket {
	p := uplink(0)
	p.Payload = poc.Payload{n}.Frame()
	p.Offset, p.HasOffset = -420, true
	p.FineNanos, p.HasFine = 123, true
	return p
}

// parse reads a report's body back the way the oracle does.
func parse(t *testing.T, r Report) poc.Report {
	t.Helper()
	b, err := poc.SignBody(r.Body, key)
	if err != nil {
		t.Fatal(err)
	}
	rep, err := poc.ParseReport(b)
	if err != nil || rep.Kind != r.Kind || rep.Time() != r.Time {
		t.Fatalf("report %v %v: %+v, %v", r.Kind, r.Time, rep, err)
	}
	return rep
}

func TestReports(t *testing.T) {
	out := NewReceiver(key.ID()).Step(at(time.Second+20*time.Millisecond), []radio.RxPacket{uplink(1), beacon(1)})
	if len(out) != 2 {
		t.Fatalf("%d reports", len(out))
	}
	p := parse(t, out[0]).Packet
	if p == nil || string(p.PHY) != string(uplink(1).Payload) || p.RSSI != -8100 || p.SNR != 700 || p.Tick != 8_000_000 || p.Hotspot != key.ID() {
		t.Fatalf("packet %+v", p)
	}
	if off := p.Time.UnixNano - base - 1e9; off < -1000 || off > 1000 || p.Time.Bound < 6*time.Millisecond || p.Time.Bound > 7*time.Millisecond {
		t.Errorf("packet's time is off by %d ns, bound %v", off, p.Time.Bound)
	}
	w := parse(t, out[1]).Witness
	if w == nil || w.Payload != (poc.Payload{1}) || w.Offset != -420 || w.FineNanos != 123 || !w.HasFine {
		t.Errorf("witness %+v", w)
	}
}

func TestDrops(t *testing.T) {
	change := func(f func(*radio.RxPacket)) radio.RxPacket { p := uplink(1); f(&p); return p }
	tests := []struct {
		want Drop
		p    radio.RxPacket
	}{
		{BadCRC, change(func(p *radio.RxPacket) { p.CRC = radio.CRCBad })},
		{NoCRC, change(func(p *radio.RxPacket) { p.CRC = radio.CRCNone })},
		{FSK, change(func(p *radio.RxPacket) { p.DataRate = radio.FSKRate(50_000) })},
		{BadReading, change(func(p *radio.RxPacket) { p.DataRate.SF = 13 })},
		{BadReading, change(func(p *radio.RxPacket) { p.Frequency = -1 })},
		{BadReading, change(func(p *radio.RxPacket) { p.SNR = 1 << 16 })},
		{BadReading, change(func(p *radio.RxPacket) { p.SignalRSSI = -1 << 16 })},
		{BadReading, change(func(p *radio.RxPacket) { p.Payload = nil })},
		{BadReading, change(func(p *radio.RxPacket) { p.Payload = make([]byte, 256) })},
		{NotUplink, change(func(p *radio.RxPacket) { p.Payload[0] = 0x60 })},
		{NotLoRaWAN, change(func(p *radio.RxPacket) { p.Payload = []byte{0xe0, 1, 2} })},
		{NotLoRaWAN, change(func(p *radio.RxPacket) { p.Payload = []byte{0x40} })},
		{OwnBeacon, beacon(9)},
	}
	for _, tt := range tests {
		r := NewReceiver(key.ID())
		r.Own(poc.Payload{9})
		out := r.Step(at(time.Second), []radio.RxPacket{tt.p})
		if s := r.Stats(); len(out) != 0 || s.Drops[tt.want] != 1 || len(s.Drops) != 1 {
			t.Errorf("%s: %d reports, %+v", tt.want, len(out), s)
		}
	}
}

func TestDuplicates(t *testing.T) {
	r := NewReceiver(key.ID())
	weak, strong := uplink(1), uplink(1)
	weak.SNR, weak.Board = -500, 16
	out := r.Step(at(time.Second), []radio.RxPacket{weak, strong})
	if len(out) != 1 || parse(t, out[0]).Packet.SNR != strong.SNR {
		t.Fatalf("%d reports; the stronger copy must win", len(out))
	}
	if out := r.Step(at(time.Second+DedupWindow-1), []radio.RxPacket{uplink(1)}); len(out) != 0 {
		t.Error("a copy within the window was reported")
	}
	if out := r.Step(at(time.Second+DedupWindow), []radio.RxPacket{uplink(1)}); len(out) != 1 {
		t.Error("a repetition of the device was taken for a copy")
	}
	for n := range 2 * maxSeen {
		r.Step(at(3*time.Second), []radio.RxPacket{beacon(byte(n)), func() radio.RxPacket {
			p := beacon(0)
			p.Payload[5], p.Payload[6] = byte(n), byte(n>>8)
			return p
		}()})
	}
	if n := r.seen.order.Len(); n > maxSeen || n != len(r.seen.byKey) {
		t.Errorf("%d payloads remembered, %d keys, at most %d", n, len(r.seen.byKey), maxSeen)
	}
}

func TestPacketsWaitForTheTime(t *testing.T) {
	r := NewReceiver(key.ID())
	blind := func(mono time.Duration) Now {
		n := at(mono)
		n.UTC = radio.WallTime{}
		return n
	}
	if out := r.Step(blind(time.Second), []radio.RxPacket{uplink(1)}); len(out) != 0 || r.Stats().Waiting != 1 {
		t.Fatalf("%d reports, %+v", len(out), r.Stats())
	}
	late := uplink(2)
	late.Tick = 9_000_000_000 // the counter starts anew after this one
	r.Step(blind(2*time.Second), []radio.RxPacket{late})
	out := r.Step(at(time.Minute), nil)
	if len(out) != 1 || r.Stats().Drops[NoClock] != 1 || r.Stats().Waiting != 0 {
		t.Fatalf("%d reports, %+v", len(out), r.Stats())
	}
	if off := out[0].Time.UnixNano - base - 1e9; off < -1000 || off > 1000 {
		t.Errorf("stamped %d ns off", off)
	}
	for n := range maxWaiting + 10 {
		r.Step(blind(time.Minute), []radio.RxPacket{func() radio.RxPacket {
			p := uplink(byte(n))
			p.Payload[7] = byte(n >> 8)
			return p
		}()})
	}
	if s := r.Stats(); s.Waiting != maxWaiting || s.Drops[NoClock] != 11 {
		t.Errorf("%+v", s)
	}
}

func TestRadiosOwnTime(t *testing.T) {
	own := radio.WallTime{UnixNano: base + 1e9}
	tests := []struct {
		name  string
		time  radio.WallTime
		blind bool
		taken bool
	}{
		{"GNSS", radio.WallTime{UnixNano: base + 1e9 + 5000, Bound: time.Microsecond}, false, true},
		{"GNSS before the hotspot knows the time", radio.WallTime{UnixNano: base + 5, Bound: time.Microsecond}, true, true},
		{"contradicts", radio.WallTime{UnixNano: base + 2e9, Bound: time.Microsecond}, false, false},
		{"worse than the hotspot's", radio.WallTime{UnixNano: base + 1e9, Bound: 50 * time.Millisecond}, false, false},
		{"host clock of a forwarder", radio.WallTime{UnixNano: base + 1e9, Bound: time.Second}, false, false},
	}
	for _, tt := range tests {
		now := at(time.Second)
		if tt.blind {
			now.UTC = radio.WallTime{}
		}
		p := uplink(1)
		p.Time = tt.time
		out := NewReceiver(key.ID()).Step(now, []radio.RxPacket{p})
		if len(out) != 1 || (out[0].Time == tt.time) != tt.taken {
			t.Errorf("%s: %+v", tt.name, out)
			continue
		}
		if off := out[0].Time.UnixNano - own.UnixNano; !tt.taken && (off < -1000 || off > 1000) {
			t.Errorf("%s: own time is %d ns off", tt.name, off)
		}
	}
}

// TestOtherBoards has a second forwarder whose counter runs elsewhere.
func TestOtherBoards(t *testing.T) {
	r := NewReceiver(key.ID())
	p := uplink(1)
	p.Board, p.Tick = 16, 500_000_000
	out := r.Step(at(time.Second), []radio.RxPacket{p})
	if off := out[0].Time.UnixNano - base - 1e9; off < -1000 || off > 1000 {
		t.Errorf("stamped %d ns off", off)
	}
	r.Step(at(time.Second), []radio.RxPacket{uplink(2)})
	for _, tt := range []struct {
		tick  radio.Tick
		board uint8
		ok    bool
	}{{501_000_000, 16, true}, {506_000_000, 16, true}, {9_000_000, 0, true}, {9_000_001, 0, false}, {100, 0, false}} {
		board, now, ok := r.Board(tt.tick, 2*time.Second)
		if board != tt.board || ok != tt.ok {
			t.Errorf("downlink at %d goes to board %d, %v", tt.tick, board, ok)
		}
		if board == 16 && now != 501_000_000 {
			t.Errorf("board 16 is at %d", now)
		}
	}
}

func TestStatsAreACopy(t *testing.T) {
	r := NewReceiver(key.ID())
	r.Stats().Drops[BadCRC] = 5
	if got := fmt.Sprint(r.Stats().Drops); !strings.Contains(got, "map[]") {
		t.Errorf("drops %s", got)
	}
}
