package radiohw

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"heliograph/hardware/bus"
	"heliograph/hardware/gnss"
)

// Faults of the receiver and of time, by name in [Status].
const (
	gnssPort     = "gnss_port"     // its serial port cannot be opened or read
	gnssSilent   = "gnss_silent"   // nothing comes
	gnssGarbled  = "gnss_garbled"  // what comes cannot be understood
	gnssNoFix    = "gnss_no_fix"   // it does not know the time
	gnssNoTime   = "gnss_no_time"  // it speaks, but never of the time
	gnssUnlocked = "gnss_unlocked" // there was GNSS time, and there is none any more
)

// speechless is how long a receiver may go without a usable time before that is
// reported. A cold start of the receiver takes about as long.
const speechless = 60 * time.Second

// requestTime is how long a receiver may take to accept the request for GPS time.
const requestTime = 2 * time.Second

// The pause before the port is opened again doubles with each failure in a row.
const (
	reopenFirst = time.Second
	reopenLast  = time.Minute
)

// line is what is known of the serial line.
type line struct {
	open    bool
	count   gnss.Counters // so far
	quiet   gnss.Counters // when the last usable time came
	heard   time.Time     // and when that was; at first, when listening began
	fault   string        // by name, "" when all is well
	problem string
}

// ear is a receiver's port that notes when bytes came and what became of those
// before them. It belongs to one goroutine.
type ear struct {
	bus.Serial
	k       *timekeeper
	scanner *gnss.Scanner
	arrived time.Time
}

// Read implements io.Reader.
func (e *ear) Read(b []byte) (int, error) {
	e.k.tally(e.scanner.Counters())
	n, err := e.Serial.Read(b)
	e.arrived = e.k.radio.clock.Now()
	return n, err
}

// listen keeps the port open until ctx ends, with a growing pause between failures.
func (k *timekeeper) listen(ctx context.Context) {
	k.mu.Lock()
	k.line.heard = k.radio.clock.Now()
	k.mu.Unlock()
	var scanner gnss.Scanner
	var pause time.Duration
	for {
		before := scanner.Counters().Messages
		err := k.once(ctx, &scanner)
		if ctx.Err() != nil {
			return
		}
		if scanner.Counters().Messages > before {
			pause = 0
		}
		k.broken(err)
		pause = min(max(2*pause, reopenFirst), reopenLast)
		if k.radio.clock.Sleep(ctx, pause) != nil {
			return
		}
	}
}

// once opens the port and reads until it fails.
func (k *timekeeper) once(ctx context.Context, s *gnss.Scanner) error {
	port, err := k.cfg.Open(ctx)
	if err != nil {
		return err
	}
	// The end of ctx also ends a Read that waits.
	stop := context.AfterFunc(ctx, func() { _ = port.Close() })
	defer func() {
		if stop() {
			_ = port.Close() // it was read only
		}
	}()
	k.mu.Lock()
	k.line.open = true
	k.mu.Unlock()
	if err := port.SetWriteDeadline(time.Now().Add(requestTime)); err != nil {
		return err
	}
	// Others than u-blox pass it over, and a line that takes nothing may still speak.
	if _, err := port.Write(gnss.EnableTimeGPS()); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	e := &ear{Serial: port, k: k, scanner: s}
	return gnss.Read(ctx, e, s, func(m gnss.Message) { k.message(ctx, m, e.arrived) })
}

func (k *timekeeper) tally(c gnss.Counters) {
	k.mu.Lock()
	k.line.count = c
	k.mu.Unlock()
}

// understood notes a message of use.
func (k *timekeeper) understood(m gnss.Message, arrived time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if m.Position != nil {
		k.position = m.Position
	}
	knows := m.UTC != nil
	if m.GPS != nil {
		_, knows = m.GPS.Nanos()
	}
	if !knows {
		return
	}
	k.line.heard, k.line.quiet = arrived, k.line.count
	if k.line.fault != "" {
		k.line.fault, k.line.problem = "", ""
		k.radio.log.Info("GNSS receiver tells the time again", "device", k.cfg.Name)
	}
}

// broken reports a port that cannot be opened or read.
func (k *timekeeper) broken(err error) {
	k.mu.Lock()
	k.line.open = false
	k.mu.Unlock()
	k.fault(gnssPort, fmt.Sprintf("radiohw: GNSS receiver %s: %v: check its name and that it is plugged in; it is tried again", k.cfg.Name, err))
}

// watch looks, once a second, for a receiver that says nothing of use, and for a
// reference that has grown too old.
func (k *timekeeper) watch() {
	k.mu.Lock()
	if now, up := k.follow(); up {
		k.noteState(now)
	} else if k.state != gnss.Acquiring {
		k.state = gnss.Acquiring // the counter is gone: the radio's own fault
		k.unlocks++
	}
	l := k.line
	k.mu.Unlock()
	if l.open && k.radio.clock.Now().Sub(l.heard) > speechless {
		k.fault(l.diagnose(k.cfg.Name))
	}
}

// diagnose says what a line without a usable time suffers from.
func (l *line) diagnose(name string) (fault, text string) {
	c, q := l.count, l.quiet
	says := fmt.Sprintf("radiohw: GNSS receiver %s ", name)
	switch {
	case c.NoFix > q.NoFix:
		return gnssNoFix, says + "has no fix: give its antenna a view of the sky"
	case c.Messages > q.Messages:
		return gnssNoFix, says + "does not know the time: give its antenna a view of the sky, and let it send RMC, ZDA or NAV-TIMEGPS"
	case c.Ignored > q.Ignored:
		return gnssNoTime, says + "never says the time: let it send RMC, ZDA or NAV-TIMEGPS"
	case c.Damaged > q.Damaged || c.JunkBytes > q.JunkBytes:
		return gnssGarbled, says + fmt.Sprintf("cannot be understood, %d damaged messages and %d bytes of noise: set the baud rate that it sends at, and check the wiring",
			c.Damaged-q.Damaged, c.JunkBytes-q.JunkBytes)
	default:
		return gnssSilent, says + "sends nothing: check its power, the wiring and that no other program reads it"
	}
}

// fault reports what is wrong with the line, once for as long as it lasts.
func (k *timekeeper) fault(name, text string) {
	k.mu.Lock()
	fresh := k.line.fault != name
	k.line.fault, k.line.problem = name, text
	k.mu.Unlock()
	if fresh {
		k.radio.warn(name, text)
	}
}
