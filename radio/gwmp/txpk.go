package gwmp

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"heliograph/radio"
)

// TxPK is the packet of a PULL_RESP, in exact units. Fields mean what they mean
// in [radio.TxPacket].
type TxPK struct {
	Payload []byte // 1..255 bytes

	When radio.When
	Tmst uint32 // AtTick: the counter at the start of the packet, in µs, wrapping
	GPS  int64  // AtGPS: GPS time in ms since 1980-01-06

	Frequency  radio.Hertz
	DataRate   radio.DataRate
	Coding     radio.CodingRate // 1..4 for LoRa, 0 for FSK
	Deviation  radio.Hertz      // FSK only; 0 leaves it to the radio
	Power      radio.CentiDBm   // "powe"; a forwarder takes its own antenna_gain off
	InvertIQ   bool
	NoCRC      bool
	Preamble   uint16 // symbols; 0 leaves it to the radio
	RadioChain uint8
	Antenna    uint8
	Board      uint8
}

// Packet converts to what a concentrator sends. near is the concentrator's
// counter at about this time and widens Tmst to 64 bits. Deviation is left
// behind: the radio derives it from the bit rate.
func (p TxPK) Packet(near radio.Tick) radio.TxPacket {
	t := radio.TxPacket{
		Payload:    append([]byte(nil), p.Payload...),
		Frequency:  p.Frequency,
		DataRate:   p.DataRate,
		Coding:     p.Coding,
		Power:      p.Power,
		InvertIQ:   p.InvertIQ,
		NoCRC:      p.NoCRC,
		Preamble:   p.Preamble,
		RadioChain: p.RadioChain,
		Antenna:    p.Antenna,
		Board:      p.Board,
		When:       p.When,
	}
	switch p.When {
	case radio.AtTick:
		t.Tick = radio.Widen(p.Tmst, near)
	case radio.AtGPS:
		t.GPSTime = time.Duration(p.GPS) * time.Millisecond
	}
	return t
}

// TxPKOf converts a packet for sending to a forwarder. Power is rounded down to
// whole dBm, the precision of the protocol, so that no limit is exceeded. A LoRa
// coding rate of 0 becomes LoRaWAN's 4/5; FSK gets the deviation of half its bit
// rate. What does not fit is found by [PullResp.AppendBinary].
func TxPKOf(p radio.TxPacket) TxPK {
	t := TxPK{
		Payload:    append([]byte(nil), p.Payload...),
		When:       p.When,
		Frequency:  p.Frequency,
		DataRate:   p.DataRate,
		Power:      floorDBm(p.Power),
		InvertIQ:   p.InvertIQ,
		NoCRC:      p.NoCRC,
		Preamble:   p.Preamble,
		RadioChain: p.RadioChain,
		Antenna:    p.Antenna,
		Board:      p.Board,
	}
	switch p.DataRate.Modulation {
	case radio.LoRa:
		t.Coding = max(p.Coding, 1)
	case radio.FSK:
		t.Deviation = radio.Hertz(p.DataRate.BitRate / 2)
	}
	switch p.When {
	case radio.AtTick:
		t.Tmst = p.Tick.Low32()
	case radio.AtGPS:
		t.GPS = p.GPSTime.Milliseconds()
	}
	return t
}

func floorDBm(p radio.CentiDBm) radio.CentiDBm {
	r := p % 100
	if r < 0 {
		r += 100
	}
	return p - r
}

type txWire struct {
	Imme flag    `json:"imme"`
	Tmst number  `json:"tmst"`
	Tmms number  `json:"tmms"`
	Time text    `json:"time"`
	Freq number  `json:"freq"`
	RFCh number  `json:"rfch"`
	Ant  number  `json:"ant"`
	Brd  number  `json:"brd"`
	Powe number  `json:"powe"`
	Modu text    `json:"modu"`
	Datr text    `json:"datr"`
	Codr text    `json:"codr"`
	FDev number  `json:"fdev"`
	IPol flag    `json:"ipol"`
	Prea number  `json:"prea"`
	Size number  `json:"size"`
	Data *string `json:"data"`
	NCRC flag    `json:"ncrc"`
	NHdr flag    `json:"nhdr"`
}

func parseTxPK(raw []byte) (TxPK, error) {
	var w txWire
	if err := json.Unmarshal(raw, &w); err != nil {
		return TxPK{}, err
	}
	if w.NHdr {
		return TxPK{}, errors.New("nhdr: packets without header are not supported")
	}
	p := TxPK{InvertIQ: bool(w.IPol), NoCRC: bool(w.NCRC)}
	var err error
	if p.Payload, err = payload(w.Data, w.Size); err != nil {
		return TxPK{}, err
	}
	if p.Frequency, err = frequency(w.Freq); err != nil {
		return TxPK{}, err
	}
	if p.DataRate, p.Coding, err = modulation(w.Modu, w.Datr, w.Codr); err != nil {
		return TxPK{}, err
	}
	if !w.Powe.set {
		return TxPK{}, errMissing("powe")
	}
	if p.Power, err = radio.CentiDBmFrom(w.Powe.v); err != nil {
		return TxPK{}, fmt.Errorf("powe: %w", err)
	}
	if p.DataRate.Modulation == radio.FSK {
		v, err := w.FDev.integer(0, 1_000_000)
		if err != nil {
			return TxPK{}, fmt.Errorf("fdev: %w", err)
		}
		p.Deviation = radio.Hertz(v)
	}
	prea, err := w.Prea.integer(0, math.MaxUint16)
	if err != nil {
		return TxPK{}, fmt.Errorf("prea: %w", err)
	}
	p.Preamble = uint16(prea)
	for _, f := range []struct {
		key  string
		from number
		to   *uint8
	}{{"rfch", w.RFCh, &p.RadioChain}, {"ant", w.Ant, &p.Antenna}, {"brd", w.Brd, &p.Board}} {
		if *f.to, err = f.from.small(f.key); err != nil {
			return TxPK{}, err
		}
	}
	if err := p.setWhen(w); err != nil {
		return TxPK{}, err
	}
	return p, p.check()
}

// setWhen follows the packet forwarder's order: imme, then tmst, then GPS time.
func (p *TxPK) setWhen(w txWire) error {
	switch {
	case bool(w.Imme):
		p.When = radio.Immediate
		return nil
	case w.Tmst.set:
		p.When = radio.AtTick
		var err error
		p.Tmst, err = tmst(w.Tmst)
		return err
	}
	if p.GPS = tmms(w.Tmms); p.GPS == 0 {
		p.GPS = gpsMillis(parseTime(w.Time.s))
	}
	if p.GPS == 0 {
		return errors.New("none of imme, tmst, tmms and time says when to send")
	}
	p.When = radio.AtGPS
	return nil
}

func (p TxPK) check() error {
	if err := checkRadio(p.Payload, p.Frequency, p.DataRate, p.Coding); err != nil {
		return err
	}
	switch {
	case len(p.Payload) == 0:
		return errors.New("payload is empty")
	case p.DataRate.Modulation == radio.LoRa && p.Coding == 0:
		return errMissing("codr")
	case p.Deviation < 0 || p.Deviation > radio.MHz || p.Deviation != 0 && p.DataRate.Modulation != radio.FSK:
		return fmt.Errorf("frequency deviation %s does not fit %s", p.Deviation, p.DataRate)
	case p.Power < -100_000 || p.Power > 100_000:
		return fmt.Errorf("power %s is beyond 1000 dBm", p.Power)
	case p.When < radio.Immediate || p.When > radio.AtGPS:
		return fmt.Errorf("time of sending %d does not exist", p.When)
	case p.When == radio.AtGPS && (p.GPS < minGPSMillis || p.GPS > maxGPSMillis):
		return errors.New("GPS time is outside 2017..2119")
	}
	return nil
}

func (p TxPK) appendJSON(b []byte) ([]byte, error) {
	if err := p.check(); err != nil {
		return b, err
	}
	switch p.When {
	case radio.Immediate:
		b = append(b, `{"imme":true`...)
	case radio.AtTick:
		b = appendInt(b, `{"imme":false,"tmst":`, int64(p.Tmst))
	case radio.AtGPS:
		b = appendInt(b, `{"imme":false,"tmms":`, p.GPS)
	}
	b = appendMHz(b, p.Frequency)
	b = appendInt(b, `,"rfch":`, int64(p.RadioChain))
	if p.Antenna != 0 {
		b = appendInt(b, `,"ant":`, int64(p.Antenna))
	}
	if p.Board != 0 {
		b = appendInt(b, `,"brd":`, int64(p.Board))
	}
	b = appendCenti(append(b, `,"powe":`...), int64(p.Power))
	b = appendModulation(b, p.DataRate, p.Coding)
	if p.Deviation != 0 {
		b = appendInt(b, `,"fdev":`, int64(p.Deviation))
	}
	b = appendBool(b, `,"ipol":`, p.InvertIQ)
	if p.Preamble != 0 {
		b = appendInt(b, `,"prea":`, int64(p.Preamble))
	}
	b = appendPayload(b, p.Payload)
	return append(appendBool(b, `,"ncrc":`, p.NoCRC), '}'), nil
}

func appendBool(b []byte, key string, v bool) []byte {
	return fmt.Appendf(append(b, key...), "%t", v)
}
