package poc

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
)

// Kind is the first byte of every body.
type Kind uint8

// The kinds of body. Numbers are never reused.
const (
	KindBeacon    Kind = 1 // hotspot: I sent the beacon that I was asked for
	KindWitness   Kind = 2 // hotspot: I received somebody's beacon
	KindDecline   Kind = 3 // hotspot: I did not send it, and why
	KindPacket    Kind = 4 // hotspot: I received a LoRaWAN uplink
	KindAssertion Kind = 5 // hotspot: where I am, with which antenna, who owns me
	KindSession   Kind = 6 // hotspot: this session key speaks for me
	KindChallenge Kind = 7 // oracle: send this beacon then
	KindReceipt   Kind = 8 // oracle: your report is on disk
)

var kindNames = [...]string{"", "beacon", "witness", "decline", "packet", "assertion", "session", "challenge", "receipt"}

func (k Kind) String() string {
	if int(k) < len(kindNames) && k != 0 {
		return kindNames[k]
	}
	return "unknown"
}

const version = 1

// MaxReport is the size in bytes of the largest report that can be well-formed
// (a packet of 255 bytes with a session signature), rounded up.
const MaxReport = 512

// ID names a report or a challenge: the SHA-256 of its body.
type ID [sha256.Size]byte

// IDOf hashes a body.
func IDOf(body []byte) ID { return sha256.Sum256(body) }

func (id ID) String() string { return hex.EncodeToString(id[:]) }

// Errors of the parsers. A caller that refuses a report tells its sender which.
var (
	ErrMalformed = errors.New("poc: malformed")
	ErrTooLarge  = errors.New("poc: too large")
)
