package ingest

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"heliograph/poc"
)

// Metrics are the counters of the door.
type Metrics struct {
	accepted  prometheus.Counter
	duplicate prometheus.Counter
	refused   *prometheus.CounterVec
	seconds   prometheus.Histogram
	opened    *prometheus.CounterVec
	sessions  prometheus.Gauge
	dropped   *prometheus.CounterVec
	conns     *prometheus.CounterVec
}

// NewMetrics makes the metrics and registers them, with nil only makes them.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		accepted: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "heliograph_ingest_accepted_total", Help: "Reports journaled."}),
		duplicate: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "heliograph_ingest_duplicate_total", Help: "Reports that were in the journal already and got the same receipt again."}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "heliograph_ingest_refused_total", Help: "Reports refused at the door, by reason."}, []string{"reason"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "heliograph_ingest_accept_seconds", Help: "Time from a report's arrival to its receipt.",
			Buckets: prometheus.ExponentialBuckets(0.0002, 2.5, 12)}),
		opened: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "heliograph_session_attempts_total", Help: "Session certificates, by outcome."}, []string{"reason"}),
		sessions: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "heliograph_sessions", Help: "Sessions that are open."}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "heliograph_push_dropped_total", Help: "Messages to hotspots dropped because the session's queue was full."}, []string{"message"}),
		conns: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "heliograph_connections_refused_total", Help: "Connections closed at once, by cause."}, []string{"cause"}),
	}
	if reg != nil {
		reg.MustRegister(m.accepted, m.duplicate, m.refused, m.seconds, m.opened, m.sessions, m.dropped, m.conns)
	}
	for r := poc.Malformed; r <= poc.NoTime; r++ {
		m.refused.WithLabelValues(r.String()) // a series that is there at 0 can be alarmed on
	}
	return m
}

func (m *Metrics) count(o Outcome, took time.Duration) {
	switch {
	case o.Reason != poc.OK:
		m.refused.WithLabelValues(o.Reason.String()).Inc()
		return
	case o.Duplicate:
		m.duplicate.Inc()
	default:
		m.accepted.Inc()
	}
	m.seconds.Observe(took.Seconds())
}

func (m *Metrics) countSession(o Outcome) { m.opened.WithLabelValues(o.Reason.String()).Inc() }
