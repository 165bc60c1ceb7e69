package gwmp

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"heliograph/radio"
)

// maxSignals bounds the antennas in one rsig array.
const maxSignals = 16

// RxPK is one received packet of a PUSH_DATA, in exact units. Fields mean what
// they mean in [radio.RxPacket], but for Offset: concentrators count it the other
// way round, as channel less carrier, and so does "foff".
type RxPK struct {
	Payload  []byte // 0..255 bytes
	Tmst     uint32 // concentrator counter at the end of the packet, in µs, wrapping
	UnixNano int64  // UTC by "time", 0 when absent
	GPS      int64  // GPS time by "tmms" in ms since 1980-01-06, 0 when absent

	Frequency radio.Hertz
	Offset    radio.Hertz // "foff", Frequency less carrier; meaningful when HasOffset
	HasOffset bool
	DataRate  radio.DataRate
	Coding    radio.CodingRate // 0 when FSK, "OFF" or absent
	CRC       radio.CRCStatus  // CRCNone when absent

	RSSI          radio.CentiDBm
	SignalRSSI    radio.CentiDBm // "rssis"; meaningful when HasSignalRSSI
	HasSignalRSSI bool
	SNR           radio.CentiDB // 0 for FSK

	FineNanos uint32 // "ftime", below 1e9; meaningful when HasFine
	HasFine   bool

	IFChannel  uint8
	RadioChain uint8
	Antenna    uint8
	Board      uint8
}

// Packet converts to what a concentrator receives. near is the forwarder's
// counter at about this time (within half an hour) and widens Tmst to 64 bits.
//
// The time has a bound of [BoundGPS] when the forwarder reports GPS time and
// [BoundHost] otherwise; if its two times disagree, the bound covers both.
func (p RxPK) Packet(near radio.Tick) radio.RxPacket {
	return radio.RxPacket{
		Payload:       append([]byte(nil), p.Payload...),
		Frequency:     p.Frequency,
		Offset:        -p.Offset,
		HasOffset:     p.HasOffset,
		DataRate:      p.DataRate,
		Coding:        p.Coding,
		CRC:           p.CRC,
		RSSI:          p.RSSI,
		SignalRSSI:    p.SignalRSSI,
		HasSignalRSSI: p.HasSignalRSSI,
		SNR:           p.SNR,
		Tick:          radio.Widen(p.Tmst, near),
		Time:          wallTime(p.UnixNano, p.GPS),
		FineNanos:     p.FineNanos,
		HasFine:       p.HasFine,
		IFChannel:     p.IFChannel,
		RadioChain:    p.RadioChain,
		Antenna:       p.Antenna,
		Board:         p.Board,
	}
}

// RxPKOf converts a received packet for sending to a server. Levels are rounded
// to the protocol's precision, 1 dB for RSSI and 0.1 dB for SNR: servers in the
// field read them into integers. GPS time is claimed only for times good to
// [BoundGPS].
func RxPKOf(p radio.RxPacket) RxPK {
	r := RxPK{
		Payload:       append([]byte(nil), p.Payload...),
		Tmst:          p.Tick.Low32(),
		UnixNano:      p.Time.UnixNano,
		Frequency:     p.Frequency,
		HasOffset:     p.HasOffset,
		DataRate:      p.DataRate,
		CRC:           p.CRC,
		RSSI:          roundTo(p.RSSI, 100),
		HasSignalRSSI: p.HasSignalRSSI,
		HasFine:       p.HasFine,
		IFChannel:     p.IFChannel,
		RadioChain:    p.RadioChain,
		Antenna:       p.Antenna,
		Board:         p.Board,
	}
	if p.DataRate.Modulation == radio.LoRa {
		r.Coding, r.SNR = p.Coding, roundTo(p.SNR, 10)
	}
	if p.HasOffset {
		r.Offset = -p.Offset
	}
	if p.HasSignalRSSI {
		r.SignalRSSI = roundTo(p.SignalRSSI, 100)
	}
	if p.HasFine {
		r.FineNanos = p.FineNanos
	}
	if p.Time.Known() && p.Time.Bound <= BoundGPS {
		r.GPS = gpsMillis(p.Time.UnixNano)
	}
	return r
}

// roundTo rounds to a multiple of step, halves away from zero.
func roundTo[T ~int32](v, step T) T {
	if v < 0 {
		return -((-v + step/2) / step * step)
	}
	return (v + step/2) / step * step
}

// rxSignal is what one antenna received: an element of rsig, or the fields at
// the top level.
type rxSignal struct {
	Ant   number `json:"ant"`
	Chan  number `json:"chan"`
	RSSI  number `json:"rssi"`
	RSSIC number `json:"rssic"` // the channel RSSI's name inside rsig
	RSSIS number `json:"rssis"`
	LSNR  number `json:"lsnr"`
	FOff  number `json:"foff"`
	FTime number `json:"ftime"`
}

type rxWire struct {
	rxSignal
	Tmst number     `json:"tmst"`
	Time text       `json:"time"`
	Tmms number     `json:"tmms"`
	RFCh number     `json:"rfch"`
	Brd  number     `json:"brd"`
	Freq number     `json:"freq"`
	Stat number     `json:"stat"`
	Modu text       `json:"modu"`
	Datr text       `json:"datr"`
	Codr text       `json:"codr"`
	Size number     `json:"size"`
	Data *string    `json:"data"`
	RSig []rxSignal `json:"rsig"`
}

func parseRxPK(raw []byte) (RxPK, error) {
	var w rxWire
	if err := json.Unmarshal(raw, &w); err != nil {
		return RxPK{}, err
	}
	p := RxPK{UnixNano: parseTime(w.Time.s), GPS: tmms(w.Tmms)}
	var err error
	if p.Payload, err = payload(w.Data, w.Size); err != nil {
		return RxPK{}, err
	}
	if p.Tmst, err = tmst(w.Tmst); err != nil {
		return RxPK{}, err
	}
	if p.Frequency, err = frequency(w.Freq); err != nil {
		return RxPK{}, err
	}
	if p.DataRate, p.Coding, err = modulation(w.Modu, w.Datr, w.Codr); err != nil {
		return RxPK{}, err
	}
	crc, err := w.Stat.integer(-1, 1)
	if err != nil {
		return RxPK{}, fmt.Errorf("stat: %w", err)
	}
	p.CRC = radio.CRCStatus(crc)
	if p.RadioChain, err = w.RFCh.small("rfch"); err != nil {
		return RxPK{}, err
	}
	if p.Board, err = w.Brd.small("brd"); err != nil {
		return RxPK{}, err
	}
	s, err := w.signal()
	if err != nil {
		return RxPK{}, err
	}
	return p, p.setSignal(s)
}

// tmst reads the counter. Printing it as a signed number is a known slip.
func tmst(n number) (uint32, error) {
	if !n.set {
		return 0, errMissing("tmst")
	}
	v, err := n.integer(math.MinInt32, math.MaxUint32)
	if err != nil {
		return 0, fmt.Errorf("tmst: %w", err)
	}
	return uint32(v), nil
}

// signal picks the antenna with the best SNR (with the best RSSI where SNR is
// equal or absent) and fills what it lacks from the top level.
func (w rxWire) signal() (rxSignal, error) {
	if len(w.RSig) == 0 {
		return w.rxSignal, nil
	}
	if len(w.RSig) > maxSignals {
		return rxSignal{}, fmt.Errorf("rsig has %d antennas, want at most %d", len(w.RSig), maxSignals)
	}
	best := w.RSig[0]
	for _, s := range w.RSig[1:] {
		if s.better(best) {
			best = s
		}
	}
	fill := func(to *number, from number) {
		if !to.set {
			*to = from
		}
	}
	fill(&best.Ant, w.Ant)
	fill(&best.Chan, w.Chan)
	fill(&best.RSSIC, w.RSSI)
	fill(&best.RSSIS, w.RSSIS)
	fill(&best.LSNR, w.LSNR)
	fill(&best.FOff, w.FOff)
	fill(&best.FTime, w.FTime)
	return best, nil
}

func (s rxSignal) better(t rxSignal) bool {
	if s.LSNR.set != t.LSNR.set {
		return s.LSNR.set
	}
	if s.LSNR.v != t.LSNR.v {
		return s.LSNR.v > t.LSNR.v
	}
	if s.RSSIC.set != t.RSSIC.set {
		return s.RSSIC.set
	}
	return s.RSSIC.v > t.RSSIC.v
}

func (p *RxPK) setSignal(s rxSignal) error {
	level := s.RSSIC
	if !level.set {
		level = s.RSSI
	}
	if !level.set {
		return errMissing("rssi")
	}
	var err error
	if p.RSSI, err = radio.CentiDBmFrom(level.v); err != nil {
		return fmt.Errorf("rssi: %w", err)
	}
	if p.HasSignalRSSI = s.RSSIS.set; p.HasSignalRSSI {
		if p.SignalRSSI, err = radio.CentiDBmFrom(s.RSSIS.v); err != nil {
			return fmt.Errorf("rssis: %w", err)
		}
	}
	if p.DataRate.Modulation == radio.LoRa {
		if !s.LSNR.set {
			return errMissing("lsnr")
		}
		if p.SNR, err = radio.CentiDBFrom(s.LSNR.v); err != nil {
			return fmt.Errorf("lsnr: %w", err)
		}
	}
	if p.HasOffset = s.FOff.set; p.HasOffset {
		v, err := s.FOff.integer(-1_000_000, 1_000_000)
		if err != nil {
			return fmt.Errorf("foff: %w", err)
		}
		p.Offset = radio.Hertz(v)
	}
	if p.HasFine = s.FTime.set; p.HasFine {
		v, err := s.FTime.integer(0, 999_999_999)
		if err != nil {
			return fmt.Errorf("ftime: %w", err)
		}
		p.FineNanos = uint32(v)
	}
	if p.IFChannel, err = s.Chan.small("chan"); err != nil {
		return err
	}
	p.Antenna, err = s.Ant.small("ant")
	return err
}

func (p RxPK) check() error {
	if err := checkRadio(p.Payload, p.Frequency, p.DataRate, p.Coding); err != nil {
		return err
	}
	const maxLevel = 100_000 // what radio.CentiDBFrom takes back
	for _, v := range []int32{int32(p.RSSI), int32(p.SignalRSSI), int32(p.SNR)} {
		if v < -maxLevel || v > maxLevel {
			return errors.New("a level is beyond 1000 dB")
		}
	}
	switch {
	case p.CRC < radio.CRCBad || p.CRC > radio.CRCOK:
		return fmt.Errorf("CRC status %d does not exist", p.CRC)
	case p.HasFine && p.FineNanos >= 1e9:
		return errors.New("fine timestamp is not below one second")
	case p.HasOffset && (p.Offset < -radio.MHz || p.Offset > radio.MHz):
		return fmt.Errorf("offset %s is beyond 1 MHz", p.Offset)
	case p.GPS != 0 && (p.GPS < minGPSMillis || p.GPS > maxGPSMillis):
		return errors.New("GPS time is outside 2017..2119")
	case p.UnixNano < 0:
		return errors.New("time is before 1970")
	}
	return nil
}

func (p RxPK) appendJSON(b []byte) ([]byte, error) {
	if err := p.check(); err != nil {
		return b, err
	}
	b = appendInt(b, `{"tmst":`, int64(p.Tmst))
	if p.UnixNano != 0 {
		b = append(b, `,"time":"`...)
		b = append(appendTime(b, p.UnixNano, time.RFC3339Nano), '"')
	}
	if p.GPS != 0 {
		b = appendInt(b, `,"tmms":`, p.GPS)
	}
	if p.HasFine {
		b = appendInt(b, `,"ftime":`, int64(p.FineNanos))
	}
	b = appendInt(b, `,"chan":`, int64(p.IFChannel))
	b = appendInt(b, `,"rfch":`, int64(p.RadioChain))
	if p.Antenna != 0 {
		b = appendInt(b, `,"ant":`, int64(p.Antenna))
	}
	if p.Board != 0 {
		b = appendInt(b, `,"brd":`, int64(p.Board))
	}
	b = appendMHz(b, p.Frequency)
	b = appendInt(b, `,"stat":`, int64(p.CRC))
	b = appendModulation(b, p.DataRate, p.Coding)
	b = appendCenti(append(b, `,"rssi":`...), int64(p.RSSI))
	if p.HasSignalRSSI {
		b = appendCenti(append(b, `,"rssis":`...), int64(p.SignalRSSI))
	}
	if p.DataRate.Modulation == radio.LoRa {
		b = appendCenti(append(b, `,"lsnr":`...), int64(p.SNR))
	}
	if p.HasOffset {
		b = appendInt(b, `,"foff":`, int64(p.Offset))
	}
	return append(appendPayload(b, p.Payload), '}'), nil
}
