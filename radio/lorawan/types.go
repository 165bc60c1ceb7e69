package lorawan

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strconv"
)

// DevAddr is a device address as its text shows it: the network's prefix is in
// the upper bits.
type DevAddr uint32

// ParseDevAddr reads eight hexadecimal digits.
func ParseDevAddr(s string) (DevAddr, error) {
	v, err := parseHex("DevAddr", s, 8)
	return DevAddr(v), err
}

// String prints eight lower-case hexadecimal digits.
func (a DevAddr) String() string { return fmt.Sprintf("%08x", uint32(a)) }

// MarshalText implements encoding.TextMarshaler.
func (a DevAddr) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *DevAddr) UnmarshalText(text []byte) (err error) {
	*a, err = ParseDevAddr(string(text))
	return err
}

// EUI64 identifies a device (DevEUI) or a join server (JoinEUI).
type EUI64 uint64

// ParseEUI64 reads sixteen hexadecimal digits.
func ParseEUI64(s string) (EUI64, error) {
	v, err := parseHex("EUI", s, 16)
	return EUI64(v), err
}

// String prints sixteen lower-case hexadecimal digits.
func (e EUI64) String() string { return fmt.Sprintf("%016x", uint64(e)) }

// MarshalText implements encoding.TextMarshaler.
func (e EUI64) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (e *EUI64) UnmarshalText(text []byte) (err error) {
	*e, err = ParseEUI64(string(text))
	return err
}

func parseHex(what, s string, digits int) (uint64, error) {
	if len(s) != digits {
		return 0, fmt.Errorf("lorawan: parse %s %q: want %d hexadecimal digits", what, s, digits)
	}
	v, err := strconv.ParseUint(s, 16, 64)
	if err != nil {
		return 0, fmt.Errorf("lorawan: parse %s %q: want %d hexadecimal digits", what, s, digits)
	}
	return v, nil
}

// AESKey is an AES-128 key. It prints itself as a placeholder, so that it does
// not end in a log; [AESKey.Hex] shows it.
type AESKey [16]byte

// ParseAESKey reads 32 hexadecimal digits. Errors do not show the text.
func ParseAESKey(s string) (AESKey, error) {
	var k AESKey
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(k) {
		return AESKey{}, fmt.Errorf("lorawan: parse key: want %d hexadecimal digits", 2*len(k))
	}
	copy(k[:], b)
	return k, nil
}

// Hex is the key in 32 hexadecimal digits.
func (k AESKey) Hex() string { return hex.EncodeToString(k[:]) }

// String is a placeholder.
func (AESKey) String() string { return "(key)" }

// GoString is a placeholder.
func (AESKey) GoString() string { return "lorawan.AESKey{(key)}" }

// MarshalText is a placeholder: whoever stores keys writes [AESKey.Hex].
func (AESKey) MarshalText() ([]byte, error) { return []byte("(key)"), nil }

// UnmarshalText reads what [ParseAESKey] reads.
func (k *AESKey) UnmarshalText(text []byte) (err error) {
	*k, err = ParseAESKey(string(text))
	return err
}

// LogValue is a placeholder.
func (AESKey) LogValue() slog.Value { return slog.StringValue("(key)") }

// MIC is a message integrity code in the order of the wire.
type MIC [4]byte

// String prints eight hexadecimal digits.
func (m MIC) String() string { return hex.EncodeToString(m[:]) }

// Wire order is little-endian throughout.
func wireAddr(b []byte) DevAddr { return DevAddr(binary.LittleEndian.Uint32(b)) }
func wireEUI(b []byte) EUI64    { return EUI64(binary.LittleEndian.Uint64(b)) }

// wire24 reads a 24-bit number: a NetID, a JoinNonce.
func wire24(b []byte) uint32 { return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 }
