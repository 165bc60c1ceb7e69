package node

import (
	"github.com/prometheus/client_golang/prometheus"

	"heliograph/oracle/operator"
	"heliograph/oracle/settle/solana"
)

// endpoints says how the RPC endpoints do; none before the cluster was reached.
func (l *link) endpoints() []operator.Endpoint {
	l.mu.Lock()
	pool := l.pool
	l.mu.Unlock()
	if pool == nil {
		return nil
	}
	var out []operator.Endpoint
	for _, e := range pool.Endpoints() {
		out = append(out, operator.Endpoint{Name: e.Name, State: string(e.State), Why: e.Why, Height: e.Height})
	}
	return out
}

// endpointMetrics shows the endpoints of a link. It is safe for concurrent use.
type endpointMetrics struct {
	list       func() []operator.Endpoint
	up, height *prometheus.Desc
}

func newEndpointMetrics(list func() []operator.Endpoint) *endpointMetrics {
	label := []string{"endpoint"}
	return &endpointMetrics{list,
		prometheus.NewDesc("heliograph_rpc_endpoint_up", "1 while a Solana endpoint is asked, 0 while it is left out, unreached or refused.", label, nil),
		prometheus.NewDesc("heliograph_rpc_endpoint_height", "Finalized block height that a Solana endpoint last named.", label, nil)}
}

// Describe implements [prometheus.Collector].
func (m *endpointMetrics) Describe(c chan<- *prometheus.Desc) { c <- m.up; c <- m.height }

// Collect implements [prometheus.Collector]. Two endpoints of one host are one line,
// up while both are.
func (m *endpointMetrics) Collect(c chan<- prometheus.Metric) {
	up, height, order := map[string]float64{}, map[string]float64{}, []string{}
	for _, e := range m.list() {
		if _, seen := up[e.Name]; !seen {
			up[e.Name], order = 1, append(order, e.Name)
		}
		if s := solana.Standing(e.State); s != solana.StandingOK && s != solana.StandingFailing {
			up[e.Name] = 0
		}
		height[e.Name] = max(height[e.Name], float64(e.Height))
	}
	for _, name := range order {
		c <- prometheus.MustNewConstMetric(m.up, prometheus.GaugeValue, up[name], name)
		c <- prometheus.MustNewConstMetric(m.height, prometheus.GaugeValue, height[name], name)
	}
}
