package challenge

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
	"sync"
	"time"

	"heliograph/oracle/registry"
	"heliograph/poc"
	"heliograph/poc/native"
	"heliograph/radio"
	"heliograph/radio/region"
)

// Schedule draws the challenges of one hotspot in one epoch, in the order of time.
// It fails for a hotspot to which nothing can be asked: its region is not known,
// or forbids every beacon with its antenna.
func Schedule(seed poc.Seed, e poc.Epoch, cfg Config, h registry.Hotspot) ([]poc.Challenge, error) {
	s, err := New(seed, e, cfg)
	if err != nil {
		return nil, err
	}
	return s.Of(h)
}

// Scheduler draws the challenges of many hotspots in one epoch. It keeps what
// each pair of region and antenna gain allows. Safe for concurrent use.
type Scheduler struct {
	seed  poc.Seed
	epoch poc.Epoch
	cfg   Config

	mu      sync.Mutex
	allowed map[antenna][]choice
}

type antenna struct {
	region string
	gain   radio.CentiDB
}

// choice is a channel and data rate with the powers that are allowed there.
type choice struct {
	frequency radio.Hertz
	rate      radio.DataRate
	steps     []radio.EIRP
}

// New makes a scheduler. It fails if the configuration is not valid.
func New(seed poc.Seed, e poc.Epoch, cfg Config) (*Scheduler, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Scheduler{seed: seed, epoch: e, cfg: cfg, allowed: make(map[antenna][]choice)}, nil
}

// Of is [Schedule].
func (s *Scheduler) Of(h registry.Hotspot) ([]poc.Challenge, error) {
	choices, err := s.choices(h)
	if err != nil {
		return nil, err
	}
	out := make([]poc.Challenge, s.cfg.PerEpoch)
	for i := range out {
		out[i] = s.draw(h, uint16(i), choices)
	}
	return out, nil
}

// Find looks for the hotspot's challenge with an id. The instant at which it may
// have been due says where to look first; it does not change the result.
func (s *Scheduler) Find(h registry.Hotspot, id poc.ID, near int64) (poc.Challenge, bool) {
	choices, err := s.choices(h)
	if err != nil {
		return poc.Challenge{}, false
	}
	guess := -1
	if at := near - Start(s.epoch, s.cfg.EpochLength) - int64(s.cfg.Guard); at >= 0 {
		guess = int(min(at/int64(s.cfg.slot()), int64(s.cfg.PerEpoch)-1))
		if c := s.draw(h, uint16(guess), choices); c.ID() == id {
			return c, true
		}
	}
	for i := range int(s.cfg.PerEpoch) {
		if i == guess {
			continue
		}
		if c := s.draw(h, uint16(i), choices); c.ID() == id {
			return c, true
		}
	}
	return poc.Challenge{}, false
}

// All draws for a whole registry, sorted by time and then hotspot. Hotspots to
// which nothing can be asked are left out. It takes 112 bytes a challenge.
func (s *Scheduler) All(hotspots *registry.Snapshot) []poc.Challenge {
	all := make([]poc.Challenge, 0, hotspots.Len()*int(s.cfg.PerEpoch))
	for h := range hotspots.All() {
		if cs, err := s.Of(h); err == nil {
			all = append(all, cs...)
		}
	}
	slices.SortFunc(all, func(a, b poc.Challenge) int {
		return cmp.Or(cmp.Compare(a.UnixNano, b.UnixNano), bytes.Compare(a.Hotspot[:], b.Hotspot[:]))
	})
	return all
}

// Due is the part of a list from [Scheduler.All] that is due from an instant on
// and before another (unix nanoseconds). It shares memory with the list.
func Due(all []poc.Challenge, from, to int64) []poc.Challenge {
	at := func(t int64) int {
		i, _ := slices.BinarySearchFunc(all, t, func(c poc.Challenge, t int64) int { return cmp.Compare(c.UnixNano, t) })
		return i
	}
	first := at(from)
	return all[first:max(first, at(to))]
}

// draw takes all that a challenge leaves to chance out of one HMAC-SHA-256 with
// the seed as key: 8 bytes for the instant, 4 for channel and data rate, 4 for
// the power and 16 for the nonce. A number below n is the high half of n times
// the random number: no value is more likely than another by more than n/2^32
// (channels, powers) or n/2^64 (microseconds), below a millionth in all cases.
func (s *Scheduler) draw(h registry.Hotspot, slot uint16, choices []choice) poc.Challenge {
	mac := hmac.New(sha256.New, s.seed[:])
	mac.Write(h.ID[:])
	mac.Write(binary.BigEndian.AppendUint16(nil, slot))
	r := mac.Sum(nil)
	// Only the first seven eighths of a slot are used, so that two beacons of a
	// hotspot never follow each other at once.
	width := uint64(s.cfg.slot()/time.Microsecond) / 8 * 7
	us, _ := bits.Mul64(binary.BigEndian.Uint64(r), width)
	at := Start(s.epoch, s.cfg.EpochLength) + int64(s.cfg.Guard) + int64(slot)*int64(s.cfg.slot())
	ch := choices[below(binary.BigEndian.Uint32(r[8:]), len(choices))]
	return poc.Challenge{
		Epoch: s.epoch, Slot: slot, Hotspot: h.ID,
		UnixNano:  at + int64(us)*int64(time.Microsecond),
		Frequency: ch.frequency, DataRate: ch.rate,
		EIRP:  ch.steps[below(binary.BigEndian.Uint32(r[12:]), len(ch.steps))],
		Nonce: [16]byte(r[16:]),
	}
}

func below(random uint32, n int) int { return int(uint64(random) * uint64(n) >> 32) }

func (s *Scheduler) choices(h registry.Hotspot) ([]choice, error) {
	key := antenna{h.Assertion.Region, h.Assertion.Gain}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := s.allowed[key]; ok {
		if len(c) == 0 {
			return nil, fmt.Errorf("challenge: %s allows no beacon with an antenna of %v", key.region, key.gain)
		}
		return c, nil
	}
	plan, err := region.ByName(key.region)
	if err != nil {
		return nil, fmt.Errorf("challenge: %w", err)
	}
	s.allowed[key] = choicesOf(plan, key.gain)
	if len(s.allowed[key]) == 0 {
		return nil, fmt.Errorf("challenge: %s allows no beacon with an antenna of %v", key.region, key.gain)
	}
	return s.allowed[key], nil
}

// choicesOf lists what the region lets a beacon do. Where carrier sense is asked
// for, the hotspot does it or declines.
func choicesOf(plan *region.Plan, gain radio.CentiDB) []choice {
	var out []choice
	for _, f := range plan.PoC.Channels {
		for _, rate := range plan.PoC.Rates {
			c := choice{frequency: f, rate: rate}
			for _, step := range plan.PoC.Steps {
				tx := region.Tx{Frequency: f, DataRate: rate, EIRP: step, Gain: gain, OnAir: native.OnAir(rate), Listened: true}
				if plan.CheckTx(tx) == nil {
					c.steps = append(c.steps, step)
				}
			}
			if len(c.steps) > 0 {
				out = append(out, c)
			}
		}
	}
	return out
}
