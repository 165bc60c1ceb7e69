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

// Keeper keeps a concentrator running: it starts it, and starts it again, with a
// growing pause, after every fault that a restart can cure. Its methods are those
// of the firmware's concentrator and safe for concurrent use.
type Keeper struct {
	c     *Concentrator
	event func(err error) // told about every fault; may be nil

	turn  chan struct{} // one Receive at a time looks after the chip
	ready chan struct{} // closed when the chip has started for the first time
	once  sync.Once
	pause time.Duration
	up    bool // only in turn
	since time.Time
}

// NewKeeper makes a keeper. event is called, from Receive, with every [*Error]
// that the chip met, so that it can be counted and logged; it may be nil.
func NewKeeper(c *Concentrator, event func(error)) *Keeper {
	if event == nil {
		event = func(error) {}
	}
	return &Keeper{c: c, event: event, turn: make(chan struct{}, 1), ready: make(chan struct{})}
}

// Receive is [Concentrator.Receive], over restarts. It fails with ctx's error, and
// with an [*Error] that no restart can cure.
func (k *Keeper) Receive(ctx context.Context) ([]radio.RxPacket, error) {
	select {
	case k.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-k.turn }()
	for {
		if !k.up {
			if err := k.start(ctx); err != nil {
				return nil, err
			}
		}
		packets, err := k.c.Receive(ctx)
		if err == nil || ctx.Err() != nil {
			return packets, err
		}
		if err := k.trouble(ctx, err); err != nil {
			return nil, err
		}
	}
}

// start starts the chip until it runs.
func (k *Keeper) start(ctx context.Context) error {
	for {
		err := k.c.Start(ctx)
		if err == nil {
			k.up, k.since = true, k.c.clock.Now()
			k.once.Do(func() { close(k.ready) })
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := k.trouble(ctx, err); err != nil {
			return err
		}
	}
}

// trouble reports a fault and pauses before the restart that may cure it.
func (k *Keeper) trouble(ctx context.Context, err error) error {
	k.event(err)
	f, ok := FaultOf(err)
	if !ok || !f.Restart() {
		return err
	}
	if k.up && k.c.clock.Now().Sub(k.since) >= restartCalm {
		k.pause = 0
	}
	k.up = false
	k.pause = min(max(2*k.pause, restartFirst), restartLast)
	k.c.log.WarnContext(ctx, "concentrator restarts", "fault", f.String(), "pause", k.pause, "error", err)
	return k.c.clock.Sleep(ctx, k.pause)
}

// Send is [Concentrator.Send]. While the chip is down the result is
// [radio.TxNoRadio]; a fault of the chip is [radio.TxFailed], and left to Receive.
func (k *Keeper) Send(ctx context.Context, p radio.TxPacket) (radio.TxResult, error) {
	select {
	case <-k.ready:
	default:
		return radio.TxResult{Status: radio.TxNoRadio}, ctx.Err()
	}
	res, err := k.c.Send(ctx, p)
	if err == nil || ctx.Err() != nil {
		return res, err
	}
	k.event(err)
	return radio.TxResult{Status: radio.TxFailed}, nil
}

// Now is [Concentrator.Now].
func (k *Keeper) Now() (radio.Tick, bool) { return k.c.Now() }
