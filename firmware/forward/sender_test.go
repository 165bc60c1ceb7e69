package forward

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"heliograph/firmware/txlimit"
	"heliograph/radio"
	"heliograph/radio/region"
)

// bench is a radio that answers from a list, with the counter at 100 s.
type bench struct {
	answers []any // radio.TxStatus or error
	asked   []string
	noTick  bool
	limits  *txlimit.Limiter
}

func (b *bench) sender() Sender {
	return Sender{
		Limits: b.limits,
		Mono:   func() time.Duration { return time.Second },
		Tick:   func() (radio.Tick, bool) { return 100_000_000, !b.noTick },
		Board:  func(radio.Tick, time.Duration) (uint8, radio.Tick, bool) { return 0, 0, true },
		Send: func(_ context.Context, p radio.TxPacket) (radio.TxResult, error) {
			b.asked = append(b.asked, fmt.Sprintf("%v %v %v", p.Frequency, p.DataRate, p.Power))
			if !p.InvertIQ || !p.NoCRC {
				return radio.TxResult{}, errors.New("not a downlink")
			}
			a := b.answers[0]
			b.answers = b.answers[1:]
			if err, ok := a.(error); ok {
				return radio.TxResult{}, err
			}
			return radio.TxResult{Status: a.(radio.TxStatus), Power: p.Power}, nil
		},
	}
}

func euLimits(t *testing.T) *txlimit.Limiter {
	t.Helper()
	plan, err := region.ByName("EU868")
	if err != nil {
		t.Fatal(err)
	}
	l, err := txlimit.New(txlimit.Config{Plan: plan, Gain: radio.DB(2), MaxPower: radio.DBm(30)}, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestWindows(t *testing.T) {
	rx1 := Window{Tick: 100_500_000, Frequency: 868_100 * radio.KHz, DataRate: radio.LoRaRate(7, 125*radio.KHz), EIRP: radio.EIRP(radio.DBm(14))}
	rx2 := Window{Tick: 101_500_000, Frequency: 869_525 * radio.KHz, DataRate: radio.LoRaRate(12, 125*radio.KHz)}
	const one, two = "868.1 MHz SF7BW125 12 dBm", "869.525 MHz SF12BW125 27.15 dBm"
	change := func(w Window, f func(*Window)) Window { f(&w); return w }
	ok, late := radio.TxOK, radio.TxTooLate
	tests := []struct {
		name    string
		windows []Window
		answers []any
		noTick  bool
		status  radio.TxStatus
		window  int
		asked   []string
	}{
		{"first", []Window{rx1, rx2}, []any{ok}, false, ok, 0, []string{one}},
		{"first is too near", []Window{change(rx1, func(w *Window) { w.Tick = 100_052_499 }), rx2}, []any{ok}, false, ok, 1, []string{two}},
		{"first is just met", []Window{change(rx1, func(w *Window) { w.Tick = 100_052_500 }), rx2}, []any{ok}, false, ok, 0, []string{one}},
		{"late by the radio", []Window{rx1, rx2}, []any{late, ok}, false, ok, 1, []string{one, two}},
		{"collision", []Window{rx1, rx2}, []any{radio.TxCollisionPacket, ok}, false, ok, 1, []string{one, two}},
		{"frequency refused", []Window{rx1, rx2}, []any{radio.TxBadFrequency, ok}, false, ok, 1, []string{one, two}},
		{"error", []Window{rx1, rx2}, []any{errors.New("x"), ok}, false, ok, 1, []string{one, two}},
		{"radio silent: never twice", []Window{rx1, rx2}, []any{radio.TxFailed}, false, radio.TxFailed, 0, []string{one}},
		{"both refused", []Window{rx1, rx2}, []any{late, radio.TxCollisionBeacon}, false, radio.TxCollisionBeacon, 1, []string{one, two}},
		{"only RX2", []Window{rx2}, []any{ok}, false, ok, 0, []string{two}},
		{"both past", []Window{change(rx1, func(w *Window) { w.Tick = 1 })}, nil, false, late, 0, nil},
		{"counter started anew", []Window{change(rx1, func(w *Window) { w.Tick += 1 << 32 })}, nil, false, radio.TxTooEarly, 0, nil},
		{"no counter: let the radio judge", []Window{change(rx1, func(w *Window) { w.Tick = 1 })}, []any{late}, true, late, 0, []string{one}},
		{"class C", []Window{change(rx2, func(w *Window) { w.Immediate, w.Tick = true, 0 })}, []any{ok}, false, ok, 0, []string{two}},
		{"power clamped", []Window{change(rx1, func(w *Window) { w.EIRP = radio.EIRP(radio.DBm(27)) })}, []any{ok}, false, ok, 0, []string{"868.1 MHz SF7BW125 14.15 dBm"}},
		{"outside the region", []Window{change(rx1, func(w *Window) { w.Frequency = 915 * radio.MHz }), rx2}, []any{ok}, false, ok, 1, []string{two}},
		{"only outside", []Window{change(rx1, func(w *Window) { w.Frequency = 915 * radio.MHz })}, nil, false, radio.TxBadFrequency, 0, nil},
		{"nonsense rate", []Window{change(rx1, func(w *Window) { w.DataRate = radio.DataRate{} })}, nil, false, radio.TxFailed, 0, nil},
		{"none", nil, nil, false, radio.TxFailed, 0, nil},
		{"too many", make([]Window, 9), nil, false, radio.TxFailed, 0, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := bench{answers: tt.answers, noTick: tt.noTick, limits: euLimits(t)}
			r := b.sender().Transmit(t.Context(), Downlink{ID: 7, PHY: []byte{0x60, 1, 2, 3}, Windows: tt.windows})
			if r.ID != 7 || r.Status != tt.status || r.Window != tt.window || (r.Why == nil) != (r.Status == radio.TxOK) {
				t.Errorf("result %+v, want %v in window %d", r, tt.status, tt.window)
			}
			if got, want := strings.Join(b.asked, ", "), strings.Join(tt.asked, ", "); got != want {
				t.Errorf("radio was asked for %s, want %s", got, want)
			}
			if len(b.answers) != 0 {
				t.Errorf("%d answers left over", len(b.answers))
			}
		})
	}
}

func TestRefusedWindowCostsNoAirtime(t *testing.T) {
	b := bench{limits: euLimits(t)}
	w := Window{Tick: 100_500_000, Frequency: 868_100 * radio.KHz, DataRate: radio.LoRaRate(12, 125*radio.KHz)}
	for range 100 {
		b.answers = []any{radio.TxCollisionPacket}
		if r := b.sender().Transmit(t.Context(), Downlink{PHY: make([]byte, 200), Windows: []Window{w}}); r.Status != radio.TxCollisionPacket {
			t.Fatalf("%+v", r)
		}
	}
	sent := 0
	for range 100 {
		b.answers = []any{radio.TxOK}
		r := b.sender().Transmit(t.Context(), Downlink{PHY: make([]byte, 200), Windows: []Window{w}})
		if r.Status == radio.TxDutyCycle {
			break
		}
		sent++
	}
	if sent < 3 || sent > 6 { // 36 s an hour, 7.5 s each
		t.Errorf("%d packets until the budget was spent", sent)
	}
}

func TestCancelledSendIsUncertain(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	b := bench{limits: euLimits(t)}
	s := b.sender()
	s.Send = func(ctx context.Context, _ radio.TxPacket) (radio.TxResult, error) {
		cancel()
		return radio.TxResult{}, ctx.Err()
	}
	w := Window{Tick: 100_500_000, Frequency: 868_100 * radio.KHz, DataRate: radio.LoRaRate(7, 125*radio.KHz)}
	if r := s.Transmit(ctx, Downlink{PHY: []byte{1}, Windows: []Window{w, w}}); r.Window != 0 || r.Status != radio.TxFailed {
		t.Errorf("%+v", r)
	}
}
