package web

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"time"

	"heliograph/oracle/epoch"
	"heliograph/oracle/ingest"
	"heliograph/oracle/ledger"
	"heliograph/oracle/settle"
	"heliograph/poc"
	"heliograph/provisioning/identity"
)

// Config is what the explorer shows. Core, Epochs and Book are required.
type Config struct {
	Core   *ingest.Core
	Epochs *epoch.Manager
	Book   *ledger.Book
	Online func(identity.HotspotID) bool // nil: nobody is
	// Settlement reports on an epoch's payments; nil, or [settle.ErrUnknown]: there
	// are none.
	Settlement func(context.Context, poc.Epoch) (settle.Record, error)
	// SeedMemo is the signature of an epoch's seed commitment; "" is not known.
	SeedMemo func(context.Context, poc.Epoch) string

	Oracle   identity.HotspotID
	Network  string
	Calendar ingest.Calendar
	Bundle   bool // serve bundles, with asserted places as they are
	Now      func() time.Time
	Logger   *slog.Logger
}

//go:embed page
var page embed.FS

// maxRequests bounds the API requests that are answered at once, maxBundles the
// bundles.
const (
	maxRequests = 64
	maxBundles  = 2
)

type server struct {
	cfg     Config
	slots   chan struct{}
	bundles chan struct{}
}

// New makes the explorer's handler.
func New(c Config) (http.Handler, error) {
	if c.Core == nil || c.Epochs == nil || c.Book == nil {
		return nil, errors.New("web: core, epochs and book are required")
	}
	if c.Online == nil {
		c.Online = func(identity.HotspotID) bool { return false }
	}
	if c.Settlement == nil {
		c.Settlement = func(context.Context, poc.Epoch) (settle.Record, error) { return settle.Record{}, settle.ErrUnknown }
	}
	if c.SeedMemo == nil {
		c.SeedMemo = func(context.Context, poc.Epoch) string { return "" }
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	files, err := fs.Sub(page, "page")
	if err != nil {
		return nil, err
	}
	s := &server{cfg: c, slots: make(chan struct{}, maxRequests), bundles: make(chan struct{}, maxBundles)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/status", s.bounded(s.status))
	mux.HandleFunc("GET /api/hotspots", s.bounded(s.hotspots))
	mux.HandleFunc("GET /api/hotspots/{id}", s.bounded(s.hotspot))
	mux.HandleFunc("GET /api/beacons", s.bounded(s.beacons))
	mux.HandleFunc("GET /api/epochs", s.bounded(s.epochs))
	mux.HandleFunc("GET /api/epochs/{epoch}", s.bounded(s.epoch))
	mux.HandleFunc("GET /api/epochs/{epoch}/proof/{hotspot}", s.bounded(s.proof))
	mux.HandleFunc("GET /api/epochs/{epoch}/bundle", s.bundle)
	mux.HandleFunc("GET /api/wallets/{wallet}", s.bounded(s.wallet))
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		fail(w, http.StatusNotFound, "no such resource: see the package documentation of oracle/web")
	})
	mux.Handle("/", http.FileServerFS(files))
	return guard(mux), nil
}

// policy lets the page use its own files and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// guard takes GET and HEAD without a body only, and sets the security headers.
func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			h.Set("Allow", "GET, HEAD")
			fail(w, http.StatusMethodNotAllowed, "the explorer is read-only: use GET")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// apiTimeout bounds one query, bundleTimeout the sending of a bundle.
const (
	apiTimeout    = 10 * time.Second
	bundleTimeout = 30 * time.Minute
)

// bounded answers a limited number of requests at once, each within apiTimeout.
func (s *server) bounded(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case s.slots <- struct{}{}:
			defer func() { <-s.slots }()
		default:
			w.Header().Set("Retry-After", "1")
			fail(w, http.StatusServiceUnavailable, "too many requests at once: try again")
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), apiTimeout)
		defer cancel()
		h(w, r.WithContext(ctx))
	}
}

// Server is an HTTP server with the explorer's limits.
func Server(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      bundleTimeout, // the API's own limit is shorter
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    8 << 10,
	}
}
