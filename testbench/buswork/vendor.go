package buswork

import (
	"encoding/hex"
	"fmt"
	"strconv"

	"heliograph/hardware/sx1302"
	"heliograph/hardware/sx1302/calc"
	"heliograph/testbench/chip"
)

// record is one transaction of a recording.
type record struct {
	Msg    int    `json:"msg"`
	Op     string `json:"op"`
	Mux    int    `json:"mux"`
	Addr   string `json:"addr"`
	Len    int    `json:"len"`
	Opcode string `json:"opcode"`
	Hex    string `json:"hex"`
	SHA256 string `json:"sha256"` // of a program, in place of its bytes
}

func (r record) addr() uint64 {
	v, err := strconv.ParseUint(r.Addr, 0, 16)
	if err != nil {
		return 0
	}
	return v
}

// program says that the transaction loads or checks a microcontroller's program.
func (r record) program() bool {
	return r.SHA256 != "" || r.Mux == 0 && r.Op != "cmd" && r.Op != "cmd1261" && r.Addr != "" && r.addr() < fifoWindow
}

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
	case r.Op == "cmd1261": // the SX1261 has a chip select of its own
		return 1 + len(r.Hex)/2
	default: // SX1255, SX1257: multiplexer, address, data
		return 2 + r.Len
	}
}

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

// vendorStart is a recorded start without the loading of programs. Where only its
// writes were recorded, the reads are those that they need, and the rest, mostly the
// microcontrollers' states, is taken from our own recording of such a board.
func (s Sets) vendorStart(set string, conf *sx1302.GlobalConf) (c Cost, source string, err error) {
	rs, ok, err := s.recorded(set, "startup")
	if err != nil || ok {
		return cost(unprogrammed(rs), conf.USB), recordedHere, err
	}
	writes, ok, err := s.recorded(set, "startup_writes")
	if err == nil && !ok {
		err = fmt.Errorf("buswork: %s: no start-up is recorded", set)
	}
	if err != nil {
		return c, "", err
	}
	c = cost(unprogrammed(withReads(writes, conf.USB)), conf.USB)
	like := alike(conf)
	if like == "" {
		return c, "recorded writes, a.1", nil
	}
	full, _, err := Own().recorded(like, "startup")
	if err != nil {
		return c, "", err
	}
	all, least := cost(unprogrammed(full), conf.USB), cost(unprogrammed(withReads(onlyWrites(full), conf.USB)), conf.USB)
	c.add(Cost{all.Transactions - least.Transactions, all.Bytes - least.Bytes})
	return c, "recorded writes, a.1; more reads as " + like, nil
}

// alike is our own recording of a board with the same transport and kind of radios.
func alike(conf *sx1302.GlobalConf) string {
	switch old := conf.Radios[conf.ClockSource].Kind != calc.SX1250; {
	case old && conf.USB: // there is none
		return ""
	case old:
		return "spi_sx1257_eu868"
	case conf.USB:
		return "usb_sx1250_eu868"
	}
	return "spi_sx1250_eu868"
}

func unprogrammed(rs []record) (rest []record) {
	for _, r := range rs {
		if !r.program() {
			rest = append(rest, r)
		}
	}
	return rest
}

// onlyWrites is what a recording of writes would keep of a whole one.
func onlyWrites(rs []record) (writes []record) {
	const status, errorsOf = 0xC0, 0x17 // commands that only ask
	for _, r := range rs {
		op, _ := strconv.ParseUint(r.Opcode, 0, 16)
		switch {
		case r.Op == "r" || r.Op == "cmd" && (op == status || op == errorsOf):
		case r.Op == "rmw":
			r.Op = "w"
			fallthrough
		default:
			writes = append(writes, r)
		}
	}
	return writes
}

// withReads adds to a recording of writes alone the reads that the vendor cannot do
// without: a field that does not fill its byte is read and written (a.1), in one
// request on USB, and each register of an SX1255 or SX1257 is read back. All else
// that was read, the microcontrollers' states for instance, is left out. Each
// transaction is a message of its own, as it is in a start.
func withReads(writes []record, usb bool) (rs []record) {
	msg := 0
	add := func(r record) {
		msg++
		r.Msg = msg
		rs = append(rs, r)
	}
	for _, w := range writes {
		look := record{Op: "r", Mux: w.Mux, Addr: w.Addr, Len: w.Len}
		part := w.Op == "w" && w.Mux == 0 && w.Len == 1 && !w.program() && chip.Shared(uint16(w.addr()))
		switch {
		case part && usb:
			w.Op = "rmw"
		case part:
			add(look)
		}
		add(w)
		if w.Op == "w" && w.Mux != 0 {
			add(look)
		}
	}
	return rs
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

// fetched is a recorded fetch.
type fetched struct {
	records []record
	inFIFO  int // bytes that were read
	payload int // of the packet, when it was one
}

// vendorRx1 is the recorded fetch of one packet, without what comes after its
// second reading of the counter, which belongs to another task. Without a recording
// it has no records and a packet of usual length.
func (s Sets) vendorRx1(set string) (f fetched, err error) {
	f.payload = usualPayload
	rs, _, err := s.recorded(set, "rx_fetch")
	counters := 0
	for _, r := range rs {
		switch r.addr() {
		case fifoWindow:
			f.inFIFO += r.Len
			if b, err := hex.DecodeString(r.Hex); err == nil && len(b) > 2 && b[0] == 0xA5 && b[1] == 0xC0 {
				f.payload = max(int(b[2]), 1)
			}
		case 0x6101:
			counters++
		}
		if counters <= 2 {
			f.records = append(f.records, r)
		}
	}
	return f, err
}

const usualPayload = 20

// downlink is a recorded transmission: what it cost, and what was sent from where.
type downlink struct {
	cost     Cost
	chain    uint8
	register int // FREQ_RF
	payload  int
	listens  bool // before talking
}

// vendorTx is the recorded programming of one downlink, and nothing else: neither
// the look at the transmitter's state before it nor any after it.
func (s Sets) vendorTx(set string, usb bool) (d downlink, ok bool, err error) {
	rs, ok, err := s.recorded(set, "tx")
	for _, r := range rs {
		a := r.addr()
		d.listens = d.listens || r.Op == "cmd1261"
		if r.Op != "w" || a < 0x5200 || a >= 0x5600 {
			continue
		}
		if a >= 0x5400 {
			d.chain, a = 1, a-0x200
		}
		v, _ := strconv.ParseUint(r.Hex, 16, 8)
		switch a {
		case 0x5300:
			d.payload = r.Len
		case 0x5225, 0x5226, 0x5227:
			d.register |= int(v) << (8 * (0x5227 - a))
		}
	}
	d.cost = cost(rs, usb)
	return d, ok, err
}
