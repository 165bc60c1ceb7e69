package buswork

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
)

// Row is one kind of work, done by both.
type Row struct {
	Name         string
	Vendor, Ours Cost
	Source       string // where the vendor's number is from
	USB          bool
}

// Bytes is ours over the vendor's.
func (r Row) Bytes() float64 { return ratio(float64(r.Ours.Bytes), float64(r.Vendor.Bytes)) }

// Transactions is ours over the vendor's.
func (r Row) Transactions() float64 {
	return ratio(float64(r.Ours.Transactions), float64(r.Vendor.Transactions))
}

// Time is ours over the vendor's, at the stated speeds.
func (r Row) Time() float64 {
	return ratio(float64(r.Ours.Time(r.USB)), float64(r.Vendor.Time(r.USB)))
}

// Worst is the greatest of the three.
func (r Row) Worst() float64 { return max(r.Bytes(), r.Transactions(), r.Time()) }

func ratio(a, b float64) float64 { return math.Round(a/b*1000) / 1000 }

// The rows.
const (
	Start = "start-up"
	Idle  = "idle second"
	Rx1   = "one packet"
	Rx16  = "sixteen packets, one fetch"
	Tx    = "one transmit"
)

const (
	recordedHere = "recorded"
	derived      = "derived, d.1"
)

// Compare measures one set.
func (s Sets) Compare(ctx context.Context, set string) ([]Row, error) {
	conf, err := s.conf(set)
	if err != nil {
		return nil, err
	}
	o, err := newOurs(conf)
	if err != nil {
		return nil, err
	}
	vendor, source, err := s.vendorStart(set, &conf)
	if err != nil {
		return nil, err
	}
	defer o.wait()
	if err := o.c.Start(ctx); err != nil {
		return nil, err
	}
	rows := []Row{{Name: Start, Vendor: vendor, Ours: o.meter.rest(), Source: source}}
	more, err := s.running(ctx, o, set)
	if e := o.c.Close(ctx); err == nil {
		err = e
	}
	rows = append(rows, more...)
	for i := range rows {
		rows[i].USB = conf.USB
	}
	return rows, err
}

// running measures what comes after the start.
func (s Sets) running(ctx context.Context, o *ours, set string) ([]Row, error) {
	idle, err := o.idle(ctx)
	if err != nil {
		return nil, err
	}
	rows := []Row{{Name: Idle, Vendor: vendorIdle(o.conf.USB), Ours: idle, Source: derived}}
	recording, err := s.vendorRx1(set)
	if err != nil {
		return nil, err
	}
	received, err := o.receive(ctx, recording)
	if err != nil {
		return nil, err
	}
	rows = append(rows, received...)
	down, ok, err := s.vendorTx(set, o.conf.USB)
	if err != nil || !ok {
		return rows, err
	}
	row := Row{Name: Tx, Vendor: down.cost, Source: recordedHere}
	row.Ours, err = o.transmit(ctx, down)
	return append(rows, row), err
}

// transmit measures a downlink. Where the configuration listens before talking and
// the recording does not, which is of programming alone, neither does ours.
func (o *ours) transmit(ctx context.Context, d downlink) (c Cost, err error) {
	if o.conf.SX1261.Enable && !d.listens {
		conf := o.conf
		conf.SX1261.Enable, conf.SX1261.LBT = false, false
		if o, err = newOurs(conf); err != nil {
			return c, err
		}
		defer o.wait()
		defer func() { err = errors.Join(err, o.c.Close(ctx)) }()
		if err = o.c.Start(ctx); err != nil {
			return c, err
		}
	}
	if err = o.settle(ctx); err != nil {
		return c, err
	}
	return o.send(ctx, d)
}

// receive measures fetches of one packet and of sixteen.
func (o *ours) receive(ctx context.Context, recording fetched) (rows []Row, err error) {
	for _, n := range []int{1, 16} {
		if err := o.settle(ctx); err != nil {
			return nil, err
		}
		row := Row{Name: Rx1, Vendor: cost(recording.records, o.conf.USB), Source: recordedHere}
		var mine int
		if row.Ours, mine, err = o.fetch(ctx, n, recording.payload); err != nil {
			return nil, err
		}
		if n > 1 || mine != recording.inFIFO {
			// With fine timestamps the simulated chip's packets have metrics, which
			// the recording's do not: the vendor would fetch as many bytes as we.
			row.Vendor, row.Source = cost(vendorFetch(mine), o.conf.USB), derived
		}
		if n > 1 {
			row.Name = Rx16
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// Result are the worst ratios over all sets: ours over the vendor's.
type Result struct {
	StartupBytes float64 `json:"startup_bytes_ratio"`
	StartupTime  float64 `json:"startup_time_ratio"`
	Idle         float64 `json:"idle_ratio"`
	Rx1          float64 `json:"rx1_ratio"`
	Rx16         float64 `json:"rx16_ratio"`
	Tx           float64 `json:"tx_ratio"`
}

func (r *Result) add(rows []Row) {
	for _, row := range rows {
		switch row.Name {
		case Start:
			r.StartupBytes = max(r.StartupBytes, row.Bytes())
			r.StartupTime = max(r.StartupTime, row.Time())
		case Idle:
			r.Idle = max(r.Idle, row.Worst())
		case Rx1:
			r.Rx1 = max(r.Rx1, row.Worst())
		case Rx16:
			r.Rx16 = max(r.Rx16, row.Worst())
		case Tx:
			r.Tx = max(r.Tx, row.Worst())
		}
	}
}

// Limits that the result has to keep.
const (
	limitStart = 0.7 // of start-up time
	limitIdle  = 0.7
	limitAny   = 1.0
)

// Check says which limit is not kept.
func (r Result) Check() error {
	for _, c := range []struct {
		name         string
		value, limit float64
	}{
		{"start-up bytes", r.StartupBytes, limitAny}, {"start-up time", r.StartupTime, limitStart}, {"idle second", r.Idle, limitIdle},
		{"one packet", r.Rx1, limitAny}, {"sixteen packets", r.Rx16, limitAny}, {"one transmit", r.Tx, limitAny},
	} {
		if !(c.value > 0 && c.value <= c.limit) {
			return fmt.Errorf("buswork: %s: %.3f of the vendor's, want at most %.2f", c.name, c.value, c.limit)
		}
	}
	return nil
}

// Run compares all sets, prints the table, and ends with one line of JSON.
func (s Sets) Run(ctx context.Context, out io.Writer) (Result, error) {
	var r Result
	names, err := s.Names()
	if err != nil {
		return r, err
	}
	fmt.Fprintf(out, `Work on the bus, the vendor's and ours, for the recordings in %s.
Start-up is without the loading of programs. Time is what the wire is busy: waits, for
resets, oscillators and before commands, take none. SPI: %v a byte (2 MHz) and %v a frame;
USB: %v a byte and %v a message with its answer. A transaction is a frame or a message.

`, s.in, SPIByte, SPIFrame, USBByte, USBMessage)
	fmt.Fprintf(out, "%-24s %-27s %-29s %-29s %-26s\n", "", "", "vendor", "ours", "ours over the vendor's")
	fmt.Fprintf(out, "%-24s %-27s %7s %8s %12s %7s %8s %12s %8s %8s %8s  %s\n", "set", "work",
		"trans.", "bytes", "time", "trans.", "bytes", "time", "trans.", "bytes", "time", "vendor's is")
	for _, set := range names {
		rows, err := s.Compare(ctx, set)
		if err != nil {
			return r, fmt.Errorf("%s: %w", set, err)
		}
		for _, w := range rows {
			fmt.Fprintf(out, "%-24s %-27s %7d %8d %12v %7d %8d %12v %8.3f %8.3f %8.3f  %s\n", set, w.Name,
				w.Vendor.Transactions, w.Vendor.Bytes, w.Vendor.Time(w.USB), w.Ours.Transactions, w.Ours.Bytes, w.Ours.Time(w.USB),
				w.Transactions(), w.Bytes(), w.Time(), w.Source)
		}
		r.add(rows)
	}
	line, err := json.Marshal(r)
	if err != nil {
		return r, err
	}
	fmt.Fprintf(out, "\nThe worst set of each row; for rows without a unit in their name the worst of transactions, bytes and time.\n%s\n", line)
	return r, nil
}
