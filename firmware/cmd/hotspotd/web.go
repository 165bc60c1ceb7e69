package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"heliograph/firmware/hotspot"
	"heliograph/firmware/radiohw"
	"heliograph/provisioning/settings"
)

// server is one HTTP listener.
type server struct {
	lis net.Listener
	srv *http.Server
}

// pageStatus is what the page and status.json show.
type pageStatus struct {
	hotspot.Status
	GNSS *radiohw.GNSSStatus `json:"gnss,omitempty"` // nil without a receiver
}

// listenWeb opens the page and the metrics where they are configured.
func listenWeb(c webConfig, h *hotspot.Hotspot, chip *radiohw.Radio, log *slog.Logger) (out []server, err error) {
	status := func() pageStatus {
		s := pageStatus{Status: h.Status()}
		if chip != nil {
			r := chip.Status()
			s.GNSS = r.GNSS
			if p := r.Problem(); p != "" {
				s.Problems = append(s.Problems, p)
			}
			if r.GNSS != nil && r.GNSS.Problem != "" {
				s.Problems = append(s.Problems, r.GNSS.Problem)
			}
		}
		return s
	}
	page := http.NewServeMux()
	page.HandleFunc("GET /status.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		if err := enc.Encode(status()); err != nil {
			log.Debug("status not delivered", "error", err.Error())
		}
	})
	page.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
		if err := pageTemplate.Execute(w, status()); err != nil {
			log.Debug("page not delivered", "error", err.Error())
		}
	})
	reg := prometheus.NewRegistry()
	reg.MustRegister(collector{h})
	if chip != nil {
		reg.MustRegister(radiohw.Metrics{Radio: chip})
	}
	metrics := http.NewServeMux()
	metrics.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	for _, l := range []struct {
		addr, key string
		handler   http.Handler
	}{{c.Listen, "web.listen", page}, {c.Metrics, "web.metrics", metrics}} {
		lis, err := settings.Listen(l.addr, l.key)
		if err != nil {
			for _, s := range out {
				_ = s.lis.Close() // nothing was served
			}
			return nil, err
		}
		if lis == nil {
			continue
		}
		log.Info("web listens", "key", l.key, "addr", lis.Addr().String())
		out = append(out, server{lis, &http.Server{
			Handler: l.handler, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, MaxHeaderBytes: 8 << 10,
			ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		}})
	}
	return out, nil
}

// run serves until ctx ends.
func (s server) run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = s.srv.Close() })
	defer stop()
	if err := s.srv.Serve(s.lis); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("web: %w", err)
	}
	return nil
}

var pageTemplate = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{{.Name}}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse}td,th{padding:.1rem 1rem .1rem 0;text-align:left;vertical-align:top}
.bad{color:#a00}code{font-size:.8em;overflow-wrap:anywhere}</style></head><body>
<h1>{{.Name}}</h1><p><code>{{.Hotspot}}</code></p>
{{if .Problems}}<h2 class="bad">What is wrong</h2><ul>{{range .Problems}}<li>{{.}}</li>{{end}}</ul>{{else}}<p>All is well.</p>{{end}}
<table>
<tr><th>Oracle</th><td>{{.Oracle}}, {{if .Session.Connected}}connected{{else}}not connected{{end}}</td></tr>
<tr><th>Region</th><td>{{.Region}}</td></tr>
<tr><th>Time</th><td>{{.Time}}, by {{.TimeSource}}</td></tr>
{{with .GNSS}}<tr><th>GNSS</th><td>{{.State}}, {{.Satellites}} satellites, crystal {{.CrystalPPB}} ppb</td></tr>
{{end}}<tr><th>Reports</th><td>{{.Session.Delivered}} delivered, {{.Outbox.Entries}} waiting</td></tr>
<tr><th>Heard</th><td>{{.Received.Packets}} packets, {{.Received.Witnesses}} beacons</td></tr>
<tr><th>Beacons</th><td>{{range $k, $v := .Beacons}}{{$k}} {{$v}} {{end}}</td></tr>
<tr><th>Verdicts</th><td>{{range $k, $v := .Verdicts}}{{$k}} {{$v}} {{end}}</td></tr>
</table>
<h2>Last beacons</h2><table>{{range .LastBeacons}}<tr><td>{{.Time}}</td><td>{{.DataRate}}</td><td>{{.PowerDBm}} dBm</td></tr>{{else}}<tr><td>none yet</td></tr>{{end}}</table>
<h2>Last verdicts</h2><table>{{range .LastVerdicts}}<tr><td><code>{{printf "%.16s" .Report}}</code></td><td>{{.Reason}}</td><td>weight {{.Weight}}/1000</td><td>{{if .Unit}}{{.Got}} {{.Unit}}, limit {{.Limit}} {{.Unit}}{{end}}</td></tr>{{else}}<tr><td>none yet</td></tr>{{end}}</table>
</body></html>
`))
