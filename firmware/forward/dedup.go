package forward

import (
	"container/list"
	"crypto/sha256"
	"time"
)

// DedupWindow is how long after a packet an equal payload is the same packet,
// heard by a second demodulator, board or forwarder, or sent again by a forwarder
// that missed an acknowledgement. A device repeats an uplink no sooner than its
// receive windows have closed, which takes at least 2 s.
const DedupWindow = 500 * time.Millisecond

// seen remembers payloads: at most max of them, each for DedupWindow.
type seen struct {
	max   int
	order *list.List // of seenEntry, oldest first
	byKey map[[32]byte]*list.Element
}

type seenEntry struct {
	key [32]byte
	at  time.Duration // monotonic
}

func newSeen(max int) *seen {
	return &seen{max: max, order: list.New(), byKey: map[[32]byte]*list.Element{}}
}

// add says whether the payload is new at the monotonic instant now.
func (s *seen) add(payload []byte, now time.Duration) bool {
	for e := s.order.Front(); e != nil && (now-e.Value.(seenEntry).at >= DedupWindow || s.order.Len() > s.max); e = s.order.Front() {
		s.order.Remove(e)
		delete(s.byKey, e.Value.(seenEntry).key)
	}
	key := sha256.Sum256(payload)
	if s.byKey[key] != nil {
		return false
	}
	if s.order.Len() == s.max {
		delete(s.byKey, s.order.Remove(s.order.Front()).(seenEntry).key)
	}
	s.byKey[key] = s.order.PushBack(seenEntry{key, now})
	return true
}
