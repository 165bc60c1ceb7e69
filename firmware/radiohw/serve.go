package radiohw

import (
	"context"
	"time"

	"heliograph/hardware/sx1302"
	"heliograph/radio"
)

// The pause before a restart doubles with each that fails in a row.
const (
	restartFirst = time.Second
	restartLast  = time.Minute
	restartCalm  = time.Minute // of reception, after which the pause is short again
)

// healthEvery is how often the pulse per second is asked for, where there should
// be one.
const healthEvery = 10 * time.Second

// serve starts the chip and receives, and starts it again, with a growing pause,
// after each fault that a restart can cure.
func (r *Radio) serve(ctx context.Context) error {
	var pause time.Duration
	for {
		begun, err := r.receive(ctx)
		r.down()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		f, ok := sx1302.FaultOf(err)
		if ok {
			r.count(f, err)
		}
		if !ok || !f.Restart() {
			r.fatal = err
			close(r.failed)
			return err
		}
		if !begun.IsZero() && r.clock.Now().Sub(begun) >= restartCalm {
			pause = 0
		}
		pause = min(max(2*pause, restartFirst), restartLast)
		r.log.Warn("concentrator restarts", "fault", f.String(), "pause_s", pause.Seconds(), "error", err.Error())
		if err := r.clock.Sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// receive starts the chip and receives until there is a fault, its own or one that
// was reported. begun is zero when the chip did not start.
func (r *Radio) receive(ctx context.Context) (begun time.Time, err error) {
	if err := r.chip.Start(ctx); err != nil {
		return begun, err
	}
	begun = r.clock.Now()
	inner, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if err := r.started(ctx, stop); err != nil {
		return begun, err
	}
	for {
		packets, err := r.chip.Receive(inner)
		switch {
		case err == nil:
			r.deliver(packets)
		case ctx.Err() == nil && context.Cause(inner) != nil:
			return begun, context.Cause(inner)
		default:
			return begun, err
		}
	}
}

func (r *Radio) started(ctx context.Context, stop context.CancelCauseFunc) error {
	chip, err := r.chip.Chip(ctx)
	if err != nil {
		return err
	}
	r.sensor.judge(r)
	r.mu.Lock()
	r.stop = stop
	r.status.Up, r.status.Chip, r.status.Version, r.status.EUI = true, chip.String(), chip.Version, chip.EUI
	r.status.Starts++
	r.mu.Unlock()
	return nil
}

// down ends all packets that wait: the counter begins anew.
func (r *Radio) down() {
	r.mu.Lock()
	r.status.Up, r.stop, r.last = false, nil, 0
	r.mu.Unlock()
	for _, l := range r.lanes {
		if l != nil {
			l.flush()
		}
	}
}

// deliver keeps packets for Receive. It never waits: the chip must not.
func (r *Radio) deliver(packets []radio.RxPacket) {
	r.mu.Lock()
	for _, p := range packets {
		r.last = max(r.last, p.Tick)
	}
	r.mu.Unlock()
	for {
		select {
		case r.heard <- packets:
			return
		default:
		}
		select {
		case old := <-r.heard:
			r.mu.Lock()
			r.status.Displaced += uint64(len(old))
			r.mu.Unlock()
		default:
		}
	}
}

// watch looks now and then for what Receive does not notice.
func (r *Radio) watch(ctx context.Context) {
	var seen sx1302.Stats
	for r.clock.Sleep(ctx, healthEvery) == nil {
		if !r.ready() {
			continue
		}
		if s := r.chip.Stats(); s.Overflow > seen.Overflow {
			r.warn(overflowed, "radiohw: the receive FIFO overflowed and packets are lost: the host polls too slowly; see what else keeps it busy")
			seen = s
		}
		if r.cfg.PPS || r.cfg.Board.Config.Fine != sx1302.FineOff {
			r.watchPulse(ctx)
		}
	}
}

// watchPulse reports the loss of the pulse per second. Reception goes on without.
func (r *Radio) watchPulse(ctx context.Context) {
	err := r.chip.Health(ctx)
	f, isFault := sx1302.FaultOf(err)
	r.mu.Lock()
	before := r.status.PulseLost
	r.status.PulseLost = f == sx1302.FaultPPS
	r.mu.Unlock()
	switch {
	case !isFault || f == sx1302.FaultPPS && before: // well, or said already
	case f == sx1302.FaultPPS:
		r.warn(f.String(), err.Error())
	default:
		r.report(err)
	}
}
