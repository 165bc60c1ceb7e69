package ingest

import (
	"sync"

	pb "heliograph/oracle/api/heliographv1"
	"heliograph/provisioning/identity"
)

// maxSessions is how many sessions one hotspot may have: the old one and the one
// that replaces it.
const maxSessions = 2

// Hub knows the open sessions. Safe for concurrent use.
type Hub struct {
	metrics *Metrics

	mu   sync.Mutex
	open map[identity.HotspotID][]*session // newest last
}

func newHub(m *Metrics) *Hub {
	return &Hub{metrics: m, open: make(map[identity.HotspotID][]*session)}
}

// enter takes up a session that is ready. The oldest one beyond the limit is
// told to end.
func (h *Hub) enter(s *session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := append(h.open[s.hotspot], s)
	if len(all) > maxSessions {
		all[0].replace()
		all = append([]*session(nil), all[1:]...)
	}
	h.open[s.hotspot] = all
	h.metrics.sessions.Inc()
}

func (h *Hub) leave(s *session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.metrics.sessions.Dec()
	all := h.open[s.hotspot]
	for i, o := range all {
		if o == s {
			all = append(append([]*session(nil), all[:i]...), all[i+1:]...)
			break
		}
	}
	if len(all) == 0 {
		delete(h.open, s.hotspot)
		return
	}
	h.open[s.hotspot] = all
}

// Push hands a message to the newest session of a hotspot. It does not block;
// false means that there is no session or that its queue is full.
func (h *Hub) Push(id identity.HotspotID, m *pb.ToHotspot) bool {
	s := h.newest(id)
	if s == nil {
		return false
	}
	if !s.push(m) {
		h.metrics.dropped.WithLabelValues(messageName(m)).Inc()
		return false
	}
	return true
}

func (h *Hub) newest(id identity.HotspotID) *session {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := h.open[id]
	if len(all) == 0 {
		return nil
	}
	return all[len(all)-1]
}

// Online lists the hotspots that have a session.
func (h *Hub) Online() []identity.HotspotID {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]identity.HotspotID, 0, len(h.open))
	for id := range h.open {
		out = append(out, id)
	}
	return out
}

// IsOnline says whether the hotspot has a session.
func (h *Hub) IsOnline(id identity.HotspotID) bool { return h.newest(id) != nil }

// broadcast pushes a message into every session.
func (h *Hub) broadcast(m *pb.ToHotspot) {
	h.mu.Lock()
	var all []*session
	for _, ss := range h.open {
		all = append(all, ss...)
	}
	h.mu.Unlock()
	for _, s := range all {
		s.push(m)
	}
}

func messageName(m *pb.ToHotspot) string {
	switch m.GetMessage().(type) {
	case *pb.ToHotspot_Challenge:
		return "challenge"
	case *pb.ToHotspot_Downlink:
		return "downlink"
	case *pb.ToHotspot_Verdict:
		return "verdict"
	case *pb.ToHotspot_Drain:
		return "drain"
	}
	return "other"
}
