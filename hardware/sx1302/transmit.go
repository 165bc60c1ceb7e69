package sx1302

import (
	"context"
	"time"

	"heliograph/hardware/sx1302/calc"
	"heliograph/radio"
	"heliograph/radio/airtime"
)

// Limits of a transmission.
const (
	// TxLead is how long before its start a packet has to be in the chip, and by
	// how much a packet asked for later than that is refused.
	TxLead radio.Micros = 2_500

	// TxAdvance is how early a packet may be handed over: beyond it the 32-bit
	// counter that the chip compares with would have wrapped.
	TxAdvance radio.Micros = 120_000_000

	// TxProgram is how long before its start a waiting packet is programmed. Ending
	// Send's context takes it out of the chip again.
	TxProgram radio.Micros = 1_000_000

	listenAhead = radio.Micros(40_000)    // the same where the channel must be heard before: not too early
	startSlack  = 3 * time.Millisecond    // after a start, until its effect should show
	startGrace  = 10 * time.Millisecond   // and until it must
	abortTime   = time.Second             // for the state machine to become free
	txTail      = 500 * time.Microsecond  // after a packet's end: the counter's time is known to less
	endGrace    = 100 * time.Millisecond  // after a packet's end, until it must be
	statusPoll  = time.Millisecond        // while waiting for it
	ppsPatience = 1500 * time.Millisecond // a pulse must come within it
	ppsFresh    = 2500 * time.Millisecond // a pulse older than that is lost
)

// The transmit state machine's states (e.3).
const (
	txFree = 0x80
)

func txScheduled(s byte) bool { return s == 0x91 || s == 0x92 }
func txEmitting(s byte) bool  { return s == 0x30 || s == 0x50 || s == 0x60 || s == 0x70 }

// transmission is what a chain is doing.
type transmission struct {
	busy  bool      // a Send owns the chain
	until time.Time // host time at which the last packet ends
	ended bool      // the state machine was seen free after it

	look  time.Time // host time from which the state tells whether a packet has started
	asked bool      // a Send waits for that
	begun bool      // Receive saw that the packet no longer waits for its start
}

// order is a packet that has been checked.
type order struct {
	p     *radio.TxPacket
	gain  calc.Gain
	delay uint16        // start delay register, LoRa
	air   time.Duration // time on air
}

// Send transmits a packet and waits until it is known to be on air, or not. A
// packet that cannot be sent is a result with its reason, not an error; an error
// is ctx's or an [*Error]. A packet to be sent at once waits for the end of one that
// is on air. A packet for a tick is programmed shortly before. A packet for a GPS time is sent at the next pulse per second, so hand it over
// within the second before.
func (c *Concentrator) Send(ctx context.Context, p radio.TxPacket) (radio.TxResult, error) {
	o, status, err := c.check(&p)
	if err != nil || status != radio.TxOK {
		return radio.TxResult{Status: status}, err
	}
	if p.When == radio.AtTick {
		if status, err = c.approach(ctx, o); err != nil || status != radio.TxOK {
			return radio.TxResult{Status: status}, err
		}
	}
	res, err := c.transmit(ctx, o)
	for p.When == radio.Immediate && err == nil && res.Status == radio.TxCollisionPacket {
		// As soon as the radio can: when the packet that is on air has ended.
		if err = c.whenFree(ctx, int(p.RadioChain)); err == nil {
			res, err = c.transmit(ctx, o)
		}
	}
	c.note(func(s *Stats) {
		if err == nil && res.Status == radio.TxOK {
			s.Sent++
		} else {
			s.SendFailed++
		}
	})
	return res, err
}

// whenFree waits until a chain is likely to be free.
func (c *Concentrator) whenFree(ctx context.Context, chain int) error {
	wait := startSlack
	err := c.withTurn(ctx, func() error {
		if t := c.tx[chain]; !t.busy {
			wait = max(t.until.Sub(c.clock.Now()), time.Microsecond)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.clock.Sleep(ctx, wait)
}

// check refuses what this concentrator cannot send.
func (c *Concentrator) check(p *radio.TxPacket) (o order, status radio.TxStatus, err error) {
	o.p = p
	if int(p.RadioChain) >= RFChains || !c.cfg.Radios[p.RadioChain].TxEnable || !c.cfg.Radios[p.RadioChain].Enable {
		return o, radio.TxNoRadio, nil
	}
	r := &c.cfg.Radios[p.RadioChain]
	if len(p.Payload) == 0 || len(p.Payload) > radio.MaxPayload || !p.DataRate.Valid() {
		return o, radio.TxFailed, nil
	}
	if r.TxMin > 0 && p.Frequency < r.TxMin || r.TxMax > 0 && p.Frequency > r.TxMax || p.Frequency <= 0 {
		return o, radio.TxBadFrequency, nil
	}
	if _, err := calc.TxFrequency(r.Kind, p.Frequency); err != nil {
		return o, radio.TxBadFrequency, nil
	}
	g, ok := calc.ChooseGain(r.Gains, p.Power)
	if !ok {
		return o, radio.TxBadPower, nil // even the weakest is stronger than allowed
	}
	o.gain = g
	if p.DataRate.Modulation == radio.LoRa {
		if p.Coding < 1 || p.Coding > 4 {
			return o, radio.TxFailed, nil
		}
		if o.delay, err = calc.StartDelay(r.Kind, p.DataRate); err != nil {
			return o, radio.TxFailed, nil
		}
	}
	if o.air, err = c.air(p); err != nil {
		return o, radio.TxFailed, nil
	}
	return o, radio.TxOK, nil
}

// air is a packet's time on air.
func (c *Concentrator) air(p *radio.TxPacket) (time.Duration, error) {
	us, err := airtime.OnAir(airtime.Params{
		DataRate: p.DataRate, Coding: p.Coding, PayloadBytes: len(p.Payload),
		PreambleSymbols: int(preambleOf(p)), ImplicitHeader: p.Implicit, NoCRC: p.NoCRC,
	})
	return us.Duration(), err
}

// preambleOf is the preamble that is sent: 8 symbols for LoRa and 5 bytes for FSK
// unless the packet says otherwise, at least 6 and 3.
func preambleOf(p *radio.TxPacket) uint16 {
	usual, least := uint16(8), uint16(6)
	if p.DataRate.Modulation == radio.FSK {
		usual, least = 5, 3
	}
	if p.Preamble == 0 {
		return usual
	}
	return max(p.Preamble, least)
}

// approach waits until a packet's start is near.
func (c *Concentrator) approach(ctx context.Context, o order) (radio.TxStatus, error) {
	ahead := TxProgram
	if c.lbtGates(o) {
		ahead = listenAhead
	}
	for {
		now, ok := c.Now()
		if !ok {
			return radio.TxNoRadio, ctx.Err()
		}
		left := o.p.Tick.Sub(now)
		switch {
		case left < TxLead:
			return radio.TxTooLate, ctx.Err()
		case left > TxAdvance:
			return radio.TxTooEarly, ctx.Err()
		case left <= ahead:
			return radio.TxOK, ctx.Err()
		}
		if err := c.clock.Sleep(ctx, (left - ahead + 1).Duration()); err != nil {
			return 0, err
		}
	}
}

// transmit programs the packet, makes sure that the chip took it in time, and
// waits for its start.
func (c *Concentrator) transmit(ctx context.Context, o order) (radio.TxResult, error) {
	chain := int(o.p.RadioChain)
	res, done, err := c.arm(ctx, o)
	if done && err == nil {
		return res, nil
	}
	if err == nil {
		wait := startSlack
		switch o.p.When {
		case radio.AtTick:
			if now, ok := c.Now(); ok {
				wait += o.p.Tick.Sub(now).Duration()
			}
		case radio.AtGPS:
			wait += ppsPatience
		}
		res, err = c.confirm(ctx, o, wait)
	}
	if err != nil || res.Status != radio.TxOK {
		// Nobody waits for this packet any more, so it must not go on air.
		quiet, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*abortTime)
		defer cancel()
		if e := c.withTurn(quiet, func() error { return c.abort(quiet, chain) }); err == nil {
			err = e
		}
	}
	_ = c.withTurn(context.WithoutCancel(ctx), func() error {
		c.tx[chain].busy, c.tx[chain].asked = false, false
		if err == nil && res.Status == radio.TxOK {
			c.tx[chain].until, c.tx[chain].ended = c.endOf(o), false
		}
		return nil
	})
	return res, err
}

// endOf is when a packet that is on air has certainly ended.
func (c *Concentrator) endOf(o order) time.Time {
	end := c.clock.Now().Add(o.air)
	if now, ok := c.Now(); ok && o.p.When == radio.AtTick {
		end = end.Add(o.p.Tick.Sub(now).Duration()).Add(txTail)
	}
	return end
}

func (c *Concentrator) withTurn(ctx context.Context, do func() error) error {
	if err := c.take(ctx); err != nil {
		return err
	}
	defer c.release()
	return do()
}

// arm programs a packet and checks at once what became of it. done means that res
// is the outcome and the chain is free again.
func (c *Concentrator) arm(ctx context.Context, o order) (res radio.TxResult, done bool, err error) {
	chain := int(o.p.RadioChain)
	c.wanted.Add(1) // a fetch that is under way makes it short
	defer c.wanted.Add(-1)
	err = c.withTurn(ctx, func() error {
		now := c.clock.Now()
		switch t := &c.tx[chain]; {
		case !c.started:
			res.Status = radio.TxNoRadio
		case t.busy || now.Before(t.until):
			res.Status = radio.TxCollisionPacket
		case o.p.When == radio.AtGPS && (c.pps.Seen() < 2 || now.Sub(c.watch.lastPPS) > ppsFresh):
			res.Status = radio.TxGPSUnlocked
		}
		if done = res.Status != 0; done {
			return nil
		}
		if free, err := c.listen(ctx, o); err != nil || !free {
			res.Status, done = radio.TxBusy, true
			return err
		}
		if err := c.setDAC(ctx, dacSending); err != nil {
			return err
		}
		state, now32, err := c.program(ctx, o)
		if err != nil {
			return err
		}
		late := o.p.When == radio.AtTick && txScheduled(state) &&
			int32(calc.Trigger(o.p.Tick, o.delay)-now32) <= 0
		if late || !txScheduled(state) && !txEmitting(state) {
			res.Status, done = radio.TxFailed, true
			if late || o.p.When == radio.AtTick {
				res.Status = radio.TxTooLate
			}
			return c.abort(ctx, chain)
		}
		c.tx[chain].busy = true
		return nil
	})
	return res, done, err
}

// confirm waits for a packet's start and looks whether it happened. With a packet
// for a tick, while a Receive is under way, that does the looking: its next poll asks
// for the state in the message that it sends anyway. Of other packets the look also
// says when they started.
func (c *Concentrator) confirm(ctx context.Context, o order, wait time.Duration) (res radio.TxResult, err error) {
	t := &c.tx[o.p.RadioChain]
	pause, begun := wait, false
	if o.p.When == radio.AtGPS {
		pause = startSlack
	}
	now := c.clock.Now()
	end := now.Add(wait + startGrace)
	err = c.withTurn(ctx, func() error {
		t.look, t.asked, t.begun = now.Add(pause), o.p.When == radio.AtTick, false
		return nil
	})
	for ; err == nil; pause = startSlack {
		if err = c.clock.Sleep(ctx, pause); err != nil {
			break
		}
		over := !c.clock.Now().Before(end)
		err = c.withTurn(ctx, func() error {
			if begun = t.begun; begun || t.asked && !over && c.receiving.Load() > 0 {
				return nil
			}
			state, err := c.txState(ctx, int(o.p.RadioChain))
			begun = !txScheduled(state)
			return err
		})
		switch {
		case err != nil:
		case begun && c.lbtGates(o):
			return c.lbtOutcome(ctx, o)
		case begun: // emitting, or, for the shortest packets, already done
			return c.success(o), nil
		case over:
			res.Status = radio.TxTooLate
			if o.p.When == radio.AtGPS {
				res.Status = radio.TxGPSUnlocked
			}
			return res, nil
		}
	}
	return res, err
}

// addStarts asks for the state of each chain whose packet should have started and
// whose Send waits to know; the result is the frame of each chain, -1 for none.
func (c *Concentrator) addStarts(now time.Time) (frames [RFChains]int) {
	for chain := range frames {
		t := &c.tx[chain]
		frames[chain] = -1
		if t.asked && !t.begun && !now.Before(t.look) {
			frames[chain] = c.link.addRead(regTxTopATxFsmStatusTxStatus.plus(fieldsOf(chain).tx).addr(), 1, false)
		}
	}
	return frames
}

// noteStarts takes in the answers.
func (c *Concentrator) noteStarts(frames [RFChains]int) {
	for chain, frame := range frames {
		if frame >= 0 {
			c.tx[chain].begun = !txScheduled(c.link.frames[frame].r[readStart])
		}
	}
}

// success is the result of a packet that is on air.
func (c *Concentrator) success(o order) radio.TxResult {
	res := radio.TxResult{Status: radio.TxOK, Power: o.gain.Power, Tick: o.p.Tick}
	if o.p.When != radio.AtTick {
		res.Tick, _ = c.Now()
	}
	return res
}

// txState reads a chain's transmit state machine.
func (c *Concentrator) txState(ctx context.Context, chain int) (byte, error) {
	return c.link.readByte(ctx, regTxTopATxFsmStatusTxStatus.plus(fieldsOf(chain).tx).addr())
}

// abort stops a chain (e.3) and waits until it is free.
func (c *Concentrator) abort(ctx context.Context, chain int) error {
	d := fieldsOf(chain).tx
	for _, f := range []field{regTxTopATxTrigTxTrigImmediate, regTxTopATxTrigTxTrigDelayed, regTxTopATxTrigTxTrigGps} {
		if err := c.regs.put(ctx, f.plus(d), 0); err != nil {
			return err
		}
	}
	end := c.clock.Now().Add(abortTime)
	for {
		s, err := c.txState(ctx, chain)
		if err != nil {
			return err
		}
		if s == txFree {
			return nil
		}
		if !c.clock.Now().Before(end) {
			return fault(FaultTxStuck, nil, "chain %d: state %#02x %v after it was aborted", chain, s, abortTime)
		}
		if err := c.sleep(ctx, statusPoll); err != nil {
			return err
		}
	}
}
