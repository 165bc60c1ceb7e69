package gwmp

import (
	"encoding/json"
	"errors"
	"fmt"
)

// PullResp is PULL_RESP: the server asks the gateway to transmit one packet.
// Version 1 leaves the token unused, version 2 answers it with a [TxAck].
type PullResp struct {
	Version Version
	Token   Token
	TxPK    TxPK
}

// Kind is [KindPullResp].
func (PullResp) Kind() Kind { return KindPullResp }

func (PullResp) message() {}

func parsePullResp(v Version, token Token, body []byte) (Message, error) {
	var wire struct {
		TxPK json.RawMessage `json:"txpk"`
	}
	if err := json.Unmarshal(trimJSON(body), &wire); err != nil {
		return nil, err
	}
	if len(wire.TxPK) == 0 {
		return nil, errors.New("txpk is missing")
	}
	p, err := parseTxPK(wire.TxPK)
	if err != nil {
		return nil, fmt.Errorf("txpk: %w", err)
	}
	return PullResp{Version: v, Token: token, TxPK: p}, nil
}

// AppendBinary appends the datagram. It fails when the packet cannot be expressed.
func (m PullResp) AppendBinary(b []byte) ([]byte, error) {
	start := len(b)
	b, err := appendHeader(b, m.Version, m.Token, KindPullResp)
	if err != nil {
		return b, err
	}
	b = append(b, `{"txpk":`...)
	if b, err = m.TxPK.appendJSON(b); err != nil {
		return b[:start], fmt.Errorf("gwmp: append PULL_RESP: txpk: %w", err)
	}
	return finish(append(b, '}'), start, KindPullResp)
}
