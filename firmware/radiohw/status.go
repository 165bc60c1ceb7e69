package radiohw

import (
	"maps"
	"slices"

	"heliograph/firmware/txqueue"
	"heliograph/hardware/sx1302"
	"heliograph/radio"
)

// Status is what is known of a radio.
type Status struct {
	Up        bool   `json:"up"`
	Chip      string `json:"chip"`
	Version   byte   `json:"version"`
	EUI       uint64 `json:"eui"`
	PulseLost bool   `json:"pulse_lost"`

	Starts    uint64            `json:"starts"`     // that succeeded
	Faults    map[string]uint64 `json:"faults"`     // by name
	LastFault string            `json:"last_fault"` // the last one's cause and remedy; "" when there was none

	Displaced uint64 `json:"displaced"` // packets dropped because nobody came to receive

	Sent    uint64 `json:"sent"`     // packets on air
	NotSent uint64 `json:"not_sent"` // accepted, and ended otherwise
	Missed  uint64 `json:"missed"`   // of these, because the host was too slow

	Noise []Noise `json:"noise,omitempty"` // as surveyed, by frequency

	Driver sx1302.Stats `json:"driver"`
	GNSS   *GNSSStatus  `json:"gnss,omitempty"` // nil without a receiver

	pulseProblem string
}

// Status is safe for concurrent use, also before and after Run.
func (r *Radio) Status() Status {
	r.mu.Lock()
	s := r.status
	s.Faults, s.Noise = maps.Clone(s.Faults), slices.Clone(s.Noise)
	r.mu.Unlock()
	s.Driver, s.GNSS = r.chip.Stats(), r.time.status()
	return s
}

// Problem says what is wrong now, or "".
func (s Status) Problem() string {
	switch {
	case !s.Up && s.LastFault != "":
		return "the concentrator is down: " + s.LastFault
	case s.PulseLost:
		return s.pulseProblem
	}
	return ""
}

// count counts a fault, an [*sx1302.Error].
func (r *Radio) count(err error) {
	f, _ := sx1302.FaultOf(err)
	r.mu.Lock()
	r.status.Faults[f.String()]++
	r.status.LastFault = err.Error()
	r.mu.Unlock()
}

// Faults that are not the driver's, by name in [Status].
const (
	overflowed = "fifo_overflow"
	noSensor   = "no_sensor"
)

// warn counts something that does not stop the radio.
func (r *Radio) warn(name, text string) {
	r.mu.Lock()
	r.status.Faults[name]++
	r.status.LastFault = text
	r.mu.Unlock()
	r.log.Warn("concentrator", "fault", name, "error", text)
}

func (r *Radio) countTx(rep txqueue.Report) {
	r.mu.Lock()
	switch {
	case rep.Result.Status == radio.TxOK:
		r.status.Sent++
	default:
		r.status.NotSent++
		if rep.Reason == txqueue.Missed {
			r.status.Missed++
		}
	}
	r.mu.Unlock()
}
