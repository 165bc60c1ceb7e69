package buswork

import (
	"compress/gzip"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
)

//go:embed testdata
var testdata embed.FS

// Sets are the recordings, by name.
func Sets() []string {
	return []string{"spi_sx1250_eu868", "usb_sx1250_eu868", "spi_sx1257_eu868", "spi_sx1303_ftime_eu868"}
}

// record is one transaction of a recording.
type record struct {
	Msg  int    `json:"msg"`
	Op   string `json:"op"`
	Mux  int    `json:"mux"`
	Addr string `json:"addr"`
	Len  int    `json:"len"`
	Hex  string `json:"hex"`
}

func (r record) addr() uint64 {
	v, err := strconv.ParseUint(r.Addr, 0, 16)
	if err != nil {
		return 0
	}
	return v
}

// program says that the transaction loads or checks a microcontroller's program.
func (r record) program() bool { return r.Mux == 0 && r.Addr != "" && r.addr() < fifoWindow }

func (r record) pin() bool { return r.Op == "gpio" }

// frame is the size of the transaction's frame on SPI.
func (r record) frame() int {
	switch {
	case r.Op == "r" && r.Mux == 0:
		return spiReadHead + r.Len
	case r.Op == "w" && r.Mux == 0:
		return spiWriteHead + r.Len
	case r.Op == "cmd": // multiplexer, opcode, parameters
		return 2 + len(r.Hex)/2
	default: // SX1255, SX1257: multiplexer, address, data
		return 2 + r.Len
	}
}

// recorded reads a recording; ok is false where there is none of that kind.
func recorded(set, kind string) (rs []record, ok bool, err error) {
	f, err := testdata.Open("testdata/" + set + "_" + kind + ".jsonl.gz")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, false, fmt.Errorf("buswork: %s %s: %w", set, kind, err)
	}
	for dec := json.NewDecoder(z); ; {
		var r record
		if err := dec.Decode(&r); errors.Is(err, io.EOF) {
			return rs, true, nil
		} else if err != nil {
			return nil, false, fmt.Errorf("buswork: %s %s: %w", set, kind, err)
		}
		rs = append(rs, r)
	}
}

func usb(set string) bool { return strings.HasPrefix(set, "usb") }

// cost adds transactions up: each a frame on SPI, and on USB messages of one or
// more requests. Pins cost nothing on SPI.
func cost(rs []record, usb bool) Cost {
	var c Cost
	msg := -1
	for _, r := range rs {
		if !usb {
			if !r.pin() {
				c.add(Cost{1, r.frame()})
			}
			continue
		}
		if r.Msg != msg {
			msg = r.Msg
			c.add(Cost{1, 2 * usbHead})
		}
		switch {
		case r.pin():
			c.Bytes += usbPinAsk + usbPinAnswer
		case r.Op == "rmw":
			c.Bytes += usbModify + usbModified
		default:
			c.Bytes += 2 * (usbRequest + r.frame())
		}
	}
	return c
}

// vendorStart is a recorded start without the loading of programs.
func vendorStart(set string) (Cost, error) {
	rs, _, err := recorded(set, "startup")
	var rest []record
	for _, r := range rs {
		if !r.program() {
			rest = append(rest, r)
		}
	}
	return cost(rest, usb(set)), err
}

// read is a register read as the recording would have it.
func read(addr, n, msg int) record {
	return record{Msg: msg, Op: "r", Addr: fmt.Sprintf("%#04x", addr), Len: n}
}

// vendorFetch is one look into the FIFO that brings n bytes (d.1): the number of
// bytes twice, the bytes, and then pulse and counter twice, whether there were
// bytes or not. That the temperature is read too when there were, and that the
// transmit queue reads the counter for itself, is left out.
func vendorFetch(n int) []record {
	rs := []record{read(0x58C8, nbBytes, 1), read(0x58C8, nbBytes, 2)}
	if n > 0 {
		rs = append(rs, read(0x4000, n, 3))
	}
	return append(rs, read(0x6101, counterBlock, 4), read(0x6101, counterBlock, 5))
}

// vendorIdle is a second in which nothing is received: a look every 10 ms.
func vendorIdle(usb bool) Cost {
	one := cost(vendorFetch(0), usb)
	return Cost{100 * one.Transactions, 100 * one.Bytes}
}

// vendorRx1 is the recorded fetch of one packet, without what comes after its
// second reading of the counter, which belongs to another task. inFIFO is the size
// of the packet there.
func vendorRx1(set string) (fetch []record, inFIFO int, err error) {
	rs, _, err := recorded(set, "rx_fetch")
	counters := 0
	for _, r := range rs {
		switch r.addr() {
		case fifoWindow:
			inFIFO = r.Len
		case 0x6101:
			counters++
		}
		if counters <= 2 {
			fetch = append(fetch, r)
		}
	}
	return fetch, inFIFO, err
}

// packetBytes is what a packet without metrics has in the FIFO beside its payload.
const packetBytes = 23

// vendorTx is the recorded programming of one downlink, and before it the look at
// the transmitter's state that decides whether it is free (e.4), which the
// recordings leave out.
func vendorTx(set string) (c Cost, payload int, ok bool, err error) {
	rs, ok, err := recorded(set, "tx")
	for _, r := range rs {
		if a := r.addr(); r.Op == "w" && (a == 0x5300 || a == 0x5500) {
			payload = r.Len
		}
	}
	return cost(append([]record{read(0x5211, 1, -2)}, rs...), usb(set)), payload, ok, err
}
