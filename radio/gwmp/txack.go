package gwmp

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"heliograph/radio"
)

// TxAck is TX_ACK: whether a gateway took a [PullResp] into its transmit queue.
// It exists in version 2 only.
type TxAck struct {
	Version Version // V2
	Token   Token   // that of the PullResp
	MAC     MAC

	// Status is the outcome. Parse turns errors it does not know into
	// radio.TxFailed and never gives radio.TxNoRadio; AppendBinary writes the
	// latter as an internal error, since the protocol has no word for it.
	Status radio.TxStatus
	// Power is what the gateway will use instead of the power asked for;
	// meaningful when HasPower, which needs radio.TxOK.
	Power    radio.CentiDBm
	HasPower bool
}

// Kind is [KindTxAck].
func (TxAck) Kind() Kind { return KindTxAck }

func (TxAck) message() {}

// The names of the protocol, and those that concentratord and the ChirpStack
// bridge add to it.
var txErrors = map[string]radio.TxStatus{
	"":                    radio.TxOK,
	"NONE":                radio.TxOK,
	"OK":                  radio.TxOK,
	"TOO_LATE":            radio.TxTooLate,
	"TOO_EARLY":           radio.TxTooEarly,
	"COLLISION_PACKET":    radio.TxCollisionPacket,
	"COLLISION_BEACON":    radio.TxCollisionBeacon,
	"TX_FREQ":             radio.TxBadFrequency,
	"TX_POWER":            radio.TxBadPower,
	"GPS_UNLOCKED":        radio.TxGPSUnlocked,
	"QUEUE_FULL":          radio.TxBusy,
	"DUTY_CYCLE_OVERFLOW": radio.TxDutyCycle,
}

func txErrorName(s radio.TxStatus) (string, error) {
	switch s {
	case radio.TxOK:
		return "NONE", nil
	case radio.TxTooLate:
		return "TOO_LATE", nil
	case radio.TxTooEarly:
		return "TOO_EARLY", nil
	case radio.TxCollisionPacket:
		return "COLLISION_PACKET", nil
	case radio.TxCollisionBeacon:
		return "COLLISION_BEACON", nil
	case radio.TxBadFrequency:
		return "TX_FREQ", nil
	case radio.TxBadPower:
		return "TX_POWER", nil
	case radio.TxGPSUnlocked:
		return "GPS_UNLOCKED", nil
	case radio.TxBusy:
		return "QUEUE_FULL", nil
	case radio.TxDutyCycle:
		return "DUTY_CYCLE_OVERFLOW", nil
	case radio.TxNoRadio, radio.TxFailed:
		return "INTERNAL_ERROR", nil
	}
	return "", fmt.Errorf("status %d does not exist", s)
}

func parseTxAck(v Version, token Token, mac MAC, body []byte) (Message, error) {
	if v == V1 {
		return nil, errors.New("version 1 does not have it")
	}
	m := TxAck{Version: v, Token: token, MAC: mac, Status: radio.TxOK}
	body = trimJSON(body)
	if len(body) == 0 {
		return m, nil // the sender had no error to report
	}
	var wire struct {
		Ack struct {
			Error text   `json:"error"`
			Warn  text   `json:"warn"`
			Value number `json:"value"`
		} `json:"txpk_ack"`
	}
	if err := json.Unmarshal(body, &wire); err != nil {
		return nil, err
	}
	status, known := txErrors[strings.ToUpper(wire.Ack.Error.s)]
	if !known {
		status = radio.TxFailed
	}
	m.Status = status
	if status == radio.TxOK && wire.Ack.Value.set && strings.EqualFold(wire.Ack.Warn.s, "TX_POWER") {
		p, err := radio.CentiDBmFrom(wire.Ack.Value.v)
		if err != nil {
			return nil, fmt.Errorf("value: %w", err)
		}
		m.Power, m.HasPower = p, true
	}
	return m, nil
}

// AppendBinary appends the datagram. Success is written out as error NONE.
func (m TxAck) AppendBinary(b []byte) ([]byte, error) {
	if m.Version == V1 {
		return b, errors.New("gwmp: append TX_ACK: version 1 does not have it")
	}
	if m.HasPower && m.Status != radio.TxOK {
		return b, errors.New("gwmp: append TX_ACK: a power goes with success only")
	}
	name, err := txErrorName(m.Status)
	if err != nil {
		return b, fmt.Errorf("gwmp: append TX_ACK: %w", err)
	}
	if b, err = appendHeader(b, m.Version, m.Token, KindTxAck); err != nil {
		return b, err
	}
	b = append(b, m.MAC[:]...)
	if m.HasPower {
		b = append(b, `{"txpk_ack":{"warn":"TX_POWER","value":`...)
		b = appendCenti(b, int64(m.Power))
		return append(b, "}}"...), nil
	}
	b = append(b, `{"txpk_ack":{"error":"`...)
	b = append(b, name...)
	return append(b, `"}}`...), nil
}
