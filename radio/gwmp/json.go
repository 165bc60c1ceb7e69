package gwmp

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"heliograph/radio"
)

// number is a JSON number, or a text that holds one; null and the empty text
// leave it unset. A float64 holds every integer of the protocol exactly.
type number struct {
	set bool
	v   float64
}

func (n *number) UnmarshalJSON(b []byte) error {
	*n = number{}
	s := string(b)
	if s == "null" {
		return nil
	}
	if s[0] == '"' {
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
		if s = strings.TrimSpace(s); s == "" {
			return nil
		}
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return fmt.Errorf("%s is not a number", clip(s))
	}
	*n = number{set: true, v: v}
	return nil
}

// integer rounds float noise away and checks the range.
func (n number) integer(lo, hi int64) (int64, error) {
	r := math.Round(n.v)
	if r < float64(lo) || r > float64(hi) {
		return 0, fmt.Errorf("%v is outside %d..%d", n.v, lo, hi)
	}
	return int64(r), nil
}

// small reads an optional field of one byte; absent is 0.
func (n number) small(key string) (uint8, error) {
	v, err := n.integer(0, math.MaxUint8)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", key, err)
	}
	return uint8(v), nil
}

// count reads an optional counter; absent is 0.
func (n number) count(key string) (uint32, error) {
	v, err := n.integer(0, math.MaxUint32)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", key, err)
	}
	return uint32(v), nil
}

// text is a JSON text, or the digits of a number; anything else leaves it empty.
type text struct {
	s      string
	number bool
}

func (t *text) UnmarshalJSON(b []byte) error {
	*t = text{}
	switch {
	case b[0] == '"':
		return json.Unmarshal(b, &t.s)
	case b[0] == '-' || '0' <= b[0] && b[0] <= '9':
		*t = text{s: string(b), number: true}
	}
	return nil
}

// flag is a JSON boolean, or a number or text that stands for one.
type flag bool

func (f *flag) UnmarshalJSON(b []byte) error {
	switch strings.ToLower(string(bytes.Trim(b, `"`))) {
	case "true", "1":
		*f = true
	case "false", "0", "", "null":
		*f = false
	default:
		return fmt.Errorf("%s is neither true nor false", clip(string(b)))
	}
	return nil
}

// clip keeps hostile text out of error messages at full length.
func clip(s string) string {
	if len(s) > 32 {
		s = s[:32] + "..."
	}
	return strconv.Quote(s)
}

var fixBase64 = strings.NewReplacer("-", "+", "_", "/", "=", "", "\r", "", "\n", "", " ", "")

// decodeBase64 reads a PHY payload in either alphabet or a mixture, padded or
// not, with or without stray bits after the last byte.
func decodeBase64(s string) ([]byte, error) {
	if len(s) > 2*radio.MaxPayload {
		return nil, fmt.Errorf("data: %d characters are more than %d bytes can need", len(s), radio.MaxPayload)
	}
	b, err := base64.RawStdEncoding.DecodeString(fixBase64.Replace(s))
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	if len(b) > radio.MaxPayload {
		return nil, fmt.Errorf("data: %d bytes, want at most %d", len(b), radio.MaxPayload)
	}
	return b, nil
}

// payload decodes data and compares it with size, which may be absent.
func payload(data *string, size number) ([]byte, error) {
	if data == nil {
		return nil, errMissing("data")
	}
	b, err := decodeBase64(*data)
	if err != nil {
		return nil, err
	}
	if size.set && math.Round(size.v) != float64(len(b)) {
		return nil, fmt.Errorf("size is %v, but data has %d bytes", size.v, len(b))
	}
	return b, nil
}

func errMissing(key string) error { return fmt.Errorf("%s is missing", key) }

// frequency reads freq, in decimal MHz, to the nearest hertz.
func frequency(n number) (radio.Hertz, error) {
	if !n.set {
		return 0, errMissing("freq")
	}
	f, err := radio.HertzFromMHz(n.v)
	if err != nil {
		return 0, fmt.Errorf("freq: %w", err)
	}
	if f == 0 {
		return 0, errors.New("freq is 0")
	}
	return f, nil
}

// modulation reads modu, datr and codr together. A missing modu follows from
// datr: text is LoRa, a number is FSK's bit rate.
func modulation(modu, datr, codr text) (radio.DataRate, radio.CodingRate, error) {
	fsk := datr.number
	switch strings.ToUpper(modu.s) {
	case "":
	case "LORA":
		fsk = false
	case "FSK":
		fsk = true
	default:
		return radio.DataRate{}, 0, fmt.Errorf("modu %s is not supported", clip(modu.s))
	}
	if datr.s == "" {
		return radio.DataRate{}, 0, errMissing("datr")
	}
	if fsk {
		v, err := strconv.ParseFloat(datr.s, 64)
		if err != nil || !(v >= 0 && v <= math.MaxUint32) || !radio.FSKRate(uint32(math.Round(v))).Valid() {
			return radio.DataRate{}, 0, fmt.Errorf("datr %s is not an FSK bit rate", clip(datr.s))
		}
		return radio.FSKRate(uint32(math.Round(v))), 0, nil
	}
	dr, err := radio.ParseDataRate(strings.ToUpper(strings.TrimSpace(datr.s)))
	if err != nil || dr.Modulation != radio.LoRa {
		return radio.DataRate{}, 0, fmt.Errorf("datr %s is not a LoRa data rate", clip(datr.s))
	}
	cr, err := codingRate(codr.s)
	return dr, cr, err
}

// codingRate knows the reduced fractions that old forwarders use, too.
func codingRate(s string) (radio.CodingRate, error) {
	switch strings.ToUpper(strings.TrimSpace(s)) {
	case "", "OFF":
		return 0, nil
	case "4/5":
		return 1, nil
	case "4/6", "2/3":
		return 2, nil
	case "4/7":
		return 3, nil
	case "4/8", "1/2", "2/4":
		return 4, nil
	}
	return 0, fmt.Errorf("codr %s is not supported", clip(s))
}

func appendInt(b []byte, key string, v int64) []byte {
	b = append(b, key...)
	return strconv.AppendInt(b, v, 10)
}

// appendCenti writes hundredths as a decimal without trailing zeros.
func appendCenti(b []byte, v int64) []byte {
	if v < 0 {
		b, v = append(b, '-'), -v
	}
	b = strconv.AppendInt(b, v/100, 10)
	switch f := v % 100; {
	case f == 0:
	case f%10 == 0:
		b = append(b, '.', byte('0'+f/10))
	default:
		b = append(b, '.', byte('0'+f/10), byte('0'+f%10))
	}
	return b
}

// appendMHz writes a frequency in MHz with six decimals, without a float.
func appendMHz(b []byte, f radio.Hertz) []byte {
	b = append(b, `,"freq":`...)
	return fmt.Appendf(b, "%d.%06d", f/radio.MHz, f%radio.MHz)
}

func appendModulation(b []byte, dr radio.DataRate, cr radio.CodingRate) []byte {
	if dr.Modulation == radio.FSK {
		return appendInt(append(b, `,"modu":"FSK"`...), `,"datr":`, int64(dr.BitRate))
	}
	b = append(b, `,"modu":"LORA","datr":"`...)
	b = append(b, dr.String()...)
	b = append(b, `","codr":"`...)
	b = append(b, cr.String()...)
	return append(b, '"')
}

func appendPayload(b, payload []byte) []byte {
	b = appendInt(b, `,"size":`, int64(len(payload)))
	b = append(b, `,"data":"`...)
	b = base64.StdEncoding.AppendEncode(b, payload)
	return append(b, '"')
}

// checkRadio refuses what would not come back from the wire as it went.
func checkRadio(payload []byte, f radio.Hertz, dr radio.DataRate, cr radio.CodingRate) error {
	switch {
	case len(payload) > radio.MaxPayload:
		return fmt.Errorf("payload of %d bytes, want at most %d", len(payload), radio.MaxPayload)
	case f <= 0 || f > 10_000*radio.MHz:
		return fmt.Errorf("frequency %s is outside 0..10 GHz", f)
	case !dr.Valid():
		return fmt.Errorf("data rate %s is not valid", dr)
	case cr > 4 || dr.Modulation == radio.FSK && cr != 0:
		return fmt.Errorf("coding rate %d does not fit %s", cr, dr)
	}
	return nil
}
