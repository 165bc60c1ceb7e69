package buswork

import (
	"context"
	"encoding/json"
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

const recordedHere = "recorded"
const derived = "derived, d.1"

// Compare measures one set.
func Compare(ctx context.Context, set string) ([]Row, error) {
	o, err := newOurs(set)
	if err != nil {
		return nil, err
	}
	vendor, err := vendorStart(set)
	if err != nil {
		return nil, err
	}
	if err := o.c.Start(ctx); err != nil {
		return nil, err
	}
	rows := []Row{{Name: Start, Vendor: vendor, Ours: o.meter.rest(), Source: recordedHere}}
	idle, err := o.idle(ctx)
	if err != nil {
		return nil, err
	}
	rows = append(rows, Row{Name: Idle, Vendor: vendorIdle(usb(set)), Ours: idle, Source: derived})
	received, err := o.receive(ctx, set)
	if err != nil {
		return nil, err
	}
	rows = append(rows, received...)
	tx, payload, ok, err := vendorTx(set)
	if err != nil {
		return nil, err
	}
	if ok {
		if err := o.settle(ctx); err != nil {
			return nil, err
		}
		sent, err := o.send(ctx, payload)
		if err != nil {
			return nil, err
		}
		rows = append(rows, Row{Name: Tx, Vendor: tx, Ours: sent, Source: "recorded, and e.4"})
	}
	for i := range rows {
		rows[i].USB = usb(set)
	}
	return rows, o.c.Close(ctx)
}

// receive measures fetches of one packet and of sixteen.
func (o *ours) receive(ctx context.Context, set string) (rows []Row, err error) {
	fetch, inFIFO, err := vendorRx1(set)
	if err != nil {
		return nil, err
	}
	payload := inFIFO - packetBytes
	for _, n := range []int{1, 16} {
		if err := o.settle(ctx); err != nil {
			return nil, err
		}
		row := Row{Name: Rx1, Vendor: cost(fetch, usb(set)), Source: recordedHere}
		var mine int
		if row.Ours, mine, err = o.fetch(ctx, n, payload); err != nil {
			return nil, err
		}
		if n > 1 || mine != inFIFO {
			// With fine timestamps the simulated chip's packets have metrics, which
			// the recording's do not: the vendor would fetch as many bytes as we.
			row.Vendor, row.Source = cost(vendorFetch(mine), usb(set)), derived
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
func Run(ctx context.Context, out io.Writer) (Result, error) {
	var r Result
	fmt.Fprintf(out, "Work on the bus, vendor's and ours. Loading of programs left out; waits take no bus time.\n"+
		"SPI: %v a byte (2 MHz) and %v a frame. USB: %v a byte and %v a message with its answer.\n\n", SPIByte, SPIFrame, USBByte, USBMessage)
	fmt.Fprintf(out, "%-24s %-27s %22s %22s %8s %8s  %s\n", "set", "work", "vendor trans. / bytes", "ours trans. / bytes", "bytes", "time", "vendor's is")
	for _, set := range Sets() {
		rows, err := Compare(ctx, set)
		if err != nil {
			return r, fmt.Errorf("%s: %w", set, err)
		}
		for _, w := range rows {
			fmt.Fprintf(out, "%-24s %-27s %11d / %8d %11d / %8d %8.3f %8.3f  %s\n", set, w.Name,
				w.Vendor.Transactions, w.Vendor.Bytes, w.Ours.Transactions, w.Ours.Bytes, w.Bytes(), w.Time(), w.Source)
		}
		r.add(rows)
	}
	line, err := json.Marshal(r)
	if err != nil {
		return r, err
	}
	fmt.Fprintf(out, "\nratios are ours over the vendor's, the worst of all sets\n%s\n", line)
	return r, nil
}
