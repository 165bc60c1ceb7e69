package ether

import (
	"container/heap"
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"heliograph/radio"
)

// Errors of a radio.
var (
	ErrClosed = errors.New("ether: stopped")
	ErrPast   = errors.New("ether: the instant has passed")
)

// queueSize bounds how many packets a radio keeps for its owner; the oldest is
// dropped when it is full.
const queueSize = 256

// Ether runs an [Air] on the clock of package time. Its methods are safe for
// concurrent use.
type Ether struct {
	epoch time.Time // microsecond 0

	mu     sync.Mutex
	air    *Air
	radios []*Radio
	events eventHeap
	seq    uint64
	closed bool
	wake   chan struct{}
}

// New makes an ether; [Ether.Run] must run for anything to be heard.
func New(cfg Config) *Ether {
	return &Ether{epoch: time.Now(), air: NewAir(cfg), wake: make(chan struct{}, 1)}
}

// Radio is one station's access to the ether.
type Radio struct {
	ether *Ether
	id    StationID
	heard chan Reception
}

// Join adds a station. It stays for the life of the ether.
func (e *Ether) Join(s Station) *Radio {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := &Radio{ether: e, id: e.air.Join(s), heard: make(chan Reception, queueSize)}
	e.radios = append(e.radios, r)
	return r
}

// Counts says what became of packet-receiver pairs within the radio horizon.
func (e *Ether) Counts() map[Cause]uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return maps.Clone(e.air.Counts())
}

// Heard delivers what the radio receives.
func (r *Radio) Heard() <-chan Reception { return r.heard }

// micros converts to the ether's clock.
func (e *Ether) micros(t time.Time) int64 { return t.Sub(e.epoch).Microseconds() }

// Time converts from the ether's clock.
func (e *Ether) Time(micros int64) time.Time {
	return e.epoch.Add(time.Duration(micros) * time.Microsecond)
}

// Transmit sends a packet that starts at the given time and blocks until it has
// left the antenna. A start in the past is [ErrPast].
func (r *Radio) Transmit(ctx context.Context, p radio.TxPacket, start time.Time) error {
	e := r.ether
	done := make(chan error, 1)
	e.mu.Lock()
	switch {
	case e.closed:
		e.mu.Unlock()
		return ErrClosed
	case time.Now().After(start):
		e.mu.Unlock()
		return ErrPast
	}
	e.push(event{at: e.micros(start), from: r.id, packet: p, done: done})
	e.mu.Unlock()
	select {
	case e.wake <- struct{}{}:
	default:
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err() // the packet is committed: it goes out all the same
	}
}

// Run carries packets until ctx ends.
func (e *Ether) Run(ctx context.Context) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Reset(e.step(time.Now()))
		select {
		case <-ctx.Done():
			e.stop()
			return ctx.Err()
		case <-timer.C:
		case <-e.wake:
		}
	}
}

// step does all that is due and says how long nothing more is.
func (e *Ether) step(now time.Time) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(e.events) > 0 {
		next := e.events[0]
		if wait := e.Time(next.at).Sub(now); wait > 0 {
			return wait
		}
		heap.Pop(&e.events)
		if next.id == 0 {
			e.begin(next)
			continue
		}
		for _, rx := range e.air.End(next.id) {
			e.radios[rx.To].deliver(rx)
		}
		next.done <- nil
	}
	return time.Hour
}

func (e *Ether) begin(ev event) {
	id, end, err := e.air.Begin(ev.from, ev.packet, ev.at)
	if err != nil {
		ev.done <- err
		return
	}
	e.push(event{at: end, id: id, done: ev.done})
}

func (e *Ether) push(ev event) {
	e.seq++
	ev.seq = e.seq
	heap.Push(&e.events, ev)
}

func (e *Ether) stop() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	for _, ev := range e.events {
		ev.done <- ErrClosed
	}
	e.events = nil
}

// deliver queues without blocking: a full queue loses its oldest packet.
func (r *Radio) deliver(rx Reception) {
	for {
		select {
		case r.heard <- rx:
			return
		default:
		}
		select {
		case <-r.heard:
		default:
		}
	}
}

// event is the start (id 0) or the end of a packet.
type event struct {
	at     int64
	seq    uint64
	id     uint64
	from   StationID
	packet radio.TxPacket
	done   chan error // buffered: never blocks
}

// eventHeap orders by time; at one instant ends come before starts, so that a
// packet that begins when another ends does not collide with it.
type eventHeap []event

func (h eventHeap) Len() int { return len(h) }
func (h eventHeap) Less(i, j int) bool {
	if h[i].at != h[j].at {
		return h[i].at < h[j].at
	}
	if (h[i].id != 0) != (h[j].id != 0) {
		return h[i].id != 0
	}
	return h[i].seq < h[j].seq
}
func (h eventHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *eventHeap) Push(x any)   { *h = append(*h, x.(event)) }
func (h *eventHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = event{}
	*h = old[:len(old)-1]
	return last
}
