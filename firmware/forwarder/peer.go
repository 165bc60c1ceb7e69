package forwarder

import (
	"net/netip"
	"time"

	"github.com/cespare/xxhash/v2"

	"heliograph/radio"
	"heliograph/radio/gwmp"
)

const (
	boardBits  = 4
	maxSlots   = 1 << (8 - boardBits)
	maxPending = 32 // transmissions that wait for their TX_ACK: a forwarder's own queue
	recentLen  = 32
)

// peerKey tells forwarders apart. The port does not take part: a forwarder
// sends from two, and address translation may change them. The identifier alone
// would not do: many forwarders were shipped with the same one.
type peerKey struct {
	mac  gwmp.MAC
	addr netip.Addr
}

// peer is one forwarder. Forwarder.mu guards it.
type peer struct {
	key      peerKey
	slot     uint8
	version  gwmp.Version
	lastSeen time.Time

	pullFrom netip.AddrPort // where downlinks go; invalid before the first PULL_DATA
	pulledAt time.Time

	counter   counter
	recent    [recentLen]datagramID
	recentPos int
	stat      *gwmp.Stat

	nextToken gwmp.Token
	pending   map[gwmp.Token]chan gwmp.TxAck
}

// datagramID recognizes a PUSH_DATA that was sent twice: packets in it carry
// their counter, so different ones differ.
type datagramID struct {
	token gwmp.Token
	hash  uint64
}

// duplicate says whether the datagram came lately, and remembers it.
func (p *peer) duplicate(token gwmp.Token, datagram []byte) bool {
	id := datagramID{token, xxhash.Sum64(datagram)}
	for _, r := range p.recent {
		if r == id {
			return true
		}
	}
	p.recent[p.recentPos] = id
	p.recentPos = (p.recentPos + 1) % recentLen
	return false
}

// board joins the slot and the forwarder's own board number.
func (p *peer) board(own uint8) uint8 { return p.slot<<boardBits | own }

// expect makes a token for a transmission; false when too many are waiting.
func (p *peer) expect() (gwmp.Token, chan gwmp.TxAck, bool) {
	if len(p.pending) >= maxPending {
		return 0, nil, false
	}
	for p.nextToken++; p.pending[p.nextToken] != nil || p.nextToken == 0; {
		p.nextToken++
	}
	ack := make(chan gwmp.TxAck, 1)
	p.pending[p.nextToken] = ack
	return p.nextToken, ack, true
}

// ForwarderInfo describes an attached forwarder.
type ForwarderInfo struct {
	MAC         gwmp.MAC
	Addr        netip.Addr
	Board       uint8 // of its packets; the lower four bits are its own
	Version     gwmp.Version
	LastSeen    time.Time
	CanTransmit bool       // it sent PULL_DATA lately
	Now         radio.Tick // estimate of its counter; meaningful when HasNow
	HasNow      bool
	Stat        *gwmp.Stat // the last that it sent, nil when none
}
