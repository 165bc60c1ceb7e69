package forward

import (
	"context"
	"errors"
	"fmt"
	"time"

	"heliograph/firmware/txlimit"
	"heliograph/radio"
)

const (
	// Lead is what must be left before a window for the packet to make it:
	// 42.5 ms that packet forwarders insist on and 10 ms for their loop.
	Lead radio.Micros = 52_500
	// MaxAdvance is how far ahead a packet forwarder queues.
	MaxAdvance radio.Micros = 512_000_000
	// maxWindows bounds what one downlink may ask for.
	maxWindows = 8
)

// Window is one chance to send a downlink.
type Window struct {
	Tick      radio.Tick // start, on the counter that the uplink was reported with
	Frequency radio.Hertz
	DataRate  radio.DataRate
	EIRP      radio.EIRP // 0 is the most that the region allows
	Immediate bool       // class C: as soon as possible, Tick is unused
}

// Downlink is a frame with its windows, tried in order.
type Downlink struct {
	ID      uint64
	PHY     []byte
	Windows []Window
}

// Result is what became of a downlink.
type Result struct {
	ID     uint64
	Status radio.TxStatus
	Window int            // the one that was used, or the last that was tried
	Power  radio.CentiDBm // conducted; meaningful with TxOK
	Left   radio.Micros   // lead that was left when the window was chosen
	Why    error          // for the log; nil with TxOK
}

// Sender sends downlinks. All fields must be set; it is safe for concurrent use.
type Sender struct {
	Limits *txlimit.Limiter
	Send   func(context.Context, radio.TxPacket) (radio.TxResult, error)
	Mono   func() time.Duration
	Tick   func() (radio.Tick, bool) // counter of board 0
	Board  func(tick radio.Tick, mono time.Duration) (board uint8, now radio.Tick, ok bool)
}

// Transmit tries the windows in order until one works, and tells the truth about
// it. It blocks as long as the radio takes.
func (s Sender) Transmit(ctx context.Context, d Downlink) Result {
	r := Result{ID: d.ID, Status: radio.TxFailed, Why: errors.New("no windows")}
	if len(d.PHY) == 0 || len(d.PHY) > radio.MaxPayload || len(d.Windows) > maxWindows {
		r.Why = fmt.Errorf("frame of %d bytes with %d windows", len(d.PHY), len(d.Windows))
		return r
	}
	for i, w := range d.Windows {
		r.Window = i
		r.Power, r.Left = 0, 0
		s.try(ctx, d.PHY, w, &r)
		if r.Status == radio.TxOK || ctx.Err() != nil {
			return r
		}
		if r.Status == radio.TxFailed && r.Why == errUncertain {
			return r // it may have gone out: twice is worse than not
		}
	}
	return r
}

var errUncertain = errors.New("the radio did not say whether it sent")

// try sends in one window.
func (s Sender) try(ctx context.Context, phy []byte, w Window, r *Result) {
	p := radio.TxPacket{
		Payload: phy, Frequency: w.Frequency, DataRate: w.DataRate, Coding: 1,
		InvertIQ: true, NoCRC: true, When: radio.Immediate,
	}
	mono := s.Mono()
	start := radio.MicrosOf(mono)
	if !w.Immediate {
		p.When, p.Tick = radio.AtTick, w.Tick
		if status := s.place(&p, mono, r); status != radio.TxOK {
			r.Status, r.Why = status, fmt.Errorf("window starts in %v", r.Left.Duration())
			return
		}
		start += max(0, r.Left)
	}
	req := txlimit.Request{Packet: p, EIRP: w.EIRP, Lower: true}
	if w.EIRP == 0 {
		req.EIRP = txlimit.MaxEIRP
	}
	grant, err := s.Limits.Reserve(req, start)
	if err != nil {
		r.Status, r.Why = statusOf(err), err
		return
	}
	p.Power = grant.Power
	res, err := s.Send(ctx, p)
	switch {
	case err != nil && ctx.Err() != nil:
		r.Status, r.Why = radio.TxFailed, errUncertain
	case err != nil:
		s.Limits.Release(grant)
		r.Status, r.Why = radio.TxFailed, err
	case res.Status == radio.TxOK:
		r.Status, r.Power, r.Why = radio.TxOK, res.Power, nil
	case res.Status == radio.TxFailed:
		r.Status, r.Why = radio.TxFailed, errUncertain
	default:
		s.Limits.Release(grant)
		r.Status, r.Why = res.Status, fmt.Errorf("the radio says %v", res.Status)
	}
}

// place finds the board and judges by its live counter whether the window can
// be met. Without a counter it lets the radio judge.
func (s Sender) place(p *radio.TxPacket, mono time.Duration, r *Result) radio.TxStatus {
	board, now, found := s.Board(p.Tick, mono)
	p.Board = board
	if board == 0 {
		tick, ok := s.Tick()
		if !ok {
			return radio.TxOK
		}
		now = tick
	} else if !found || now == 0 {
		return radio.TxOK
	}
	r.Left = p.Tick.Sub(now)
	switch {
	case r.Left < Lead:
		return radio.TxTooLate
	case r.Left > MaxAdvance:
		return radio.TxTooEarly
	}
	return radio.TxOK
}
