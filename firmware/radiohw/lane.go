package radiohw

import (
	"context"
	"errors"
	"sync"
	"time"

	"heliograph/firmware/txqueue"
	"heliograph/radio"
)

// lane is the transmit side of one RF chain: its queue and the loop that carries
// out what the queue says.
type lane struct {
	radio *Radio

	mu      sync.Mutex // never held across I/O
	changed bool       // since the loop last looked
	wake    context.CancelFunc
	queue   *txqueue.Queue
	waiting map[txqueue.ID]chan txqueue.Report
	flight  flight
}

// flight is the packet in the chip.
type flight struct {
	id    txqueue.ID // 0: none
	abort context.CancelCauseFunc
}

func newLane(r *Radio, cfg txqueue.Config) (*lane, error) {
	q, err := txqueue.New(cfg)
	if err != nil {
		return nil, err
	}
	return &lane{radio: r, queue: q, waiting: map[txqueue.ID]chan txqueue.Report{}}, nil
}

// signal makes the loop look again.
func (l *lane) signal() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.changed = true; l.wake != nil {
		l.wake()
	}
}

// rest waits for d, for a signal, or until ctx ends.
func (l *lane) rest(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l.mu.Lock()
	l.wake = cancel
	changed := l.changed
	l.mu.Unlock()
	if !changed {
		_ = l.radio.clock.Sleep(ctx, d) // why it ended does not matter
	}
	l.mu.Lock()
	l.wake, l.changed = nil, false
	l.mu.Unlock()
}

// Send implements concentrator.Concentrator: it queues the packet and waits until
// the chip has it on air, or it is certain that it will not be. When ctx ends first
// the packet is taken back.
func (r *Radio) Send(ctx context.Context, p radio.TxPacket) (radio.TxResult, error) {
	if err := ctx.Err(); err != nil {
		return radio.TxResult{}, err
	}
	l := r.lane(&p)
	now, ok := r.Now()
	if l == nil || !ok || !r.ready() {
		return radio.TxResult{Status: radio.TxNoRadio}, nil
	}
	req := txqueue.Request{Packet: p, Class: txqueue.ClassA, Tick: p.Tick}
	switch p.When {
	case radio.Immediate:
		req.Class = txqueue.ClassC
	case radio.AtGPS:
		if req.Tick, ok = r.time.tickAt(p.GPSTime); !ok {
			return radio.TxResult{Status: radio.TxGPSUnlocked}, nil
		}
		req.Packet.When, req.Class = radio.AtTick, txqueue.ClassB
	}
	if p.Implicit {
		req.Class = txqueue.Beacon // nothing else lacks a header
	}
	return l.send(ctx, req, now)
}

// lane chooses the RF chain for a packet, and writes it there: the asked for one
// if it can transmit on the packet's frequency, else one that can.
func (r *Radio) lane(p *radio.TxPacket) *lane {
	fits := func(i int) bool {
		return r.lanes[i] != nil && reaches(&r.cfg.Board.Config.Radios[i], p.Frequency)
	}
	if int(p.RadioChain) < len(r.lanes) && fits(int(p.RadioChain)) {
		return r.lanes[p.RadioChain]
	}
	for i := range r.lanes {
		if fits(i) {
			p.RadioChain = uint8(i)
			return r.lanes[i]
		}
	}
	for i := range r.lanes { // it will refuse the frequency by name
		if r.lanes[i] != nil {
			p.RadioChain = uint8(i)
			return r.lanes[i]
		}
	}
	return nil
}

func (l *lane) send(ctx context.Context, req txqueue.Request, now radio.Tick) (radio.TxResult, error) {
	done := make(chan txqueue.Report, 1)
	l.mu.Lock()
	id, status := l.queue.Push(req, now)
	if status == radio.TxOK {
		l.waiting[id] = done
	}
	l.mu.Unlock()
	l.signal()
	if status != radio.TxOK {
		return radio.TxResult{Status: status}, nil
	}
	if !l.radio.ready() { // it went down after the check: nobody would flush this
		l.flush()
	}
	select {
	case rep := <-done:
		return l.radio.time.sent(rep.Result), nil
	case <-ctx.Done():
		l.mu.Lock()
		l.queue.Cancel(id)
		delete(l.waiting, id)
		l.mu.Unlock()
		l.signal()
		return radio.TxResult{}, ctx.Err()
	}
}

// run carries out the queue's steps until ctx ends.
func (l *lane) run(ctx context.Context) {
	var sending sync.WaitGroup
	defer sending.Wait()
	defer l.flush()
	for ctx.Err() == nil {
		p, sendCtx, wait := l.step(ctx)
		if p != nil {
			sending.Go(func() { l.transmit(sendCtx, p) })
			continue // the queue has set a new time to wake at
		}
		l.rest(ctx, wait)
	}
}

// step asks the queue what to do now.
func (l *lane) step(ctx context.Context) (p *txqueue.Program, sendCtx context.Context, wait time.Duration) {
	now, ok := l.radio.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !ok {
		l.flushLocked()
		return nil, nil, time.Hour
	}
	s := l.queue.Next(now)
	l.deliver(s.Reports)
	if s.Abort != 0 && s.Abort == l.flight.id {
		l.flight.abort(errAborted)
	}
	if s.Program != nil {
		sendCtx, l.flight.abort = context.WithCancelCause(ctx)
		l.flight.id = s.Program.ID
		return s.Program, sendCtx, 0
	}
	if s.Wake == 0 {
		return nil, nil, time.Hour
	}
	return nil, nil, max(s.Wake.Sub(now).Duration(), 0)
}

// Why a packet that was in the chip is stopped.
var (
	errAborted = errors.New("radiohw: the packet was taken back")
	errStopped = errors.New("radiohw: the radio went down")
)

// chainBusy is how long a packet is held back when the chip has not yet noticed the
// end of the one before.
const chainBusy = 2 * time.Millisecond

// transmit hands one packet to the chip and tells the queue how it ended.
func (l *lane) transmit(ctx context.Context, p *txqueue.Program) {
	res, err := l.radio.chip.Send(ctx, p.Packet)
	for err == nil && res.Status == radio.TxCollisionPacket && l.mayWait(p) {
		if err = l.radio.clock.Sleep(ctx, chainBusy); err == nil {
			res, err = l.radio.chip.Send(ctx, p.Packet)
		}
	}
	if err != nil {
		res = radio.TxResult{Status: radio.TxFailed}
		l.radio.report(err)
	}
	l.mu.Lock()
	if l.flight.id == p.ID { // else the queue has given this one up
		l.flight.abort(nil)
		l.flight = flight{}
	}
	l.queue.Done(p.ID, res)
	l.mu.Unlock()
	l.signal()
}

// mayWait says whether there is time to try a packet again.
func (l *lane) mayWait(p *txqueue.Program) bool {
	now, ok := l.radio.Now()
	return ok && p.Until.Sub(now) > 2*radio.MicrosOf(chainBusy)
}

// deliver hands reports to who waits for them.
func (l *lane) deliver(reports []txqueue.Report) {
	for _, rep := range reports {
		l.radio.countTx(rep)
		if c := l.waiting[rep.ID]; c != nil {
			c <- rep // buffered, and used once
			delete(l.waiting, rep.ID)
		}
	}
}

// flush ends every packet with radio.TxNoRadio.
func (l *lane) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flushLocked()
}

func (l *lane) flushLocked() {
	if l.flight.id != 0 {
		l.flight.abort(errStopped)
	}
	l.queue.Flush()
	l.deliver(l.queue.Next(0).Reports)
	l.queue.Flush() // time starts anew, also for a queue that was empty
}
