package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"heliograph/firmware/hotspot"
)

// collector turns a status into metrics at each scrape.
type collector struct{ h *hotspot.Hotspot }

// Describe sends nothing: the set of labels is not known in advance.
func (collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements [prometheus.Collector].
func (c collector) Collect(ch chan<- prometheus.Metric) {
	s := c.h.Status()
	send := func(kind prometheus.ValueType, name, help string, v float64, labels ...string) {
		var names, values []string
		for i := 0; i+1 < len(labels); i += 2 {
			names, values = append(names, labels[i]), append(values, labels[i+1])
		}
		ch <- prometheus.MustNewConstMetric(prometheus.NewDesc("hotspot_"+name, help, names, nil), kind, v, values...)
	}
	gauge := func(name, help string, v float64, l ...string) { send(prometheus.GaugeValue, name, help, v, l...) }
	counter := func(name, help string, v uint64, l ...string) {
		send(prometheus.CounterValue, name+"_total", help, float64(v), l...)
	}
	byLabel := func(name, help, label string, m map[string]uint64) {
		for k, v := range m {
			counter(name, help, v, label, k)
		}
	}
	gauge("info", "Who this is; always 1.", 1, "hotspot", s.Hotspot, "name", s.Name, "region", s.Region, "firmware", s.Firmware)
	gauge("uptime_seconds", "Time since the start.", s.UptimeS)
	gauge("problems", "Number of problems that the status page lists.", float64(len(s.Problems)))
	gauge("session_connected", "1 while a session with the oracle is open.", flag(s.Session.Connected))
	gauge("clock_synced", "1 when the oracle has told the time.", flag(s.TimeSynced))
	gauge("clock_bound_seconds", "How far the clock may be off.", s.TimeBoundS)
	for _, source := range []string{"gnss", "oracle", "system"} {
		gauge("clock_source", "1 for the source that the time comes from.", flag(s.TimeSource == source), "source", source)
	}
	gauge("reports_in_flight", "Reports sent and not answered.", float64(s.Session.InFlight))
	gauge("outbox_entries", "Reports in the outbox.", float64(s.Outbox.Reports), "class", "report")
	gauge("outbox_entries", "Reports in the outbox.", float64(s.Outbox.Packets), "class", "packet")
	gauge("outbox_bytes", "Bytes of reports in the outbox.", float64(s.Outbox.Bytes))
	counter("outbox_lost", "Reports that left the outbox without delivery.", s.Outbox.Expired, "reason", "expired")
	counter("outbox_lost", "Reports that left the outbox without delivery.", s.Outbox.Displaced, "reason", "displaced")
	counter("outbox_commits", "Synchronised writes to flash.", s.Outbox.Commits)
	counter("outbox_written_bytes", "Bytes written to flash.", s.Outbox.DiskBytes)
	counter("disk_errors", "Failed writes to flash.", s.Outbox.DiskErrors)
	counter("reports_delivered", "Reports with a verified receipt.", s.Session.Delivered)
	counter("receipts_bad", "Receipts that did not verify.", s.Session.BadReceipts)
	counter("sessions", "Sessions opened.", s.Session.Sessions)
	counter("session_failures", "Connections that failed or broke.", s.Session.Failures)
	byLabel("outcomes", "Answers of the oracle to reports.", "reason", s.Session.Outcomes)
	counter("received", "Packets received and reported.", s.Received.Packets, "kind", "packet")
	counter("received", "Packets received and reported.", s.Received.Witnesses, "kind", "witness")
	for k, v := range s.Received.Drops {
		counter("dropped", "Packets received and not reported.", v, "reason", string(k))
	}
	byLabel("beacons", "Challenges by what became of them.", "outcome", s.Beacons)
	byLabel("downlinks", "Downlinks by transmit status.", "status", s.Downlinks)
	byLabel("class_b", "Class B beacons by transmit status.", "status", s.ClassB)
	byLabel("verdicts", "Verdicts of the oracle.", "reason", s.Verdicts)
	for _, u := range s.Airtime {
		gauge("airtime_remaining_seconds", "Time on air left in the hour.", u.Remains.Duration().Seconds(), "band", u.Band)
	}
}

func flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
