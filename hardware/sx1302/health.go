package sx1302

import (
	"context"
	"time"

	"heliograph/hardware/sx1302/calc"
)

// How the driver watches the chip.
const (
	// WatchEvery is how often Receive looks for the faults that do not show by
	// themselves; a stall is believed at the second look.
	WatchEvery = 2 * time.Second

	// PPSLost is how long without a pulse counts as its loss: one wrap of the
	// counter.
	PPSLost = 135 * time.Second

	stalledStatus = 0x14 // of the AGC: the state of the known silent stall
	allEnabled    = 0x0F // COMMON_GEN of a chip that was not reset behind our back
)

// watch is what Health remembers from look to look.
type watch struct {
	due     time.Time
	stalled int // looks in a row with the AGC in the stall's state
	lastPPS time.Time

	pulse     calc.Cycles // the last one
	pulseSeen bool
}

// Health looks once for everything that can go wrong without being noticed:
// a parity error of a microcontroller, the receiver's silent stall, a chip that
// was reset or replaced behind the driver's back, a counter that stands still,
// jumps or runs backwards, a receiver that once heard packets and has heard none
// for [Options].Silence, and the loss of a pulse per second that was there.
// Receive does the same on its own every [WatchEvery], except for the pulse, without which
// reception goes on. The result is an [*Error], or ctx's error.
func (c *Concentrator) Health(ctx context.Context) error {
	return c.withTurn(ctx, func() error {
		if !c.started {
			return fault(FaultNoChip, nil, "the concentrator is not started")
		}
		if err := c.look(ctx); err != nil {
			return err
		}
		if err := c.readCounter(ctx); err != nil {
			return err
		}
		if p := c.pulse(c.clock.Now()); p.Seen { // boards without a receiver are well without
			return p.Lost()
		}
		return nil
	})
}

// addEnds asks for the state of each chain whose last packet must have ended since
// the last look; the result is the frame of each chain, -1 for none.
func (c *Concentrator) addEnds(l *link) (frames [RFChains]int) {
	now := c.clock.Now()
	for chain := range frames {
		t := &c.tx[chain]
		frames[chain] = -1
		if !t.busy && !t.ended && !t.until.IsZero() && now.After(t.until.Add(endGrace)) {
			frames[chain] = l.addRead(regTxTopATxFsmStatusTxStatus.plus(fieldsOf(chain).tx).addr(), 1, false)
		}
	}
	return frames
}

func (c *Concentrator) checkEnds(l *link, frames [RFChains]int) error {
	for chain, frame := range frames {
		if frame < 0 {
			continue
		}
		if s := l.frames[frame].r[readStart]; s != txFree {
			return fault(FaultTxStuck, nil, "chain %d: state %#02x after the packet's end", chain, s)
		}
		c.tx[chain].ended = true
	}
	return nil
}

// look reads the microcontrollers' states and the identification in one go.
func (c *Concentrator) look(ctx context.Context) error {
	l := c.link
	l.begin()
	id := l.addRead(regCommonGenGlobalEn.addr(), 2, false)
	agc := l.addRead(regAgcMcuCtrlParityError.addr(), 2, false)
	arb := l.addRead(regArbMcuCtrlParityError.addr(), 2, false)
	ends := c.addEnds(l)
	if err := l.send(ctx); err != nil {
		return err
	}
	gen, version := l.frames[id].r[readStart], l.frames[id].r[readStart+1]
	switch {
	case version != c.chip.Version:
		return fault(FaultNoChip, nil, "version register reads %#02x, before %#02x", version, c.chip.Version)
	case gen != allEnabled:
		return fault(FaultStall, nil, "the chip has been reset (enable register reads %#02x)", gen)
	case regAgcMcuCtrlParityError.extract(l.frames[agc].r[readStart]) != 0:
		return fault(FaultParity, nil, "AGC at run time")
	case regArbMcuCtrlParityError.extract(l.frames[arb].r[readStart]) != 0:
		return fault(FaultParity, nil, "ARB at run time")
	}
	if err := c.checkEnds(l, ends); err != nil {
		return err
	}
	if l.frames[agc].r[readStart+1] != stalledStatus {
		c.watch.stalled = 0
		return c.checkSilence()
	}
	if c.watch.stalled++; c.watch.stalled > 1 {
		return fault(FaultStall, nil, "AGC status stays at %#02x", stalledStatus)
	}
	return nil
}

// blame finds what is behind a reading that cannot be: a chip that has gone, or was
// reset behind the driver's back, explains more than one register of it does.
func (c *Concentrator) blame(ctx context.Context, err error) error {
	if cause := c.look(ctx); cause != nil {
		return cause
	}
	return err
}
