package chipfaults

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"heliograph/firmware/radiohw"
)

// metrics checks that hotspotd's /metrics count what is given as a line of them,
// without its value.
func (b *bench) metrics(line string) error {
	reg := prometheus.NewRegistry()
	if err := reg.Register(radiohw.Metrics{Radio: b.board.Radio}); err != nil {
		return err
	}
	page := httptest.NewRecorder()
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(page, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for l := range strings.Lines(page.Body.String()) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(l), line+" "); ok {
			if n, err := strconv.ParseFloat(value, 64); err == nil && n > 0 {
				return nil
			}
		}
	}
	return fmt.Errorf("not counted in the metrics as %s:\n%s", line, page.Body)
}
