package radiohw

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"heliograph/hardware/sx1302"
)

// Metrics shows a radio's status to Prometheus, as hotspot_radio_..., at each
// scrape. It is safe for concurrent use.
type Metrics struct{ Radio *Radio }

var _ prometheus.Collector = Metrics{}

// Describe sends nothing: the set of labels is not known in advance.
func (Metrics) Describe(chan<- *prometheus.Desc) {}

// Collect implements [prometheus.Collector].
func (m Metrics) Collect(ch chan<- prometheus.Metric) {
	send := func(kind prometheus.ValueType, name, help string, v float64, label ...string) {
		d := prometheus.NewDesc("hotspot_radio_"+name, help, label[:len(label)/2], nil)
		ch <- prometheus.MustNewConstMetric(d, kind, v, label[len(label)/2:]...)
	}
	counter := func(name, help string, v uint64, label ...string) {
		send(prometheus.CounterValue, name+"_total", help, float64(v), label...)
	}
	s := m.Radio.Status()
	up := 0.0
	if s.Up {
		up = 1
	}
	send(prometheus.GaugeValue, "up", "1 while the concentrator runs.", up)
	counter("starts", "Successful starts of the concentrator.", s.Starts)
	for _, name := range FaultNames() {
		counter("faults", "Faults of the concentrator.", s.Faults[name], "fault", name)
	}
	counter("sent", "Packets put on air.", s.Sent)
	counter("not_sent", "Packets accepted for sending that ended otherwise.", s.NotSent)
	counter("missed", "Of these, packets that the host programmed too late.", s.Missed)
	for _, n := range s.Noise {
		send(prometheus.GaugeValue, "noise_dbm", "Median level of the latest survey.", n.Median.Float(),
			"frequency_hz", strconv.FormatInt(int64(n.Frequency), 10))
	}
	d := s.Driver
	counter("received", "Packets received, whatever their checksum.", d.Packets)
	for reason, n := range map[string]uint64{
		"crc": d.BadCRC, "damaged": d.BadPacket, "payload": d.BadPayload, "duplicate": d.Duplicate, "displaced": s.Displaced,
	} {
		counter("bad", "Packets with a bad checksum, damaged on the bus, heard twice or displaced.", n, "reason", reason)
	}
	if s.GNSS != nil {
		s.GNSS.collect(send, counter)
	}
	counter("garbage_bytes", "Bytes in the receive FIFO that belong to no packet.", d.Garbage)
}

// FaultNames are all names that [Status].Faults can hold.
func FaultNames() []string {
	names := []string{overflowed, noSensor, gnssPort, gnssSilent, gnssGarbled, gnssNoFix, gnssNoTime, gnssUnlocked}
	for _, f := range sx1302.Faults() {
		names = append(names, f.String())
	}
	return names
}
