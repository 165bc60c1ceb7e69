package gwmp

import (
	"encoding/json"
	"errors"
	"fmt"
)

// PushData is PUSH_DATA: packets that a gateway received, its statistics, or both.
type PushData struct {
	Version Version
	Token   Token
	MAC     MAC
	RxPKs   []RxPK // at most MaxRxPKs
	Stat    *Stat  // nil when absent

	// Bad lists the elements that Parse could not use. AppendBinary ignores it.
	Bad []ElementError
}

// ElementError says why one element of a PUSH_DATA was not usable.
type ElementError struct {
	Index int // position in the rxpk array, or -1 for stat
	Err   error
}

func (e ElementError) Error() string {
	if e.Index < 0 {
		return fmt.Sprintf("gwmp: stat: %v", e.Err)
	}
	return fmt.Sprintf("gwmp: rxpk %d: %v", e.Index, e.Err)
}

// Unwrap gives the cause.
func (e ElementError) Unwrap() error { return e.Err }

// Kind is [KindPushData].
func (PushData) Kind() Kind { return KindPushData }

func (PushData) message() {}

func parsePushData(v Version, token Token, mac MAC, body []byte) (Message, error) {
	var wire struct {
		RxPK []json.RawMessage `json:"rxpk"`
		Stat json.RawMessage   `json:"stat"`
	}
	if err := json.Unmarshal(trimJSON(body), &wire); err != nil {
		return nil, err
	}
	if len(wire.RxPK) > MaxRxPKs {
		return nil, fmt.Errorf("%d received packets, want at most %d", len(wire.RxPK), MaxRxPKs)
	}
	m := PushData{Version: v, Token: token, MAC: mac}
	for i, raw := range wire.RxPK {
		p, err := parseRxPK(raw)
		if err != nil {
			m.Bad = append(m.Bad, ElementError{Index: i, Err: err})
			continue
		}
		m.RxPKs = append(m.RxPKs, p)
	}
	if len(wire.Stat) > 0 && string(wire.Stat) != "null" {
		s, err := parseStat(wire.Stat)
		if err != nil {
			m.Bad = append(m.Bad, ElementError{Index: -1, Err: err})
		} else {
			m.Stat = &s
		}
	}
	return m, nil
}

// AppendBinary appends the datagram. It fails when a packet or the statistics
// cannot be expressed, or when there are more than [MaxRxPKs] packets.
func (m PushData) AppendBinary(b []byte) ([]byte, error) {
	start := len(b)
	if len(m.RxPKs) > MaxRxPKs {
		return b, errors.New("gwmp: append PUSH_DATA: too many received packets")
	}
	b, err := appendHeader(b, m.Version, m.Token, KindPushData)
	if err != nil {
		return b, err
	}
	b = append(b, m.MAC[:]...)
	b = append(b, '{')
	for i, p := range m.RxPKs {
		if i == 0 {
			b = append(b, `"rxpk":[`...)
		} else {
			b = append(b, ',')
		}
		if b, err = p.appendJSON(b); err != nil {
			return b[:start], fmt.Errorf("gwmp: append PUSH_DATA: rxpk %d: %w", i, err)
		}
		if i == len(m.RxPKs)-1 {
			b = append(b, ']')
		}
	}
	if m.Stat != nil {
		if len(m.RxPKs) > 0 {
			b = append(b, ',')
		}
		b = append(b, `"stat":`...)
		if b, err = m.Stat.appendJSON(b); err != nil {
			return b[:start], fmt.Errorf("gwmp: append PUSH_DATA: stat: %w", err)
		}
	}
	return finish(append(b, '}'), start, KindPushData)
}
