package node

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"heliograph/oracle/operator"
)

func TestEndpointMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	reg.MustRegister(newEndpointMetrics(func() []operator.Endpoint {
		return []operator.Endpoint{{Name: "a", State: "ok", Height: 7}, {Name: "b", State: "out", Height: 5}, {Name: "a", State: "unreached"}, {Name: "c", State: "failing", Height: 6}}
	}))
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			got[f.GetName()+" "+m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue()
		}
	}
	const up, height = "heliograph_rpc_endpoint_up ", "heliograph_rpc_endpoint_height "
	for name, want := range map[string]float64{up + "a": 0, up + "b": 0, up + "c": 1, height + "a": 7, height + "b": 5, height + "c": 6} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s = %v, %v; want %v", name, v, ok, want)
		}
	}
}
