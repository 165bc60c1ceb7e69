package hotspot

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"heliograph/firmware/forward"
	"heliograph/firmware/outbox"
	"heliograph/firmware/timing"
	"heliograph/firmware/txlimit"
	"heliograph/firmware/uplink"
	pb "heliograph/oracle/api/heliographv1"
	"heliograph/poc"
	"heliograph/radio"
)

// keepLines is how many beacons and verdicts are remembered.
const keepLines = 32

// logbook holds counters and the latest events. It is safe for concurrent use.
type logbook struct {
	mu        sync.Mutex
	beacons   map[string]uint64
	downlinks map[string]uint64
	verdicts  map[string]uint64
	last      []BeaconLine
	judged    []VerdictLine
	classB    map[string]uint64
	noDisk    bool
}

func newLogbook() *logbook {
	return &logbook{beacons: map[string]uint64{}, downlinks: map[string]uint64{}, verdicts: map[string]uint64{}, classB: map[string]uint64{}}
}

func (l *logbook) beacon(outcome string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.beacons[outcome]++
}

func (l *logbook) sent(b poc.Beacon) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.beacons["sent"]++
	l.last = keep(l.last, BeaconLine{
		Time: b.Time.String(), FrequencyHz: int64(b.Frequency), DataRate: b.DataRate.String(),
		PowerDBm: b.Power.Float(), Challenge: b.Challenge.String(),
	})
}

func (l *logbook) downlink(s radio.TxStatus) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.downlinks[s.String()]++
}

func (l *logbook) verdict(v *pb.Verdict) {
	l.mu.Lock()
	defer l.mu.Unlock()
	reason := poc.Reason(v.GetReason())
	l.verdicts[reason.String()]++
	l.judged = keep(l.judged, VerdictLine{
		Report: fmt.Sprintf("%x", v.GetReportId()), Epoch: v.GetEpoch(), Reason: reason.String(),
		Weight: v.GetWeight(), Got: v.GetGot(), Limit: v.GetLimit(), Unit: reason.Unit(),
	})
}

// diskFailed notes a failed write and says whether it is the first.
func (l *logbook) diskFailed() (first bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	first, l.noDisk = !l.noDisk, true
	return first
}

func keep[T any](list []T, x T) []T {
	if len(list) == keepLines {
		list = slices.Delete(list, 0, 1)
	}
	return append(list, x)
}

// BeaconLine is a beacon that was sent.
type BeaconLine struct {
	Time        string  `json:"time"`
	FrequencyHz int64   `json:"frequency_hz"`
	DataRate    string  `json:"data_rate"`
	PowerDBm    float64 `json:"power_dbm"` // conducted
	Challenge   string  `json:"challenge"`
}

// VerdictLine is what the oracle found about one report.
type VerdictLine struct {
	Report string `json:"report"`
	Epoch  uint32 `json:"epoch"`
	Reason string `json:"reason"`
	Weight uint32 `json:"weight"` // of 1000
	Got    int64  `json:"got"`
	Limit  int64  `json:"limit"`
	Unit   string `json:"unit,omitempty"`
}

// Status is a picture of a hotspot for people and programs.
type Status struct {
	Hotspot  string  `json:"hotspot"`
	Name     string  `json:"name"`
	Region   string  `json:"region"`
	Oracle   string  `json:"oracle"`
	Firmware string  `json:"firmware"`
	UptimeS  float64 `json:"uptime_s"`

	Time         string  `json:"time"`
	TimeBoundS   float64 `json:"time_bound_s"`
	TimeSource   string  `json:"time_source"` // gnss, oracle, system or none
	TimeSynced   bool    `json:"time_synced"` // by the oracle
	TimeJumps    uint64  `json:"time_jumps"`
	CounterKnown bool    `json:"counter_known"`
	Asserted     bool    `json:"asserted"`

	Session  uplink.Stats    `json:"session"`
	Outbox   outbox.Stats    `json:"outbox"`
	Received forward.Stats   `json:"received"`
	Airtime  []txlimit.Usage `json:"airtime"`

	Beacons      map[string]uint64 `json:"beacons"`   // by outcome
	Downlinks    map[string]uint64 `json:"downlinks"` // by status
	Verdicts     map[string]uint64 `json:"verdicts"`  // by reason
	ClassB       map[string]uint64 `json:"class_b"`   // class B beacons, by status
	LastBeacons  []BeaconLine      `json:"last_beacons"`
	LastVerdicts []VerdictLine     `json:"last_verdicts"`

	// Problems lists what is wrong now, each with its remedy.
	Problems []string `json:"problems"`
}

// Status is safe for concurrent use, also before and after Run.
func (h *Hotspot) Status() Status {
	utc, source := h.clock.best()
	synced, jumps := h.clock.synced()
	_, counter := h.cfg.Concentrator.Now()
	id := h.cfg.Key.ID()
	s := Status{
		Hotspot: id.String(), Name: id.Name(), Region: h.cfg.Region, Oracle: h.cfg.OracleAddr, Firmware: h.cfg.Firmware,
		UptimeS: h.clock.mono().Seconds(), Time: utc.String(), TimeBoundS: utc.Bound.Seconds(), TimeSource: source.String(), TimeSynced: synced, TimeJumps: jumps,
		CounterKnown: counter, Asserted: h.assertions.onRecord(),
		Session: h.client.Stats(), Outbox: h.outbox.Stats(), Received: h.receiver.Stats(),
		Airtime: h.limits.Usage(radio.MicrosOf(h.clock.mono())),
	}
	h.log.mu.Lock()
	s.Beacons, s.Downlinks, s.Verdicts = maps.Clone(h.log.beacons), maps.Clone(h.log.downlinks), maps.Clone(h.log.verdicts)
	s.ClassB = maps.Clone(h.log.classB)
	s.LastBeacons, s.LastVerdicts = slices.Clone(h.log.last), slices.Clone(h.log.judged)
	noDisk := h.log.noDisk
	h.log.mu.Unlock()
	s.Problems = problems(s, wrong{
		system: h.clock.contradicts(timing.System), gnss: h.clock.contradicts(timing.GNSS), disk: noDisk,
	})
	return s
}

// wrong is what a status does not show by itself.
type wrong struct{ system, gnss, disk bool }

func problems(s Status, w wrong) (out []string) {
	add := func(when bool, format string, args ...any) {
		if when {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	add(!s.Session.Connected && s.Session.LastError != "", "no session with the oracle %s: %s", s.Oracle, s.Session.LastError)
	add(!s.Session.Connected && s.Session.LastError == "" && s.UptimeS > 30, "no session with the oracle %s yet: check the network", s.Oracle)
	add(!s.Asserted, "the oracle has no location of this hotspot on record yet: it is sent with the next connection")
	add(s.TimeBoundS > 1, "the clock may be off by %v: beacons are declined until the oracle is reached", time.Duration(s.TimeBoundS*1e9))
	add(s.Time == (radio.WallTime{}).String(), "the time is not known: reach the oracle, or set clock.trust_system where NTP runs")
	add(w.system, "the system clock contradicts the oracle: repair NTP, or set clock.trust_system = false")
	add(w.gnss, "GNSS time contradicts the oracle: let the receiver send fewer sentences or faster, so that none comes a second late; check that nobody disturbs its signal")
	add(!s.CounterKnown && s.UptimeS > 60, "nothing was received yet: check that the packet forwarder sends to this hotspot, and the antenna")
	add(w.disk, "the flash cannot be written: reports survive only while the power is on; replace the card")
	add(s.Outbox.Displaced > 0, "%d reports were lost because the outbox was full: the oracle was out of reach for too long", s.Outbox.Displaced)
	return out
}
