package router

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	uplinks, downlinks *prometheus.CounterVec
	gateways           prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		uplinks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "heliograph_router_uplinks_total", Help: "Uplinks, by what became of them, once for each route."}, []string{"result"}),
		downlinks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "heliograph_router_downlinks_total", Help: "Downlinks of network servers, by what became of them."}, []string{"result"}),
		gateways: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "heliograph_router_gateways", Help: "Hotspots that have a socket to network servers."}),
	}
	if reg != nil {
		reg.MustRegister(m.uplinks, m.downlinks, m.gateways)
	}
	return m
}
