package epoch

import "github.com/prometheus/client_golang/prometheus"

// Metrics are the counters of the epochs.
type Metrics struct {
	challenges *prometheus.CounterVec
	verdicts   *prometheus.CounterVec
	failed     *prometheus.CounterVec
	newest     prometheus.Gauge
}

// NewMetrics makes the metrics and registers them, with nil only makes them.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		challenges: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "heliograph_challenges_total", Help: "Challenges that were due, by what became of them."}, []string{"result"}),
		verdicts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "heliograph_verdicts_total", Help: "Verdicts on journaled reports, by kind and reason."}, []string{"kind", "reason"}),
		failed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "heliograph_epoch_steps_failed_total", Help: "Rounds of the epoch loops that failed and were repeated."}, []string{"step"}),
		newest: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "heliograph_epoch_judged", Help: "Newest epoch that was judged."}),
	}
	if reg != nil {
		reg.MustRegister(m.challenges, m.verdicts, m.failed, m.newest)
	}
	return m
}

func (m *Metrics) judged(res Result) {
	for _, v := range res.Verdicts {
		m.verdicts.WithLabelValues(v.Kind.String(), v.Reason.String()).Inc()
	}
	m.newest.Set(float64(res.Epoch))
}
