package lorawan

import "fmt"

// NetID identifies a network: 24 bits, of which the upper three are its type.
type NetID uint32

// MaxNetID is the largest NetID.
const MaxNetID NetID = 1<<24 - 1

// ParseNetID reads six hexadecimal digits.
func ParseNetID(s string) (NetID, error) {
	v, err := parseHex("NetID", s, 6)
	return NetID(v), err
}

// String prints six lower-case hexadecimal digits.
func (n NetID) String() string { return fmt.Sprintf("%06x", uint32(n)) }

// MarshalText implements encoding.TextMarshaler.
func (n NetID) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (n *NetID) UnmarshalText(text []byte) (err error) {
	*n, err = ParseNetID(string(text))
	return err
}

// Type is the NetID's type, 0..7.
func (n NetID) Type() int { return int(n>>21) & 7 }

// nwkIDBits is the width of the network's part of a DevAddr for each NetID type
// (Backend Interfaces 1.0, section 13.3.2.1). It follows a prefix of as many
// ones as the type says and a zero.
var nwkIDBits = [8]int{6, 6, 9, 11, 12, 13, 15, 17}

// DevAddrs is the range of addresses that a network assigns, both ends included.
func (n NetID) DevAddrs() (first, last DevAddr) {
	t := n.Type()
	bits := nwkIDBits[t]
	host := 32 - (t + 1) - bits
	ones := uint32(1)<<t - 1
	id := uint32(n) & (1<<bits - 1)
	base := ones<<(32-t) | id<<host
	return DevAddr(base), DevAddr(base | (1<<host - 1))
}

// NetIDType is the type of NetID that the address belongs to, 0..7, or -1 for an
// address that starts with eight ones and belongs to none.
func (a DevAddr) NetIDType() int {
	for t := range 8 {
		if a>>(31-t)&1 == 0 {
			return t
		}
	}
	return -1
}

// NwkID is the network's part of the address; ok is false for an address that
// belongs to no type of NetID.
func (a DevAddr) NwkID() (id uint32, ok bool) {
	t := a.NetIDType()
	if t < 0 {
		return 0, false
	}
	bits := nwkIDBits[t]
	return uint32(a) >> (32 - (t + 1) - bits) & (1<<bits - 1), true
}

// Belongs says whether the network may have assigned the address. NetIDs of
// types 3..7 that agree in the bits that an address holds share a range.
func (a DevAddr) Belongs(n NetID) bool {
	first, last := n.DevAddrs()
	return n <= MaxNetID && first <= a && a <= last
}
