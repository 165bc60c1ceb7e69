package lns

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"heliograph/radio"
	"heliograph/radio/gwmp"
	"heliograph/radio/lorawan"
	"heliograph/radio/region"
)

// Config of a network server.
type Config struct {
	Plan    *region.Plan
	NetID   lorawan.NetID
	Devices []Device      // may be none: then it only records
	Gather  time.Duration // how long copies of an uplink are collected, default 100 ms, below 900 ms
	Keep    int           // records kept, the oldest go first, default 16384
}

// Device is a registered device.
type Device struct {
	DevEUI, JoinEUI lorawan.EUI64
	AppKey          lorawan.AESKey
}

// Verdict says what the network server made of an uplink.
type Verdict string

// The verdicts.
const (
	Gathering     Verdict = ""               // copies are still being collected
	Join          Verdict = "join"           // answered by a join-accept
	Data          Verdict = "data"           // genuine and new
	Repeat        Verdict = "repeat"         // the last uplink once more: its acknowledgement was lost
	UnknownDevice Verdict = "unknown_device" // nobody registered, or no session
	BadMIC        Verdict = "bad_mic"
	OldNonce      Verdict = "old_nonce" // DevNonce not above the last one
	NotUplink     Verdict = "not_uplink"
	Unanswerable  Verdict = "unanswerable" // heard outside the plan
)

// Record is one uplink and what became of it.
type Record struct {
	First    gwmp.RxPK  // as it came first
	Gateways []gwmp.MAC // who delivered a copy, in order of arrival
	Kind     lorawan.Kind
	Verdict  Verdict

	// Meaningful for Join and Data.
	DevEUI  lorawan.EUI64
	FCnt    uint32
	FPort   uint8
	Payload []byte // plain

	arrived time.Duration
}

// Downlink is a packet for a gateway.
type Downlink struct {
	Gateway gwmp.MAC
	TxPK    gwmp.TxPK
}

// Stats counts uplinks by verdict, each once however many copies came.
type Stats struct {
	Copies   uint64
	Verdicts map[Verdict]uint64
	Accepts  uint64 // join-accepts sent
	Acks     uint64 // acknowledgements sent
}

const (
	// maxGathering bounds the uplinks whose copies are being collected.
	maxGathering = 1024
	// repeatAfter is when equal bytes stop being a copy and are a new
	// transmission: a device repeats a confirmed uplink unchanged, but not
	// before RX2 and a pause of a second.
	repeatAfter = 2500 * time.Millisecond
)

// Core is a network server's step machine. Instants are durations since a start
// that the driver chooses. It is not safe for concurrent use.
type Core struct {
	cfg       Config
	devices   map[lorawan.EUI64]*member
	sessions  map[lorawan.DevAddr]*member
	records   []*Record
	byHash    map[[32]byte]*Record
	hashes    [][32]byte // of records, in the same order
	gathering []*gather  // by deadline, since all wait equally long
	stats     Stats
}

// gather is an uplink whose copies are being collected.
type gather struct {
	due    time.Duration
	record *Record
	best   gwmp.RxPK
	via    gwmp.MAC
}

// NewCore makes a network server without sessions.
func NewCore(cfg Config) (*Core, error) {
	if cfg.Plan == nil {
		return nil, errors.New("lns: a plan is needed")
	}
	if cfg.Gather == 0 {
		cfg.Gather = 100 * time.Millisecond
	}
	if cfg.Keep == 0 {
		cfg.Keep = 16384
	}
	first, last := cfg.NetID.DevAddrs()
	switch {
	case cfg.Gather < 0 || cfg.Gather >= 900*time.Millisecond:
		return nil, fmt.Errorf("lns: copies are gathered for %s, want less than 900ms: RX1 opens after 1s", cfg.Gather)
	case cfg.Keep < maxGathering:
		return nil, fmt.Errorf("lns: %d records kept, want %d or more", cfg.Keep, maxGathering)
	case uint64(len(cfg.Devices)) > uint64(last-first):
		return nil, fmt.Errorf("lns: %d devices do not fit the addresses of NetID %s", len(cfg.Devices), cfg.NetID)
	}
	c := &Core{
		cfg: cfg, devices: map[lorawan.EUI64]*member{}, sessions: map[lorawan.DevAddr]*member{},
		byHash: map[[32]byte]*Record{}, stats: Stats{Verdicts: map[Verdict]uint64{}},
	}
	for i, d := range cfg.Devices {
		if c.devices[d.DevEUI] != nil {
			return nil, fmt.Errorf("lns: device %s is registered twice", d.DevEUI)
		}
		m := &member{Device: d, addr: first + lorawan.DevAddr(i)}
		c.devices[d.DevEUI] = m
	}
	return c, nil
}

// Push takes in what a gateway received.
func (c *Core) Push(now time.Duration, mac gwmp.MAC, p gwmp.RxPK) {
	c.stats.Copies++
	hash := lorawan.PacketHash(p.Payload)
	if r := c.byHash[hash]; r != nil && now-r.arrived < repeatAfter {
		c.copy(r, mac, p)
		return
	}
	r := &Record{First: p, Gateways: []gwmp.MAC{mac}, Kind: lorawan.Classify(p.Payload), arrived: now}
	c.keep(hash, r)
	if len(c.gathering) < maxGathering {
		c.gathering = append(c.gathering, &gather{due: now + c.cfg.Gather, record: r, best: p, via: mac})
	}
}

// copy adds a further copy to a record.
func (c *Core) copy(r *Record, mac gwmp.MAC, p gwmp.RxPK) {
	if len(r.Gateways) < 256 && !slices.Contains(r.Gateways, mac) {
		r.Gateways = append(r.Gateways, mac)
	}
	for _, g := range c.gathering {
		if g.record == r && p.SNR > g.best.SNR {
			g.best, g.via = p, mac
		}
	}
}

func (c *Core) keep(hash [32]byte, r *Record) {
	c.records, c.hashes = append(c.records, r), append(c.hashes, hash)
	c.byHash[hash] = r
	if len(c.records) > c.cfg.Keep {
		if old := c.hashes[0]; c.byHash[old] == c.records[0] {
			delete(c.byHash, old)
		}
		c.records, c.hashes = slices.Delete(c.records, 0, 1), slices.Delete(c.hashes, 0, 1)
	}
}

// Due gives the downlinks whose uplinks have been gathered, and the instant of
// the next ones; 0 when there are none.
func (c *Core) Due(now time.Duration) (out []Downlink, wake time.Duration) {
	for len(c.gathering) > 0 && c.gathering[0].due <= now {
		g := c.gathering[0]
		c.gathering = c.gathering[1:]
		phy, delay := c.judge(g)
		c.stats.Verdicts[g.record.Verdict]++
		if phy == nil {
			continue
		}
		if tx, err := c.answer(g.best, phy, delay); err == nil {
			out = append(out, Downlink{Gateway: g.via, TxPK: tx})
		} else {
			g.record.Verdict = Unanswerable
		}
	}
	if len(c.gathering) > 0 {
		wake = c.gathering[0].due
	}
	return out, wake
}

// answer places a frame into RX1 of an uplink.
func (c *Core) answer(up gwmp.RxPK, phy []byte, delay radio.Micros) (gwmp.TxPK, error) {
	freq, rate, err := c.cfg.Plan.RX1(up.Frequency, up.DataRate, 0)
	if err != nil {
		return gwmp.TxPK{}, err
	}
	return gwmp.TxPK{
		Payload: phy, When: radio.AtTick, Tmst: up.Tmst + uint32(delay),
		Frequency: freq, DataRate: rate, Coding: 1, Power: radio.DBm(14),
		InvertIQ: true, NoCRC: true, Antenna: up.Antenna, Board: up.Board,
	}, nil
}

// Records are copies of all that is kept, oldest first.
func (c *Core) Records() []Record {
	out := make([]Record, len(c.records))
	for i, r := range c.records {
		out[i] = *r
		out[i].Gateways = slices.Clone(r.Gateways)
	}
	return out
}
