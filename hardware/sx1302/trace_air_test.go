package sx1302

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"heliograph/hardware/sx1302/calc"
	"heliograph/radio"
)

// TestSendEqualsVendor sends the packet of each recording, whose parameters it
// takes back out of the registers that carry them plainly, and compares every
// register, including those that follow from them: start delay, trigger, filters,
// carrier corrections.
func TestSendEqualsVendor(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(tracesDir(), "*_tx.jsonl"))
	if len(files) == 0 {
		t.Skipf("no transmissions recorded in %s", tracesDir())
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), "_tx.jsonl")
		t.Run(name, func(t *testing.T) {
			conf, err := os.ReadFile(filepath.Join(filepath.Dir(file), name+"_conf.json"))
			if err != nil {
				t.Fatal(err)
			}
			g, err := ParseGlobalConf(conf)
			if err != nil {
				t.Fatal(err)
			}
			c, chip := startFake(t, conf)
			vendor := readTrace(t, file)
			want, got := newStream(), newStream()
			want.feed(chip.writes)
			got.feed(chip.writes)
			if i := slices.IndexFunc(vendor, func(w write) bool { return w.mux == muxSX1261 }); i >= 0 && g.Survey.Channels > 0 {
				vendor = slices.Delete(vendor, i, i+1) // the forwarder ends its own spectral scan before it sends
			}
			listenAsVendor(t, &c.cfg.SX1261, vendor)
			want.feed(vendor)
			p := packetOf(t, c, want, vendor)
			o, status, err := c.check(&p)
			if err != nil || status != radio.TxOK {
				t.Fatalf("%+v: %v, %v", p, status, err)
			}
			before := len(chip.writes)
			frames := chip.frames
			if free, err := c.listen(context.Background(), o); err != nil || !free {
				t.Fatalf("listen before talk: %v, %v", free, err)
			}
			if _, _, err := c.program(context.Background(), o); err != nil {
				t.Fatal(err)
			}
			got.feed(chip.writes[before:])
			got.compare(t, want)
			t.Logf("%v at %d with %v: %d frames, recording: %d writes", p.DataRate, p.Frequency, p.Power, chip.frames-frames, len(vendor))
		})
	}
}

// listenAsVendor replaces the vendor's threshold, to which it adds the SX1261's
// offset, by the driver's ([diffListen]).
func listenAsVendor(t *testing.T, x *SX1261, vendor []write) {
	t.Helper()
	for i, w := range vendor {
		if w.mux != muxSX1261 || w.addr != 0x10000|opListen {
			continue
		}
		theirs, err := calc.ListenThreshold(x.Threshold.Add(x.RSSIOffset))
		if err != nil {
			t.Fatal(err)
		}
		ours, err := calc.ListenThreshold(x.Threshold.Add(-x.RSSIOffset))
		if err != nil {
			t.Fatal(err)
		}
		b, err := hex.DecodeString(w.data)
		if err != nil || len(b) != 5 || b[3] != theirs {
			t.Fatalf("the vendor listens with %s, not with threshold %#02x", w.data, theirs)
		}
		b[3] = ours
		vendor[i].data = hex.EncodeToString(b)
	}
}

// recorded reads a transmission out of a recording: what its registers held when it
// was triggered.
type recorded struct {
	t     *testing.T
	s     *stream
	front Radio
	chain uint16 // what is added to a register's address
}

func (r *recorded) reg(f field) int {
	v, err := strconv.ParseUint(r.s.state[key(0, int(f.addr()+r.chain))], 16, 8)
	if err != nil {
		r.t.Fatal(err)
	}
	return f.extract(byte(v))
}

// packetOf reads a packet's parameters out of a recording.
func packetOf(t *testing.T, c *Concentrator, s *stream, vendor []write) radio.TxPacket {
	t.Helper()
	chain := 0
	for _, w := range vendor {
		if w.mux == 0 && w.addr >= 0x5400 && w.addr < 0x5600 {
			chain = 1
		}
	}
	r := &recorded{t: t, s: s, front: c.cfg.Radios[chain], chain: uint16(chain * chainStride)}
	p := radio.TxPacket{RadioChain: uint8(chain), Frequency: r.frequency()}
	fsk := r.reg(regTxTopAGenCfg0ModulationType) == 1
	p.Payload = r.payload(fsk)
	if fsk {
		r.fsk(&p)
	} else {
		r.lora(&p)
	}
	for _, g := range r.front.Gains {
		if int(g.Register(r.front.Kind)) == r.reg(regTxTopAAgcTxPwrAgcTxPwr) {
			p.Power = g.Power
		}
	}
	switch {
	case r.reg(regTxTopATxTrigTxTrigDelayed) == 1:
		p.When, p.Tick = radio.AtTick, r.tick(p.DataRate)
	case r.reg(regTxTopATxTrigTxTrigGps) == 1:
		p.When = radio.AtGPS
	}
	return p
}

func (r *recorded) payload(fsk bool) []byte {
	first, n := addrTxBuffer+int(r.chain), r.reg(regTxTopATxrxCfg03PayloadLength)
	if fsk { // the length is the first byte on air
		first, n = first+1, r.reg(regTxTopAFskPktLenPktLength)
	}
	var out []byte
	for i := range n {
		b, err := hex.DecodeString(r.s.state[key(0, first+i)])
		if err != nil {
			r.t.Fatal(err)
		}
		out = append(out, b...)
	}
	return out
}

// frequency is the lowest one with the registers' value.
func (r *recorded) frequency() radio.Hertz {
	want := uint32(r.reg(regTxTopATxRffeIfFreqRfHFreqRf)<<16 | r.reg(regTxTopATxRffeIfFreqRfMFreqRf)<<8 | r.reg(regTxTopATxRffeIfFreqRfLFreqRf))
	low, high := 100*radio.MHz, 1100*radio.MHz
	for low < high {
		mid := (low + high) / 2
		if v, err := calc.TxFrequency(r.front.Kind, mid); err == nil && v < want {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low
}

func (r *recorded) fsk(p *radio.TxPacket) {
	div := r.reg(regTxTopAFskBitRateMsbBitRate)<<8 | r.reg(regTxTopAFskBitRateLsbBitRate)
	p.DataRate = radio.FSKRate(uint32((32_000_000 + div/2) / div))
	p.NoCRC = r.reg(regTxTopAFskCfg0CrcEn) == 0
	p.Preamble = uint16(r.reg(regTxTopAFskPreambleSizeMsbPreambleSize)<<8 | r.reg(regTxTopAFskPreambleSizeLsbPreambleSize))
	dev, err := calc.TxDeviation(fskDeviation(p.DataRate.BitRate))
	if err != nil {
		r.t.Fatal(err)
	}
	if got := r.reg(regTxTopATxRffeIfFreqDevHFreqDev)<<8 | r.reg(regTxTopATxRffeIfFreqDevLFreqDev); got != int(dev) {
		r.t.Skipf("recorded with a deviation of %d, a packet of %v has LoRaWAN's, %d: radio.TxPacket has no other", got, p.DataRate, dev)
	}
}

func (r *recorded) lora(p *radio.TxPacket) {
	sf := radio.SpreadingFactor(r.reg(regTxTopATxrxCfg00ModemSf))
	p.DataRate = radio.LoRaRate(sf, 125*radio.KHz<<(r.reg(regTxTopATxrxCfg00ModemBw)-4))
	p.Coding = radio.CodingRate(r.reg(regTxTopATxrxCfg01CodingRate))
	p.InvertIQ = r.reg(regTxTopATxCfg00ChirpInvert) == 1
	p.Implicit = r.reg(regTxTopATxrxCfg02ImplicitHeader) == 1
	p.NoCRC = r.reg(regTxTopATxrxCfg02CrcEn) == 0
	p.Preamble = uint16(r.reg(regTxTopATxrxCfg13PreambleSymbNb)<<8 | r.reg(regTxTopATxrxCfg12PreambleSymbNb))
}

// tick is the packet's start: the timer's trigger, and the delay after it.
func (r *recorded) tick(rate radio.DataRate) radio.Tick {
	var delay uint16
	if rate.Modulation == radio.LoRa {
		var err error
		if delay, err = calc.StartDelay(r.front.Kind, rate); err != nil {
			r.t.Fatal(err)
		}
	}
	var at uint32
	for i := range uint16(4) {
		at = at<<8 | uint32(r.reg(regTxTopATimerTrigByte3TimerDelayedTrig.plus(i)))
	}
	return radio.Tick((at + uint32(delay)) / calc.CyclesPerMicro)
}

// TestReceiveRecorded feeds the recorded FIFO contents to the driver.
func TestReceiveRecorded(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(tracesDir(), "*_rx_fetch.jsonl"))
	if len(files) == 0 {
		t.Skipf("no receptions recorded in %s", tracesDir())
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), "_rx_fetch.jsonl")
		t.Run(name, func(t *testing.T) {
			conf, err := os.ReadFile(filepath.Join(filepath.Dir(file), name+"_conf.json"))
			if err != nil {
				t.Fatal(err)
			}
			c, chip := startFake(t, conf)
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, line := range strings.Split(strings.TrimSpace(string(b)), "\n") {
				var r struct{ Op, Addr, Hex string }
				if err := json.Unmarshal([]byte(line), &r); err != nil {
					t.Fatal(err)
				}
				if r.Op == "r" && r.Addr == "0x4000" {
					data, err := hex.DecodeString(r.Hex)
					if err != nil {
						t.Fatal(err)
					}
					chip.fifo = append(chip.fifo, data...)
				}
			}
			whole := bytes.Clone(chip.fifo)
			frames := chip.frames
			packets, err := c.Receive(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range packets {
				t.Logf("%v %v %v RSSI %v SNR %v offset %d chan %d tick %d: %x", p.Frequency, p.DataRate, p.Coding, p.RSSI, p.SNR, p.Offset, p.IFChannel, p.Tick, p.Payload)
			}
			want := entriesOf(t, &c.cfg, whole)
			if len(packets) != len(want) || len(want) == 0 {
				t.Fatalf("%d packets, recorded are %d", len(packets), len(want))
			}
			for _, p := range packets {
				i := slices.IndexFunc(want, func(e recordedEntry) bool {
					return bytes.Equal(e.payload, p.Payload) && e.crc == p.CRC && e.channel == p.IFChannel
				})
				if i < 0 {
					t.Fatalf("packet %+v is not recorded", p)
				}
				want = slices.Delete(want, i, i+1)
			}
			if s := c.Stats(); s.BadPacket+s.BadPayload+s.Garbage > 0 {
				t.Errorf("%+v", s)
			}
			compareForwarded(t, strings.TrimSuffix(file, "_rx_fetch.jsonl")+"_rxpk.json", packets)
			t.Logf("%d frames", chip.frames-frames)
		})
	}
}

// recordedEntry is what this test itself reads out of a recorded FIFO (d.2).
type recordedEntry struct {
	payload []byte
	channel uint8
	crc     radio.CRCStatus
}

func entriesOf(t *testing.T, cfg *Config, b []byte) (out []recordedEntry) {
	t.Helper()
	for len(b) > 0 {
		n := int(b[2])
		end := 23 + n + 2*int(b[21+n])
		if b[0] != 0xA5 || b[1] != 0xC0 || len(b) < end {
			t.Fatalf("no packet: % x", b)
		}
		e := recordedEntry{b[9 : 9+n], b[3], radio.CRCNone}
		checked := b[4]&1 == 1
		if e.channel == ChanService && cfg.Service.ImplicitHeader {
			checked = cfg.Service.ImplicitCRC
		}
		if checked {
			if e.crc = radio.CRCOK; b[9+n]&1 == 1 {
				e.crc = radio.CRCBad
			}
		}
		out, b = append(out, e), b[end:]
	}
	return out
}

// compareForwarded compares packets with what the vendor's forwarder made of the
// same FIFO, where that was recorded. Its times have whole wraps of 2^27 µs which
// depend on when it looked.
func compareForwarded(t *testing.T, file string, packets []radio.RxPacket) {
	t.Helper()
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return
	}
	var theirs []struct {
		Tmst, Mid, Chan, RFCh, Stat, RSSI, RSSIS, FOff, Size int
		Freq, LSNR                                           float64
		Datr                                                 any
		CodR, Data                                           string
	}
	if err != nil || json.Unmarshal(text, &theirs) != nil {
		t.Fatal(err)
	}
	status := map[radio.CRCStatus]int{radio.CRCOK: 1, radio.CRCBad: -1, radio.CRCNone: 0}
	for _, v := range theirs {
		data, err := base64.StdEncoding.DecodeString(v.Data)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(packets, func(p radio.RxPacket) bool { return bytes.Equal(p.Payload, data) })
		if i < 0 {
			t.Errorf("the vendor has a packet %x", data)
			continue
		}
		p := packets[i]
		rate := fmt.Sprint(v.Datr)
		if p.DataRate.Modulation == radio.FSK {
			rate, v.CodR = fmt.Sprintf("FSK%v", v.Datr), p.Coding.String()
		}
		same := v.Chan == int(p.IFChannel) && v.RFCh == int(p.RadioChain) && v.Stat == status[p.CRC] && rate == p.DataRate.String() &&
			v.CodR == p.Coding.String() && math.Abs(v.Freq*1e6-float64(p.Frequency)) < 1 && math.Abs(float64(v.RSSI)-p.RSSI.Float()) <= 0.51
		if p.DataRate.Modulation == radio.LoRa {
			same = same && math.Abs(v.LSNR-p.SNR.Float()) < 0.051 && math.Abs(float64(v.RSSIS)-p.SignalRSSI.Float()) <= 0.51 && v.FOff == -int(p.Offset)
		}
		if !same || (int64(p.Tick)-int64(v.Tmst))%(1<<27) != 0 {
			t.Errorf("%+v (tick %d), the vendor's is %+v", p, p.Tick, v)
		}
	}
}
