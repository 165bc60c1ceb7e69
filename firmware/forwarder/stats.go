package forwarder

import "slices"

// Stats counts what happened since [Listen].
type Stats struct {
	Datagrams    uint64 // received, of any kind
	Malformed    uint64 // of these, not usable at all
	ReadErrors   uint64 // reported by the socket
	Refused      uint64 // from forwarders beyond the limit
	Duplicates   uint64 // PUSH_DATA that came twice
	BadElements  uint64 // packets or statistics inside PUSH_DATA that were not usable
	CRCBad       uint64 // received packets dropped for their checksum
	Received     uint64 // received packets queued for Receive
	QueueDropped uint64 // of these, dropped since nobody took them in time
	Restarts     uint64 // jumps of a forwarder's counter

	Sent        uint64 // PULL_RESP sent
	Accepted    uint64 // of these, acknowledged without error
	Rejected    uint64 // of these, acknowledged with an error
	Unconfirmed uint64 // of these, sent to version 1, which does not acknowledge
	AckTimeouts uint64 // of these, never acknowledged in time
	StrayAcks   uint64 // TX_ACK that nobody waited for
	NoForwarder uint64 // transmissions without a forwarder to send them

	Forwarders []ForwarderInfo // attached now, by Board
}

// Stats gives a snapshot.
func (f *Forwarder) Stats() Stats {
	dropped := f.queue.drops()
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.stats
	s.QueueDropped = dropped
	now := f.cfg.Now()
	for _, p := range f.peers {
		info := ForwarderInfo{
			MAC: p.key.mac, Addr: p.key.addr, Board: p.board(0), Version: p.version, LastSeen: p.lastSeen,
			CanTransmit: f.canTransmit(p, now), HasNow: p.counter.known, Stat: p.stat,
		}
		if info.HasNow {
			info.Now = p.counter.now(now)
		}
		s.Forwarders = append(s.Forwarders, info)
	}
	slices.SortFunc(s.Forwarders, func(a, b ForwarderInfo) int { return int(a.Board) - int(b.Board) })
	return s
}
