package vectors

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strings"
	"time"

	"heliograph/radio/gwmp"
)

func parseGWMP(kind gwmp.Kind, body []byte) (gwmp.Message, error) {
	b := []byte{2, 0, 1, byte(kind)}
	if kind != gwmp.KindPullResp {
		b = append(b, 1, 2, 3, 4, 5, 6, 7, 8)
	}
	return gwmp.Parse(append(b, body...))
}

func checkGWMPExamples(_ routingFile, raw json.RawMessage) error {
	var examples []struct {
		Kind     string          `json:"kind"`
		Source   string          `json:"source"`
		Gotcha   string          `json:"gotcha,omitempty"`
		JSON     json.RawMessage `json:"json,omitempty"`
		Header   hexBytes        `json:"header_hex,omitempty"`
		Datagram hexBytes        `json:"datagram_hex,omitempty"`
	}
	if err := strict(raw, &examples); err != nil {
		return err
	}
	var p problems
	for _, e := range examples {
		if e.Datagram != nil {
			checkDatagram(&p, e.Kind, e.Datagram, nil)
			continue
		}
		if e.JSON == nil {
			p.addf("%s: neither JSON nor datagram", e.Kind)
			continue
		}
		bodies := []json.RawMessage{e.JSON}
		if e.JSON[0] == '[' {
			if err := json.Unmarshal(e.JSON, &bodies); err != nil {
				p.addf("%s: %v", e.Kind, err)
			}
		}
		for _, body := range bodies {
			if e.Header != nil {
				checkDatagram(&p, e.Kind, append(bytes.Clone(e.Header), body...), body)
				continue
			}
			kind, err := kindOf(body)
			if err != nil {
				p.addf("%s: %v", e.Kind, err)
				continue
			}
			m, err := parseGWMP(kind, body)
			if err != nil {
				p.addf("%s: %v", e.Kind, err)
				continue
			}
			compareGWMP(&p, e.Kind, body, m)
		}
	}
	return p.err()
}

func kindOf(body json.RawMessage) (gwmp.Kind, error) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(body, &object); err != nil {
		return 0, err
	}
	for key := range object {
		switch key {
		case "rxpk", "stat":
			return gwmp.KindPushData, nil
		case "txpk":
			return gwmp.KindPullResp, nil
		case "txpk_ack":
			return gwmp.KindTxAck, nil
		}
	}
	return 0, errors.New("no message has such fields")
}

// checkDatagram parses a whole datagram and looks at its header.
func checkDatagram(p *problems, name string, d []byte, body json.RawMessage) {
	m, err := gwmp.Parse(d)
	if err != nil {
		p.addf("%s: %v", name, err)
		return
	}
	p.want(m.Kind() == gwmp.Kind(d[3]), "%s: it is a %s", name, m.Kind())
	var version, token uint16
	var mac gwmp.MAC
	switch m := m.(type) {
	case gwmp.PushData:
		version, token, mac = uint16(m.Version), uint16(m.Token), m.MAC
	case gwmp.TxAck:
		version, token, mac = uint16(m.Version), uint16(m.Token), m.MAC
		p.want(body != nil || m.Status.String() == "ok", "%s: status %s without JSON", name, m.Status)
	case gwmp.PullData:
		version, token, mac = uint16(m.Version), uint16(m.Token), m.MAC
	default:
		p.addf("%s: a gateway does not send %s", name, m.Kind())
		return
	}
	p.want(version == uint16(d[0]) && token == uint16(d[1])<<8|uint16(d[2]) && bytes.Equal(mac[:], d[4:12]),
		"%s: version %d, token %#x, gateway %s", name, version, token, mac)
	if body != nil {
		compareGWMP(p, name, body, m)
	}
}

// compareGWMP holds a message against its JSON, which it reads without the codec.
func compareGWMP(p *problems, name string, body json.RawMessage, m gwmp.Message) {
	var v struct {
		RxPK []map[string]any `json:"rxpk"`
		Stat map[string]any   `json:"stat"`
		TxPK map[string]any   `json:"txpk"`
		Ack  map[string]any   `json:"txpk_ack"`
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		p.addf("%s: %v", name, err)
		return
	}
	switch m := m.(type) {
	case gwmp.PushData:
		if len(m.Bad) > 0 || len(m.RxPKs) != len(v.RxPK) || (m.Stat != nil) != (v.Stat != nil) || len(v.RxPK) == 0 && v.Stat == nil {
			p.addf("%s: %d of %d packets, statistics %t, errors %v", name, len(m.RxPKs), len(v.RxPK), m.Stat != nil, m.Bad)
			return
		}
		for i, r := range m.RxPKs {
			compareRxPK(fields{p, name, v.RxPK[i]}, r)
		}
		if m.Stat != nil {
			compareStat(fields{p, name, v.Stat}, *m.Stat)
		}
	case gwmp.PullResp:
		compareTxPK(fields{p, name, v.TxPK}, m.TxPK)
	case gwmp.TxAck:
		want := "ok"
		if e, ok := v.Ack["error"].(string); ok && e != "NONE" {
			want = strings.ToLower(e)
		}
		p.want(m.Status.String() == want, "%s: status %s, want %s", name, m.Status, want)
		_, warn := v.Ack["warn"]
		p.want(m.HasPower == warn, "%s: has a power: %t", name, m.HasPower)
		fields{p, name, v.Ack}.scaled("value", m.HasPower, int64(m.Power), 100)
	}
}

// fields compares the fields of one JSON object.
type fields struct {
	*problems
	name string
	m    map[string]any
}

// scaled wants round(m[key] * scale) == got, and that has tells whether the
// field is there with a value.
func (f fields) scaled(key string, has bool, got, scale int64) {
	s := ""
	switch v := f.m[key].(type) {
	case json.Number:
		s = v.String()
	case string:
		s = v
	case nil:
	default:
		f.addf("%s: %s is %v", f.name, key, v)
		return
	}
	f.want((s != "") == has, "%s: %s: there in the message: %t", f.name, key, has)
	if s == "" || !has {
		return
	}
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		f.addf("%s: %s is %q", f.name, key, s)
		return
	}
	r.Mul(r, big.NewRat(scale, 1)).Sub(r, big.NewRat(got, 1))
	f.want(r.Abs(r).Cmp(big.NewRat(1, 2)) <= 0, "%s: %s is %d (/%d), want %s", f.name, key, got, scale, s)
}

// number is scaled for a field whose absence means 0.
func (f fields) number(key string, got, scale int64) {
	if _, there := f.m[key]; !there {
		f.want(got == 0, "%s: %s is %d, and should be absent", f.name, key, got)
		return
	}
	f.scaled(key, true, got, scale)
}

func (f fields) text(key, got string) {
	f.want(fmt.Sprint(f.m[key]) == got, "%s: %s is %q, want %q", f.name, key, got, fmt.Sprint(f.m[key]))
}

func (f fields) payload(got []byte) {
	data, _ := f.m["data"].(string)
	std := strings.NewReplacer("-", "+", "_", "/", "=", "").Replace(data)
	want, err := base64.RawStdEncoding.DecodeString(std)
	f.want(err == nil && len(want) > 0 && bytes.Equal(got, want), "%s: data is %x, want %x (%v)", f.name, got, want, err)
	f.number("size", int64(len(got)), 1)
}

func (f fields) modulation(rate, coding string, bitRate uint32) {
	if f.m["modu"] == "FSK" {
		f.scaled("datr", true, int64(bitRate), 1)
		return
	}
	f.text("modu", "LORA")
	f.text("datr", rate)
	f.text("codr", coding)
}

func (f fields) flag(key string, got bool) {
	want, _ := f.m[key].(bool)
	f.want(got == want, "%s: %s is %t", f.name, key, got)
}

func (f fields) time(key string, got int64) {
	s, _ := f.m[key].(string)
	want := int64(0)
	if s != "" {
		t, err := time.Parse(time.RFC3339Nano, strings.Replace(strings.Replace(s, " GMT", "Z", 1), " ", "T", 1))
		f.want(err == nil, "%s: %s: %v", f.name, key, err)
		want = t.UnixNano()
	}
	f.want(got == want, "%s: %s is %d, want %d", f.name, key, got, want)
}

func compareRxPK(f fields, p gwmp.RxPK) {
	f.payload(p.Payload)
	f.scaled("tmst", true, int64(p.Tmst), 1)
	f.scaled("tmms", p.GPS != 0, p.GPS, 1)
	f.scaled("freq", true, int64(p.Frequency), 1_000_000)
	f.number("rfch", int64(p.RadioChain), 1)
	f.number("brd", int64(p.Board), 1)
	f.number("stat", int64(p.CRC), 1)
	f.time("time", p.UnixNano)
	f.modulation(p.DataRate.String(), p.Coding.String(), p.DataRate.BitRate)
	rssi := "rssi"
	if antennas, ok := f.m["rsig"].([]any); ok && len(antennas) > 0 {
		rssi = "rssic"
		f.m = bestAntenna(antennas)
	}
	f.scaled(rssi, true, int64(p.RSSI), 100)
	f.scaled("rssis", p.HasSignalRSSI, int64(p.SignalRSSI), 100)
	f.number("lsnr", int64(p.SNR), 100)
	f.scaled("foff", p.HasOffset, int64(p.Offset), 1)
	f.scaled("ftime", p.HasFine, int64(p.FineNanos), 1)
	f.number("chan", int64(p.IFChannel), 1)
	f.number("ant", int64(p.Antenna), 1)
}

func bestAntenna(antennas []any) map[string]any {
	best, bestSNR := map[string]any{}, -1e9
	for _, a := range antennas {
		m, _ := a.(map[string]any)
		n, _ := m["lsnr"].(json.Number)
		if snr, err := n.Float64(); err == nil && snr > bestSNR {
			best, bestSNR = m, snr
		}
	}
	return best
}

func compareTxPK(f fields, p gwmp.TxPK) {
	f.payload(p.Payload)
	f.flag("imme", p.When == 1)
	f.scaled("tmst", p.When == 2, int64(p.Tmst), 1)
	f.scaled("tmms", p.When == 3, p.GPS, 1)
	f.scaled("freq", true, int64(p.Frequency), 1_000_000)
	f.scaled("powe", true, int64(p.Power), 100)
	f.number("rfch", int64(p.RadioChain), 1)
	f.number("ant", int64(p.Antenna), 1)
	f.number("brd", int64(p.Board), 1)
	f.number("prea", int64(p.Preamble), 1)
	f.modulation(p.DataRate.String(), p.Coding.String(), p.DataRate.BitRate)
	f.flag("ipol", p.InvertIQ)
	f.flag("ncrc", p.NoCRC)
}

func compareStat(f fields, s gwmp.Stat) {
	f.time("time", s.UnixNano)
	const nano = 1_000_000_000 // degrees to 0.1 mm
	f.scaled("lati", s.HasPosition, int64(math.Round(s.Latitude*nano)), nano)
	f.scaled("long", s.HasPosition, int64(math.Round(s.Longitude*nano)), nano)
	f.number("alti", int64(s.Altitude), 1)
	f.number("rxnb", int64(s.RxReceived), 1)
	f.number("rxok", int64(s.RxOK), 1)
	f.number("rxfw", int64(s.RxForwarded), 1)
	f.number("dwnb", int64(s.Downlinks), 1)
	f.number("txnb", int64(s.TxSent), 1)
	f.scaled("ackr", s.HasAckRatio, int64(math.Round(s.AckRatio*100)), 100)
	f.scaled("temp", s.HasTemperature, int64(math.Round(s.Temperature*100)), 100)
}
