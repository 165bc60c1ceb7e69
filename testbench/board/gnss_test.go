package board

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/firmware/radiohw"
	"heliograph/hardware/bus"
	"heliograph/hardware/gnss"
	"heliograph/radio"
	"heliograph/testbench/chip"
)

// Everything here runs in virtual time, so that minutes without pulses pass at once
// and no instant depends on the machine.

const leapSeconds = 18

// receiver is a simulated GNSS receiver on a serial line: a while after each pulse
// it says what says returns for the second that the pulse began.
type receiver struct {
	mu     sync.Mutex
	says   func(second int64) []byte
	broken error
	deaf   bool   // takes no commands
	heard  []byte // commands to the receiver
	wg     sync.WaitGroup
}

// set changes what it says.
func (r *receiver) set(says func(int64) []byte) {
	r.mu.Lock()
	r.says = says
	r.mu.Unlock()
}

// unplug makes the line fail until it is plugged in again with nil.
func (r *receiver) unplug(err error) {
	r.mu.Lock()
	r.broken = err
	r.mu.Unlock()
}

func (r *receiver) state() (func(int64) []byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.says, r.broken
}

// open implements radiohw.GNSS.Open.
func (r *receiver) open(context.Context) (bus.Serial, error) {
	if _, err := r.state(); err != nil {
		return nil, err
	}
	host, device := net.Pipe()
	r.wg.Go(func() {
		b := make([]byte, 64)
		for !r.deaf {
			n, err := device.Read(b)
			r.mu.Lock()
			r.heard = append(r.heard, b[:n]...)
			r.mu.Unlock()
			if err != nil {
				return
			}
		}
	})
	r.wg.Go(func() {
		defer device.Close()
		for {
			second := time.Now().Unix() + 1
			time.Sleep(time.Until(time.Unix(second, int64(120*time.Millisecond))))
			says, err := r.state()
			if err != nil {
				return
			}
			if _, err := device.Write(says(second)); err != nil {
				return
			}
		}
	})
	return host, nil
}

// sentence frames NMEA text.
func sentence(text string) []byte {
	sum := byte(0)
	for _, c := range []byte(text) {
		sum ^= c
	}
	return fmt.Appendf(nil, "$%s*%02X\r\n", text, sum)
}

// nmea is what plain receivers say.
func nmea(second int64) []byte {
	t := time.Unix(second, 0).UTC()
	return slices.Concat(
		sentence("GNRMC,"+t.Format("150405.00")+",A,4851.0000,N,00221.0000,E,0.0,,"+t.Format("020106")+",,,A"),
		sentence("GPGSV,1,1,02,05,40,083,46,07,17,308,41"),
		sentence("GNGGA,"+t.Format("150405.00")+",4851.0000,N,00221.0000,E,1,09,1.0,35.0,M,46.9,M,,"))
}

// ublox adds GPS time.
func ublox(second int64) []byte { return ubloxAt(second, leapSeconds) }

// ubloxAt does so in a time of leap leap seconds.
func ubloxAt(second int64, leap int8) []byte {
	gps := second - radio.GPSEpoch + int64(leap)
	body, _ := gnss.TimeGPS{ // never fails
		TowMS: uint32(gps%604_800) * 1000, Week: int16(gps / 604_800), Leap: leap,
		TowValid: true, WeekValid: true, LeapValid: true, Accuracy: 25,
	}.AppendBinary(nil)
	return gnss.AppendUBX(nmea(second), 0x01, 0x20, body)
}

// timed is a board with a receiver.
type timed struct {
	*Board
	t    *testing.T
	line *receiver
	sent chan chip.Transmission
}

// withReceiver runs a test in virtual time that starts in 2026, on a board whose
// crystal runs 3 ppm fast.
func withReceiver(t *testing.T, cfg Config, says func(int64) []byte, test func(t *testing.T, b timed)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)))
		line := &receiver{says: says}
		cfg.GNSS = radiohw.GNSS{Name: "/dev/gnss0", Open: line.open}
		cfg.Chip.CrystalPPB, cfg.Chip.CounterAt = 3000, 0xF0000000
		if cfg.Poll == 0 {
			cfg.Poll = 50 * time.Millisecond
		}
		t.Cleanup(line.wg.Wait) // after the radio has closed its end
		b := timed{Board: start(t, cfg), t: t, line: line, sent: make(chan chip.Transmission, 16)}
		b.Chip.OnTransmit(func(s chip.Transmission) func() {
			b.sent <- s
			return nil
		})
		test(t, b)
	})
}

// status waits for d and returns the radio's status.
func (b timed) status(d time.Duration) radiohw.Status {
	time.Sleep(d)
	return b.Radio.Status()
}

// wantState fails the test when the time's state is another one.
func (b timed) wantState(when, want string) {
	b.t.Helper()
	if s := b.Radio.Status().GNSS; s.State != want {
		b.t.Errorf("%s: %s, want %s: %+v", when, s.State, want, *s)
	}
}

// sendAt sends a packet at an instant and says how it ended; one that was on air
// must have started there.
func (b timed) sendAt(at time.Time, bound time.Duration) radio.TxStatus {
	b.t.Helper()
	return b.sendAtGPS(radio.GPSOfUTC(at.UnixNano()), at, bound)
}

// sendAtGPS does so by the GPS time that the instant has.
func (b timed) sendAtGPS(gps time.Duration, at time.Time, bound time.Duration) radio.TxStatus {
	b.t.Helper()
	res, err := b.Radio.Send(b.t.Context(), radio.TxPacket{
		Payload: []byte{0x60, 1, 2, 3, 4, 0, 7, 0, 9, 9, 9, 9}, Frequency: 869_525_000, DataRate: radio.LoRaRate(9, 125*radio.KHz),
		Coding: 1, Power: radio.DBm(14), InvertIQ: true, NoCRC: true, When: radio.AtGPS, GPSTime: gps,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	if res.Status != radio.TxOK {
		return res.Status
	}
	s := <-b.sent
	if off := s.Start.Sub(at); off.Abs() > bound {
		b.t.Errorf("started %v off, want within %v", off, bound)
	}
	if off := time.Duration(res.Time.UnixNano - s.Start.UnixNano()); !res.Time.Known() || off.Abs() > res.Time.Bound || res.Time.Bound > time.Millisecond {
		b.t.Errorf("the result says %v, which is %v off", res.Time, off)
	}
	time.Sleep(time.Second) // until its end
	return res.Status
}

// TestSendAtGPSTime sends at whole and broken seconds, at once after the lock and
// after the counter has wrapped.
func TestSendAtGPSTime(t *testing.T) {
	for name, says := range map[string]func(int64) []byte{"u-blox": ublox, "NMEA": nmea} {
		t.Run(name, func(t *testing.T) {
			withReceiver(t, Config{}, says, func(t *testing.T, b timed) {
				if got := b.sendAt(time.Now().Add(2*time.Second), 0); got != radio.TxGPSUnlocked {
					t.Errorf("before the lock: %v", got)
				}
				time.Sleep(6 * time.Second)
				b.wantState("after 6 s", "locked")
				for _, ahead := range []time.Duration{2 * time.Second, 1_234_567 * time.Microsecond, 200 * time.Second, 30 * time.Second} {
					at := time.Now().Add(ahead).Truncate(time.Microsecond)
					if got := b.sendAt(at, 2*time.Microsecond+ahead/5_000_000); got != radio.TxOK {
						t.Errorf("%v ahead: %v", ahead, got)
					}
				}
				if got := b.sendAt(time.Now().Add(-time.Second), 0); got != radio.TxTooLate {
					t.Errorf("in the past: %v", got)
				}
				if got := b.sendAt(time.Now().Add(time.Hour), 0); got != radio.TxGPSUnlocked && got != radio.TxTooEarly {
					t.Errorf("an hour ahead: %v", got)
				}
				s := b.Radio.Status().GNSS
				if s.CrystalPPB < 2900 || s.CrystalPPB > 3100 || s.BoundNanos == 0 || s.BoundNanos > 20_000 || s.Satellites != 9 || s.Locks != 1 || s.Problem != "" {
					t.Errorf("status %+v", *s)
				}
				b.line.mu.Lock()
				defer b.line.mu.Unlock()
				if !bytes.Contains(b.line.heard, gnss.EnableTimeGPS()) {
					t.Errorf("NAV-TIMEGPS was not asked for: % x", b.line.heard)
				}
			})
		})
	}
}

// TestReceiverTakesNoCommands: a line that does not take the host's request, and would
// block the writer for good, is read all the same.
func TestReceiverTakesNoCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		line := &receiver{says: nmea, deaf: true}
		t.Cleanup(line.wg.Wait)
		b := start(t, Config{Poll: 50 * time.Millisecond, GNSS: radiohw.GNSS{Name: "/dev/gnss0", Open: line.open}})
		time.Sleep(12 * time.Second)
		if s := b.Radio.Status().GNSS; s.State != "locked" {
			t.Errorf("%+v", *s)
		}
	})
}

// TestSendAtGPSTimeAfterNextLeapSecond has a receiver that knows of one more leap
// second than this program: packets for a GPS time start there all the same.
func TestSendAtGPSTimeAfterNextLeapSecond(t *testing.T) {
	says := func(second int64) []byte { return ubloxAt(second, leapSeconds+1) }
	withReceiver(t, Config{}, says, func(t *testing.T, b timed) {
		time.Sleep(6 * time.Second)
		at := time.Now().Add(2 * time.Second).Truncate(time.Microsecond)
		gps := time.Duration(at.UnixNano()) + (leapSeconds+1-radio.GPSEpoch)*time.Second
		if got := b.sendAtGPS(gps, at, 3*time.Microsecond); got != radio.TxOK {
			t.Errorf("ended %v", got)
		}
	})
}

// TestReceivedPacketsCarryGNSSTime compares their time with the truth, before and
// after the lock, and after a restart of the chip, whose counter begins anew.
func TestReceivedPacketsCarryGNSSTime(t *testing.T) {
	withReceiver(t, Config{}, ublox, func(t *testing.T, b timed) {
		hear := func() (radio.RxPacket, time.Time) {
			end := time.Now()
			hearOne(t, b.Board, end)
			ps, err := b.Radio.Receive(t.Context())
			if err != nil || len(ps) != 1 {
				t.Fatalf("%d packets, %v", len(ps), err)
			}
			return ps[0], end
		}
		if p, _ := hear(); p.Time.Known() {
			t.Errorf("before the lock: %v", p.Time)
		}
		check := func(when string) {
			t.Helper()
			p, end := hear()
			if off := time.Duration(p.Time.UnixNano - end.UnixNano()); off.Abs() > p.Time.Bound || p.Time.Bound > 30*time.Microsecond {
				t.Errorf("%s: %v, %v off", when, p.Time, off)
			}
			w, now := b.Radio.UTC(), time.Now()
			if off := time.Duration(w.UnixNano - now.UnixNano()); off.Abs() > w.Bound || w.Bound > 3*time.Millisecond {
				t.Errorf("%s: now is %v, %v off", when, w, off)
			}
		}
		time.Sleep(6 * time.Second)
		check("locked")
		time.Sleep(300 * time.Second)
		check("after wraps of the counter")
		b.Chip.Break(chip.CounterBackwards)
		time.Sleep(1500 * time.Millisecond)
		b.Chip.Mend(chip.CounterBackwards)
		for b.Radio.Status().Starts < 2 || !b.Radio.Status().Up {
			time.Sleep(100 * time.Millisecond)
		}
		if p, _ := hear(); p.Time.Known() {
			t.Errorf("just after a restart: %v", p.Time)
		}
		time.Sleep(6 * time.Second)
		check("after a restart")
	})
}

// TestPulseLost takes the pulses away for 150 s: the crystal carries on for 135 s,
// then there is no time any more, which is said, counted and heals.
func TestPulseLost(t *testing.T) {
	withReceiver(t, Config{}, ublox, func(t *testing.T, b timed) {
		time.Sleep(70 * time.Second)
		b.wantState("with pulses", "locked")
		b.Chip.Break(chip.NoPPS)
		time.Sleep(20 * time.Second)
		b.wantState("20 s without", "locked")
		time.Sleep(40 * time.Second)
		b.wantState("60 s without", "holdover")
		if got := b.sendAt(time.Now().Add(5*time.Second), 40*time.Microsecond); got != radio.TxOK {
			t.Errorf("65 s without: %v", got)
		}
		s := b.status(64 * time.Second) // 130 s
		if s.PulseLost || s.Faults["pps"] != 0 || s.GNSS.Unlocks != 0 {
			t.Errorf("130 s without: %+v", s)
		}
		s = b.status(20 * time.Second) // 150 s
		if !s.PulseLost || s.Faults["pps"] != 1 || s.Faults["gnss_unlocked"] != 1 || s.GNSS.Unlocks != 1 || s.GNSS.State != "acquiring" {
			t.Errorf("150 s without: %+v, %+v", s, *s.GNSS)
		}
		if p := s.Problem(); !strings.Contains(p, "GNSS antenna") || !strings.Contains(p, "ago") {
			t.Errorf("problem %q", p)
		}
		if got := b.sendAt(time.Now().Add(5*time.Second), 0); got != radio.TxGPSUnlocked {
			t.Errorf("150 s without: %v", got)
		}
		if !s.Up {
			t.Error("reception ended with the pulse")
		}
		b.Chip.Mend(chip.NoPPS)
		s = b.status(12 * time.Second)
		b.wantState("12 s after the return", "locked")
		if s.PulseLost || s.Problem() != "" || s.GNSS.Locks != 2 || s.Faults["pps"] != 1 {
			t.Errorf("after the return: %+v, %+v", s, *s.GNSS)
		}
		if got := b.sendAt(time.Now().Add(5*time.Second), 4*time.Microsecond); got != radio.TxOK {
			t.Errorf("after the return: %v", got)
		}
	})
}

// TestPulseNeverCame: the receiver tells the time, but its pulse is not wired.
func TestPulseNeverCame(t *testing.T) {
	withReceiver(t, Config{Chip: chip.Config{NoGNSS: true}}, ublox, func(t *testing.T, b timed) {
		if s := b.status(120 * time.Second); s.PulseLost || s.Faults["pps"] != 0 {
			t.Errorf("after 120 s: %+v", s)
		}
		s := b.status(30 * time.Second)
		if !s.PulseLost || s.Faults["pps"] != 1 || !strings.Contains(s.Problem(), "none has come") {
			t.Errorf("after 150 s: %+v, %q", s, s.Problem())
		}
		if got := b.sendAt(time.Now().Add(5*time.Second), 0); got != radio.TxGPSUnlocked {
			t.Errorf("without a pulse: %v", got)
		}
		if s.GNSS.Unpaired < 100 || s.GNSS.Locks != 0 {
			t.Errorf("%+v", *s.GNSS)
		}
	})
}

// TestReceiverTrouble has lines that say nothing of use: each is told apart,
// reported once with its remedy, and forgotten when the receiver speaks.
func TestReceiverTrouble(t *testing.T) {
	noise := rand.NewChaCha8([32]byte{7})
	for _, tt := range []struct {
		fault, says string
		line        func(int64) []byte
	}{
		{"gnss_garbled", "baud rate", func(int64) []byte {
			b := make([]byte, 960)
			_, _ = noise.Read(b) // never fails
			return b
		}},
		{"gnss_garbled", "baud rate", func(second int64) []byte { // damaged on the way
			b := ublox(second)
			for i := 20; i < len(b); i += 40 {
				b[i] ^= 0x11
			}
			return b
		}},
		{"gnss_silent", "power", func(int64) []byte { return nil }},
		{"gnss_no_fix", "view of the sky", func(int64) []byte { return sentence("GNRMC,,V,,,,,,,,,,N") }},
		{"gnss_no_time", "RMC", func(int64) []byte { return sentence("GPGSV,1,1,02,05,40,083,46,07,17,308,41") }},
	} {
		t.Run(tt.fault, func(t *testing.T) {
			withReceiver(t, Config{}, tt.line, func(t *testing.T, b timed) {
				s := b.status(200 * time.Second)
				if s.GNSS.State != "acquiring" || s.Faults[tt.fault] != 1 || !strings.Contains(s.GNSS.Problem, tt.says) || !strings.Contains(s.GNSS.Problem, "/dev/gnss0") {
					t.Errorf("%+v, faults %v", *s.GNSS, s.Faults)
				}
				if got := b.sendAt(time.Now().Add(5*time.Second), 0); got != radio.TxGPSUnlocked {
					t.Errorf("transmission: %v", got)
				}
				if !s.Up || s.PulseLost {
					t.Errorf("the radio suffers: %+v", s)
				}
				b.line.set(ublox)
				s = b.status(10 * time.Second)
				if s.GNSS.State != "locked" || s.GNSS.Problem != "" || s.Faults[tt.fault] != 1 {
					t.Errorf("after the cure: %+v, faults %v", *s.GNSS, s.Faults)
				}
			})
		})
	}
}

// TestReceiverUnplugged pulls the receiver's plug and puts it back.
func TestReceiverUnplugged(t *testing.T) {
	withReceiver(t, Config{}, ublox, func(t *testing.T, b timed) {
		time.Sleep(10 * time.Second)
		b.line.unplug(errors.New("no such device"))
		s := b.status(60 * time.Second)
		if s.Faults["gnss_port"] != 1 || s.GNSS.State != "holdover" || !strings.Contains(s.GNSS.Problem, "plugged in") {
			t.Errorf("unplugged: %+v, faults %v", *s.GNSS, s.Faults)
		}
		b.line.unplug(nil)
		s = b.status(70 * time.Second)
		if s.GNSS.State != "locked" || s.GNSS.Problem != "" {
			t.Errorf("plugged in again: %+v", *s.GNSS)
		}
	})
}

// slow is a bus on which a reading of the counter takes a second, when it is on.
type slow struct {
	bus.SPI
	on atomic.Bool
}

// Tx implements bus.SPI.
func (s *slow) Tx(ctx context.Context, w, r []byte) error {
	if s.on.Load() && len(w) >= 8 && bytes.Equal(w[:3], []byte{0, 0x61, 0x01}) {
		time.Sleep(950 * time.Millisecond)
	}
	return s.SPI.Tx(ctx, w, r)
}

// TestBusyBus reads the latch so late that it shows the pulse after the one that the
// receiver's message speaks of: that must not make the time a second wrong.
func TestBusyBus(t *testing.T) {
	wire := &slow{}
	withReceiver(t, Config{SPI: func(s bus.SPI) bus.SPI {
		wire.SPI = s
		return wire
	}}, ublox, func(t *testing.T, b timed) {
		right := func() bool {
			w := b.Radio.UTC()
			off := time.Duration(w.UnixNano - time.Now().UnixNano())
			if w.Known() && off.Abs() > w.Bound {
				t.Errorf("%v is %v off", w, off)
			}
			return w.Known()
		}
		wire.on.Store(true)
		for range 60 {
			time.Sleep(time.Second)
			right()
		}
		wire.on.Store(false)
		time.Sleep(6 * time.Second)
		if !right() {
			t.Error("no time on a bus that is free again")
		}
	})
}
