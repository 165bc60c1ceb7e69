package sx1302

import (
	"context"
	"sync"
	"time"

	"heliograph/radio"
)

// The pause before a restart doubles with each that fails in a row.
const (
	restartFirst = time.Second
	restartLast  = time.Minute
	restartCalm  = time.Minute // of reception, after which the pause is short again
)

// Hooks tell the owner of a [Keeper] what happens. All are called from
// [Keeper.Run], one after the other, and must not wait; each may be nil.
type Hooks struct {
	Up    func(Chip)             // the chip has started, its counter anew
	Down  func()                 // it is down, or Run ends: until Up nothing can be sent
	Fault func(error)            // a fault that was met, an [*Error], to be counted
	Heard func([]radio.RxPacket) // as from [Concentrator.Receive]
}

func (h Hooks) withDefaults() Hooks {
	if h.Up == nil {
		h.Up = func(Chip) {}
	}
	if h.Down == nil {
		h.Down = func() {}
	}
	if h.Fault == nil {
		h.Fault = func(error) {}
	}
	if h.Heard == nil {
		h.Heard = func([]radio.RxPacket) {}
	}
	return h
}

// Keeper keeps a concentrator in service: it starts it, receives, and starts it
// again, with a growing pause, after every fault that a restart can cure.
type Keeper struct {
	c     *Concentrator
	hooks Hooks

	mu   sync.Mutex
	stop context.CancelCauseFunc // ends the reception that is going on; nil while the chip is down
}

// NewKeeper makes a keeper of a concentrator that nobody else starts or receives from.
func NewKeeper(c *Concentrator, h Hooks) *Keeper { return &Keeper{c: c, hooks: h.withDefaults()} }

// Run works until ctx ends, whose error it returns, or until it meets an [*Error]
// that no restart can cure. It runs once.
func (k *Keeper) Run(ctx context.Context) error {
	var pause time.Duration
	for {
		begun, err := k.serve(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		f, ok := FaultOf(err)
		if ok {
			k.hooks.Fault(err)
		}
		if !ok || !f.Restart() {
			return err
		}
		if !begun.IsZero() && k.c.clock.Now().Sub(begun) >= restartCalm {
			pause = 0
		}
		pause = min(max(2*pause, restartFirst), restartLast)
		k.c.log.WarnContext(ctx, "concentrator restarts", "fault", f.String(), "pause_s", pause.Seconds(), "error", err.Error())
		if err := k.c.clock.Sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// serve starts the chip and receives until there is a fault, its own or one that
// was reported. begun is zero when the chip did not start.
func (k *Keeper) serve(ctx context.Context) (begun time.Time, err error) {
	defer k.hooks.Down()
	if err := k.c.Start(ctx); err != nil {
		return begun, err
	}
	begun = k.c.clock.Now()
	chip, err := k.c.Chip(ctx)
	if err != nil {
		return begun, err
	}
	inner, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	k.setStop(stop)
	defer k.setStop(nil)
	k.hooks.Up(chip)
	for {
		packets, err := k.c.Receive(inner)
		switch {
		case err == nil:
			k.hooks.Heard(packets)
		case ctx.Err() == nil && context.Cause(inner) != nil:
			return begun, context.Cause(inner)
		default:
			return begun, err
		}
	}
}

func (k *Keeper) setStop(stop context.CancelCauseFunc) {
	k.mu.Lock()
	k.stop = stop
	k.mu.Unlock()
}

// Report tells the keeper about an error that was met elsewhere, as by Send, Health
// or Spectrum: it restarts the chip where that can help. What is no [*Error] is
// ignored, and so is a fault while the chip is down already. It reports whether the
// chip goes on, so that a fault without a restart is the caller's to count. Report is
// safe for concurrent use.
func (k *Keeper) Report(err error) (goesOn bool) {
	f, ok := FaultOf(err)
	if !ok || !f.Restart() {
		return true
	}
	k.mu.Lock()
	stop := k.stop
	k.mu.Unlock()
	if stop != nil {
		stop(err)
	}
	return false
}
