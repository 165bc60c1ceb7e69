package gwmp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// Limits of what [Parse] accepts and AppendBinary produces.
const (
	// MaxDatagram is the longest datagram in bytes, the limit of UDP over IPv4.
	MaxDatagram = 65507
	// MaxRxPKs is the largest number of received packets in one PUSH_DATA. An
	// SX1302 has 10 demodulators; forwarders send at most a FIFO's worth.
	MaxRxPKs = 64
)

// Version is the protocol version in a datagram's first byte.
type Version uint8

// The versions in use. Version 1 has no TX_ACK, so its sender never tells
// whether a downlink was radiated.
const (
	V1 Version = 1
	V2 Version = 2
)

// Token pairs a datagram with its acknowledgement. It is on the wire as sent,
// high byte first here only by convention.
type Token uint16

// Kind is the identifier in a datagram's fourth byte.
type Kind uint8

// The six kinds of datagram.
const (
	KindPushData Kind = 0
	KindPushAck  Kind = 1
	KindPullData Kind = 2
	KindPullResp Kind = 3
	KindPullAck  Kind = 4
	KindTxAck    Kind = 5
)

var kindNames = [...]string{"PUSH_DATA", "PUSH_ACK", "PULL_DATA", "PULL_RESP", "PULL_ACK", "TX_ACK"}

func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// ErrVersion is wrapped by [Parse] when a datagram is of a protocol version that
// this package does not know.
var ErrVersion = errors.New("unknown protocol version")

// Message is one datagram: a [PushData], [PushAck], [PullData], [PullAck],
// [PullResp] or [TxAck], always as a value, never as a pointer.
type Message interface {
	// Kind tells which of the six it is.
	Kind() Kind
	// AppendBinary appends the datagram to b. It fails when a field cannot be
	// put on the wire and then returns b unchanged.
	AppendBinary(b []byte) ([]byte, error)

	message() // closes the set
}

const (
	headerLen = 4
	macLen    = 8
)

// Parse reads one datagram. It keeps no reference to it. An error means that
// the datagram holds nothing usable; a PUSH_DATA of which only some elements
// are unusable comes back without error and lists those in [PushData.Bad].
func Parse(datagram []byte) (Message, error) {
	if len(datagram) < headerLen {
		return nil, fmt.Errorf("gwmp: parse: %d bytes, want at least %d", len(datagram), headerLen)
	}
	if len(datagram) > MaxDatagram {
		return nil, fmt.Errorf("gwmp: parse: %d bytes, want at most %d", len(datagram), MaxDatagram)
	}
	v, token, kind := Version(datagram[0]), Token(binary.BigEndian.Uint16(datagram[1:])), Kind(datagram[3])
	if v != V1 && v != V2 {
		return nil, fmt.Errorf("gwmp: parse: %w %d", ErrVersion, v)
	}
	m, err := parseBody(v, token, kind, datagram[headerLen:])
	if err != nil {
		return nil, fmt.Errorf("gwmp: parse %s: %w", kind, err)
	}
	return m, nil
}

func parseBody(v Version, token Token, kind Kind, body []byte) (Message, error) {
	switch kind {
	case KindPushAck:
		return PushAck{Version: v, Token: token}, nil
	case KindPullAck:
		return PullAck{Version: v, Token: token}, nil
	case KindPullResp:
		return parsePullResp(v, token, body)
	case KindPushData, KindPullData, KindTxAck:
	default:
		return nil, errors.New("unknown identifier")
	}

	if len(body) < macLen {
		return nil, fmt.Errorf("%d bytes after the header, want a gateway id of %d", len(body), macLen)
	}
	mac, body := MAC(body[:macLen]), body[macLen:]
	switch kind {
	case KindPushData:
		return parsePushData(v, token, mac, body)
	case KindTxAck:
		return parseTxAck(v, token, mac, body)
	}
	return PullData{Version: v, Token: token, MAC: mac}, nil
}

// trimJSON takes the NUL bytes and white space off a JSON text that some
// forwarders leave around it.
func trimJSON(b []byte) []byte { return bytes.Trim(b, "\x00 \t\r\n") }

func appendHeader(b []byte, v Version, token Token, kind Kind) ([]byte, error) {
	if v != V1 && v != V2 {
		return b, fmt.Errorf("gwmp: append %s: %w %d", kind, ErrVersion, v)
	}
	b = append(b, byte(v))
	b = binary.BigEndian.AppendUint16(b, uint16(token))
	return append(b, byte(kind)), nil
}

// finish checks the length of the datagram that was appended to b[:start].
func finish(b []byte, start int, kind Kind) ([]byte, error) {
	if n := len(b) - start; n > MaxDatagram {
		return b[:start], fmt.Errorf("gwmp: append %s: %d bytes, want at most %d", kind, n, MaxDatagram)
	}
	return b, nil
}
