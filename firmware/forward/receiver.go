package forward

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"heliograph/firmware/timing"
	"heliograph/poc"
	"heliograph/provisioning/identity"
	"heliograph/radio"
	"heliograph/radio/lorawan"
)

// Drop says why a received packet became no report.
type Drop string

// The drops.
const (
	BadCRC     Drop = "bad_crc"
	NoCRC      Drop = "no_crc" // a downlink of another gateway, usually
	Duplicate  Drop = "duplicate"
	OwnBeacon  Drop = "own_beacon"
	NotLoRaWAN Drop = "not_lorawan"
	NotUplink  Drop = "not_uplink"
	FSK        Drop = "fsk" // reports have no form for it
	BadReading Drop = "bad_reading"
	NoClock    Drop = "no_clock" // waited for the time in vain
)

// Limits of a [Receiver].
const (
	maxSeen    = 512
	maxOwn     = 32
	maxWaiting = 256
	maxRecent  = 64
)

// Now is the moment of a step.
type Now struct {
	Mono time.Duration
	// Tick, when HasTick, is the counter of board 0.
	Tick    radio.Tick
	HasTick bool
	UTC     radio.WallTime // unknown before the first synchronisation
	// TickBound is how far Tick may be off the true counter.
	TickBound time.Duration
}

// Report is a body to be signed and sent, with the time that it states.
type Report struct {
	Kind poc.Kind // KindWitness or KindPacket
	Body []byte
	Time radio.WallTime
}

// Receiver turns packets into reports. Its methods are safe for concurrent use.
type Receiver struct {
	hotspot identity.HotspotID

	mu      sync.Mutex
	seen    *seen
	own     []poc.Payload // beacons that this hotspot sent, newest last
	clocks  clocks
	waiting []waiting // received before the time was known
	recent  []heard   // uplinks, newest last
	drops   map[Drop]uint64
	reports map[poc.Kind]uint64
}

type waiting struct {
	p  radio.RxPacket
	at time.Duration // monotonic instant of reception
}

type heard struct {
	board uint8
	tick  radio.Tick
}

// NewReceiver makes a receiver for the hotspot.
func NewReceiver(hotspot identity.HotspotID) *Receiver {
	return &Receiver{
		hotspot: hotspot, seen: newSeen(maxSeen), clocks: clocks{map[uint8]radio.Micros{}},
		drops: map[Drop]uint64{}, reports: map[poc.Kind]uint64{},
	}
}

// Own makes known a beacon of this hotspot, which its own radio may hear.
func (r *Receiver) Own(p poc.Payload) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.own) == maxOwn {
		r.own = slices.Delete(r.own, 0, 1)
	}
	r.own = append(r.own, p)
}

// Step turns a batch of packets into reports, after those that waited for the
// time if it is known now.
func (r *Receiver) Step(now Now, packets []radio.RxPacket) []Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.flush(now)
	// The strongest copy of a packet comes first, the others are duplicates.
	packets = slices.Clone(packets)
	slices.SortStableFunc(packets, func(a, b radio.RxPacket) int { return cmp.Compare(b.SNR, a.SNR) })
	for _, p := range packets {
		r.clocks.observe(p.Board, p.Tick, now.Mono)
		if why := r.filter(now, p); why != "" {
			r.drops[why]++
			continue
		}
		p.Time = r.stamp(now, p)
		if !p.Time.Known() {
			if len(r.waiting) == maxWaiting {
				r.waiting = slices.Delete(r.waiting, 0, 1)
				r.drops[NoClock]++
			}
			r.waiting = append(r.waiting, waiting{p, now.Mono})
			continue
		}
		out = append(out, r.report(p)...)
	}
	return out
}

// filter says why a packet is of no use, or "".
func (r *Receiver) filter(now Now, p radio.RxPacket) Drop {
	switch p.CRC {
	case radio.CRCOK:
	case radio.CRCBad:
		return BadCRC
	default:
		return NoCRC
	}
	if p.DataRate.Modulation == radio.FSK {
		return FSK
	}
	if !p.DataRate.Valid() || p.Frequency <= 0 || p.Frequency >= 1<<32 || len(p.Payload) == 0 || len(p.Payload) > radio.MaxPayload ||
		!int16Range(int64(p.Level())) || !int16Range(int64(p.SNR)) {
		return BadReading
	}
	if b, ok := poc.PayloadFromFrame(p.Payload); ok {
		if slices.Contains(r.own, b) {
			return OwnBeacon
		}
	} else {
		switch kind := lorawan.Classify(p.Payload); {
		case kind == 0 || kind == lorawan.Proprietary:
			return NotLoRaWAN
		case !kind.Uplink():
			return NotUplink
		}
	}
	if !r.seen.add(p.Payload, now.Mono) {
		return Duplicate
	}
	return ""
}

func int16Range(v int64) bool { return v >= -1<<15 && v < 1<<15 }

// trustedBound is the widest bound of a time that the radio itself gives (GNSS).
// A packet forwarder's host clock claims more, and is of unknown quality.
const trustedBound = 100 * time.Millisecond

// stamp is UTC at the end of the packet: the radio's own where it has a good one
// that does not contradict the hotspot's.
func (r *Receiver) stamp(now Now, p radio.RxPacket) radio.WallTime {
	mine := r.fromTick(now, p)
	if !p.Time.Known() || p.Time.UnixNano < 0 || p.Time.Bound > trustedBound {
		return mine
	}
	if mine.Known() {
		off := time.Duration(p.Time.UnixNano - mine.UnixNano)
		if apart := mine.Bound + p.Time.Bound; off > apart || off < -apart || mine.Bound < p.Time.Bound {
			return mine
		}
	}
	return p.Time
}

func (r *Receiver) fromTick(now Now, p radio.RxPacket) radio.WallTime {
	pair := timing.Pair{Tick: now.Tick, UTC: now.UTC, Bound: now.TickBound}
	if !now.HasTick || p.Board != 0 {
		tick, ok := r.clocks.now(p.Board, now.Mono)
		if !ok {
			return radio.WallTime{}
		}
		pair.Tick = tick
	}
	return pair.Time(p.Tick)
}

// flush reports what waited for the time. A packet whose counter started anew
// meanwhile cannot be stamped any more.
func (r *Receiver) flush(now Now) (out []Report) {
	if !now.UTC.Known() || len(r.waiting) == 0 {
		return nil
	}
	for _, w := range r.waiting {
		p := w.p
		p.Time = r.stamp(now, p)
		received := now.UTC.UnixNano - int64(now.Mono-w.at)
		if off := time.Duration(p.Time.UnixNano - received); !p.Time.Known() || off > time.Minute || off < -time.Minute {
			r.drops[NoClock]++
			continue
		}
		out = append(out, r.report(p)...)
	}
	r.waiting = nil
	return out
}

// report makes the body.
func (r *Receiver) report(p radio.RxPacket) []Report {
	rep := Report{Kind: poc.KindPacket, Time: p.Time}
	var err error
	if payload, ok := poc.PayloadFromFrame(p.Payload); ok {
		rep.Kind = poc.KindWitness
		w := poc.Witness{
			Hotspot: r.hotspot, Payload: payload, Frequency: p.Frequency, DataRate: p.DataRate,
			RSSI: p.Level(), SNR: p.SNR, Tick: p.Tick, Time: p.Time,
		}
		if p.HasOffset {
			w.Offset = p.Offset
		}
		if p.HasFine && p.FineNanos < 1e9 {
			w.FineNanos, w.HasFine = p.FineNanos, true
		}
		rep.Body, err = w.AppendBinary(nil)
	} else {
		rep.Body, err = poc.Packet{
			Hotspot: r.hotspot, PHY: p.Payload, Frequency: p.Frequency, DataRate: p.DataRate,
			RSSI: p.Level(), SNR: p.SNR, Tick: p.Tick, Time: p.Time,
		}.AppendBinary(nil)
		if len(r.recent) == maxRecent {
			r.recent = slices.Delete(r.recent, 0, 1)
		}
		r.recent = append(r.recent, heard{p.Board, p.Tick})
	}
	if err != nil {
		r.drops[BadReading]++
		return nil
	}
	r.reports[rep.Kind]++
	return []Report{rep}
}

// Board finds which board a downlink at that tick answers to: the contract with
// the oracle has one counter only, but a receive window starts a whole number of
// seconds after the uplink that it belongs to. now is that board's counter, when
// it is known. ok is false when no uplink fits; board 0 is then a guess.
func (r *Receiver) Board(tick radio.Tick, mono time.Duration) (board uint8, now radio.Tick, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, h := range slices.Backward(r.recent) {
		d := tick.Sub(h.tick)
		if d >= 1_000_000 && d <= 16_000_000 && d%1_000_000 == 0 {
			now, _ = r.clocks.now(h.board, mono)
			return h.board, now, true
		}
	}
	return 0, 0, false
}

// Stats counts packets by what became of them.
type Stats struct {
	Witnesses uint64          `json:"witnesses"`
	Packets   uint64          `json:"packets"`
	Waiting   int             `json:"waiting"` // for the time
	Drops     map[Drop]uint64 `json:"drops"`
}

// Stats is a copy of the counters.
func (r *Receiver) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := Stats{Witnesses: r.reports[poc.KindWitness], Packets: r.reports[poc.KindPacket], Waiting: len(r.waiting), Drops: map[Drop]uint64{}}
	for k, v := range r.drops {
		s.Drops[k] = v
	}
	return s
}
