package forwarder

import (
	"sync"

	"heliograph/radio"
)

// queue holds received packets for Receive. When full it drops the oldest: a
// downlink can still answer the newest.
type queue struct {
	filled chan struct{} // holds a token when packets may be there

	mu      sync.Mutex
	packets []radio.RxPacket
	limit   int
	dropped uint64
}

func newQueue(limit int) *queue {
	return &queue{filled: make(chan struct{}, 1), limit: limit}
}

func (q *queue) put(packets []radio.RxPacket) {
	if len(packets) == 0 {
		return
	}
	q.mu.Lock()
	q.packets = append(q.packets, packets...)
	if over := len(q.packets) - q.limit; over > 0 {
		q.dropped += uint64(over)
		q.packets = append([]radio.RxPacket(nil), q.packets[over:]...)
	}
	q.mu.Unlock()
	select {
	case q.filled <- struct{}{}:
	default:
	}
}

// take gives all that is there, which may be nothing.
func (q *queue) take() []radio.RxPacket {
	q.mu.Lock()
	defer q.mu.Unlock()
	p := q.packets
	q.packets = nil
	return p
}

func (q *queue) drops() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.dropped
}
