package radiohw

import (
	"context"
	"sync"
	"time"

	"heliograph/hardware/bus"
	"heliograph/hardware/gnss"
	"heliograph/hardware/sx1302"
	"heliograph/hardware/sx1302/calc"
	"heliograph/radio"
)

// GNSS is the receiver whose pulse per second drives the chip's pulse input.
type GNSS struct {
	Name string // for messages, such as the path of its tty

	// Open opens the receiver's serial port; nil: there is none. It is called again
	// after every failure of the port.
	Open func(ctx context.Context) (bus.Serial, error)
}

// How far times may be off beside the reference's own bound.
const (
	// packetBound is how well the chip stamps a packet's end and meets its start:
	// the counter's microsecond and the modem's own delays.
	packetBound = 10 * time.Microsecond

	// nowBound is how well the driver knows the present value of its counter, the
	// scheduling of this process included.
	nowBound = 2 * time.Millisecond
)

// How often the latch is read.
const (
	pulseCurrent = 900 * time.Millisecond // a pulse younger than that is the last one
	latchPause   = 300 * time.Millisecond // between two readings at least
)

// timekeeper relates the chip's counter to GPS time and UTC: it hears what a GNSS
// receiver says, reads the latch of its pulses and keeps a gnss.Reference of both.
// Its methods are safe for concurrent use; a nil timekeeper knows no time.
type timekeeper struct {
	radio *Radio
	cfg   GNSS

	mu       sync.Mutex // never held across I/O; taken before Radio.mu
	ref      gnss.Reference
	run      uint64    // the start of the chip that ref belongs to
	asked    time.Time // when the latch was read last
	state    gnss.State
	unlocks  uint64
	position *gnss.Position
	line     line
}

func newTimekeeper(r *Radio, cfg GNSS) *timekeeper {
	if cfg.Open == nil {
		return nil
	}
	if cfg.Name == "" {
		cfg.Name = "serial"
	}
	return &timekeeper{radio: r, cfg: cfg, state: gnss.Acquiring}
}

// serve listens to the receiver until ctx ends.
func (k *timekeeper) serve(ctx context.Context) {
	if k == nil {
		return
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for k.radio.clock.Sleep(ctx, time.Second) == nil {
			k.watch()
		}
	})
	k.listen(ctx)
	wg.Wait()
}

// counting says which start of the chip its counter belongs to; false while it is down.
func (r *Radio) counting() (run uint64, up bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status.Starts, r.status.Up
}

// follow forgets the reference when the counter has begun anew, and gives the
// counter's present value. It is false while the chip is down. k.mu is held.
func (k *timekeeper) follow() (now gnss.Count, up bool) {
	run, up := k.radio.counting()
	if up && run != k.run {
		k.ref.Reset()
		k.run, k.asked = run, time.Time{}
	}
	tick, ok := k.radio.chip.Now()
	return gnss.Count(calc.CyclesOf(tick)), up && ok
}

// message takes what the receiver said. It reads the latch unless the pulse that
// the message must speak of is known already.
func (k *timekeeper) message(ctx context.Context, m gnss.Message, arrived time.Time) {
	k.understood(m, arrived)
	if m.UTC == nil && m.GPS == nil {
		return
	}
	k.mu.Lock()
	now, up := k.follow()
	at, pulsed := k.ref.Pulsed()
	current := pulsed && now >= at && now-at < gnss.Count(pulseCurrent.Nanoseconds()*4/125)
	read := !current && (k.asked.IsZero() || arrived.Sub(k.asked) >= latchPause)
	run := k.run
	if read {
		k.asked = arrived
	}
	k.mu.Unlock()
	if !up {
		return
	}
	if !read {
		k.pair(m, nil, arrived, run)
		return
	}
	pulse, err := k.radio.chip.Pulse(ctx)
	if err != nil {
		k.radio.report(err)
		return
	}
	k.pair(m, &pulse, arrived, run)
}

// pair gives the reference a pulse, if there is a new one, and a message with the
// counter's value when it arrived. Both must be of one run of the counter.
func (k *timekeeper) pair(m gnss.Message, pulse *sx1302.Pulse, arrived time.Time, run uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now, up := k.follow()
	if !up || k.run != run {
		return
	}
	if pulse != nil && pulse.Seen {
		k.ref.Pulse(gnss.Count(pulse.At))
	}
	// A reading that had to wait for the bus may show a pulse that came after the
	// message: counted from its arrival, the reference sees that.
	age := gnss.Count(max(k.radio.clock.Now().Sub(arrived), 0).Nanoseconds() * 4 / 125)
	if now < age {
		return
	}
	k.ref.Message(m, now-age)
	k.noteState(now)
}

// utc is UTC of a tick of the chip's counter, packetBound included; unknown without
// a reference.
func (k *timekeeper) utc(t radio.Tick) radio.WallTime {
	if k == nil {
		return radio.WallTime{}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	now, up := k.follow()
	if !up {
		return radio.WallTime{}
	}
	w := k.ref.UTCOf(t, now)
	if w.Known() {
		w.Bound += packetBound
	}
	return w
}

// stamp gives received packets their UTC.
func (k *timekeeper) stamp(packets []radio.RxPacket) {
	if k == nil {
		return
	}
	for i := range packets {
		packets[i].Time = k.utc(packets[i].Tick)
	}
}

// sent gives a packet on air the UTC of its start.
func (k *timekeeper) sent(res radio.TxResult) radio.TxResult {
	if res.Status == radio.TxOK && res.Tick != 0 && !res.Time.Known() {
		res.Time = k.utc(res.Tick)
	}
	return res
}

// tickAt is the tick at a GPS time, for packets that go out at one. It is false
// without a reference.
func (k *timekeeper) tickAt(sinceEpoch time.Duration) (radio.Tick, bool) {
	if k == nil {
		return 0, false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	now, up := k.follow()
	if !up {
		return 0, false
	}
	var c gnss.Count
	var ok bool
	if _, _, known := k.ref.GPS(now, now); known {
		c, ok = k.ref.CountAtGPS(sinceEpoch, now)
	} else { // plain NMEA: leap seconds as published
		c, _, ok = k.ref.CountAtUTC(radio.UTCOfGPS(sinceEpoch), now)
	}
	return calc.Cycles(c + calc.CyclesPerMicro/2).Tick(), ok
}

// UTC is the present time by the GNSS receiver, with the error of reading the
// counter in its bound; unknown without a receiver, and while it is not locked.
func (r *Radio) UTC() radio.WallTime {
	now, ok := r.chip.Now()
	if !ok {
		return radio.WallTime{}
	}
	w := r.time.utc(now)
	if w.Known() {
		w.Bound += nowBound
	}
	return w
}

// GPS is the present GPS time, since its epoch, and the tick that it belongs to. It
// is false without a receiver, while that is not locked, and when it never said
// what GPS time it is, as plain NMEA receivers do not.
func (r *Radio) GPS() (sinceEpoch time.Duration, tick radio.Tick, ok bool) {
	if r.time == nil {
		return 0, 0, false
	}
	r.time.mu.Lock()
	defer r.time.mu.Unlock()
	now, up := r.time.follow()
	if !up {
		return 0, 0, false
	}
	sinceEpoch, _, ok = r.time.ref.GPS(now, now)
	return sinceEpoch, calc.Cycles(now).Tick(), ok
}

// TickAtGPS is the tick nearest to a GPS time, up to 512 s ahead, and by how much
// that may be wrong. False as for GPS.
func (r *Radio) TickAtGPS(sinceEpoch time.Duration) (t radio.Tick, bound time.Duration, ok bool) {
	if r.time == nil {
		return 0, 0, false
	}
	r.time.mu.Lock()
	defer r.time.mu.Unlock()
	now, up := r.time.follow()
	if !up {
		return 0, 0, false
	}
	if t, ok = r.time.ref.TickAtGPS(sinceEpoch, now); !ok {
		return 0, 0, false
	}
	_, bound, ok = r.time.ref.GPS(gnss.Count(calc.CyclesOf(t)), now)
	return t, bound, ok
}
