package gwmp

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
)

// Stat is the statistics of a PUSH_DATA, counted since the previous ones.
// Vendors leave out what they do not measure.
type Stat struct {
	UnixNano int64 // UTC, 0 when absent; on the wire in whole seconds

	HasPosition bool
	Latitude    float64 // degrees north, -90..90
	Longitude   float64 // degrees east, -180..180
	Altitude    int32   // metres; 0 when absent

	RxReceived  uint32 // "rxnb": packets received
	RxOK        uint32 // "rxok": of these, with a good CRC
	RxForwarded uint32 // "rxfw": of these, forwarded
	Downlinks   uint32 // "dwnb": PULL_RESP received
	TxSent      uint32 // "txnb": packets radiated

	HasAckRatio    bool
	AckRatio       float64 // "ackr": percentage of PUSH_DATA acknowledged, >= 0
	HasTemperature bool
	Temperature    float64 // "temp": degrees Celsius, ±1000
}

type statWire struct {
	Time text   `json:"time"`
	Lati number `json:"lati"`
	Long number `json:"long"`
	Alti number `json:"alti"`
	RxNb number `json:"rxnb"`
	RxOk number `json:"rxok"`
	RxFw number `json:"rxfw"`
	AckR number `json:"ackr"`
	DwNb number `json:"dwnb"`
	TxNb number `json:"txnb"`
	Temp number `json:"temp"`
}

const statTime = "2006-01-02 15:04:05 GMT"

func parseStat(raw []byte) (Stat, error) {
	var w statWire
	if err := json.Unmarshal(raw, &w); err != nil {
		return Stat{}, err
	}
	s := Stat{
		UnixNano:       parseTime(w.Time.s) / 1e9 * 1e9,
		HasPosition:    w.Lati.set && w.Long.set,
		HasAckRatio:    w.AckR.set,
		AckRatio:       w.AckR.v,
		HasTemperature: w.Temp.set,
		Temperature:    w.Temp.v,
	}
	if s.HasPosition {
		s.Latitude, s.Longitude = w.Lati.v, w.Long.v
		alt, err := w.Alti.integer(math.MinInt32, math.MaxInt32)
		if err != nil {
			return Stat{}, fmt.Errorf("alti: %w", err)
		}
		s.Altitude = int32(alt)
	}
	for _, f := range []struct {
		key  string
		from number
		to   *uint32
	}{
		{"rxnb", w.RxNb, &s.RxReceived}, {"rxok", w.RxOk, &s.RxOK}, {"rxfw", w.RxFw, &s.RxForwarded},
		{"dwnb", w.DwNb, &s.Downlinks}, {"txnb", w.TxNb, &s.TxSent},
	} {
		var err error
		if *f.to, err = f.from.count(f.key); err != nil {
			return Stat{}, err
		}
	}
	return s, s.check()
}

func (s Stat) check() error {
	in := func(v, limit float64) bool { return v >= -limit && v <= limit } // false for NaN
	switch {
	case s.HasPosition && !(in(s.Latitude, 90) && in(s.Longitude, 180)):
		return fmt.Errorf("position %v, %v is not on the globe", s.Latitude, s.Longitude)
	case s.HasAckRatio && !(s.AckRatio >= 0 && s.AckRatio <= 1e6):
		return fmt.Errorf("ackr %v is not a percentage", s.AckRatio)
	case s.HasTemperature && !in(s.Temperature, 1000):
		return fmt.Errorf("temp %v is beyond 1000 degrees", s.Temperature)
	case s.UnixNano < 0:
		return errors.New("time is before 1970")
	}
	return nil
}

func (s Stat) appendJSON(b []byte) ([]byte, error) {
	if err := s.check(); err != nil {
		return b, err
	}
	b = append(b, '{')
	if s.UnixNano != 0 {
		b = append(b, `"time":"`...)
		b = append(appendTime(b, s.UnixNano, statTime), `",`...)
	}
	if s.HasPosition {
		b = appendFloat(b, `"lati":`, s.Latitude)
		b = appendFloat(b, `,"long":`, s.Longitude)
		b = append(appendInt(b, `,"alti":`, int64(s.Altitude)), ',')
	}
	b = appendInt(b, `"rxnb":`, int64(s.RxReceived))
	b = appendInt(b, `,"rxok":`, int64(s.RxOK))
	b = appendInt(b, `,"rxfw":`, int64(s.RxForwarded))
	if s.HasAckRatio {
		b = appendFloat(b, `,"ackr":`, s.AckRatio)
	}
	b = appendInt(b, `,"dwnb":`, int64(s.Downlinks))
	b = appendInt(b, `,"txnb":`, int64(s.TxSent))
	if s.HasTemperature {
		b = appendFloat(b, `,"temp":`, s.Temperature)
	}
	return append(b, '}'), nil
}

func appendFloat(b []byte, key string, v float64) []byte {
	return strconv.AppendFloat(append(b, key...), v, 'f', -1, 64)
}
