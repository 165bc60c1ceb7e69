package solana

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

func TestGateRestsAfterRefusals(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	var answer atomic.Value
	answer.Store(func(w http.ResponseWriter) {})
	var calls atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		answer.Load().(func(http.ResponseWriter))(w)
	}))
	defer srv.Close()
	g := newGate(srv.URL, Limits{Backoff: time.Second, Now: func() time.Time { return now }})
	call := func() error {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		res, err := g.RoundTrip(req)
		if err == nil {
			_ = res.Body.Close()
		}
		return err
	}
	rests := func() bool {
		before := calls.Load()
		var r *restingError
		return errors.As(call(), &r) && calls.Load() == before
	}
	refuse := func(status int, after string) {
		answer.Store(func(w http.ResponseWriter) {
			if after != "" {
				w.Header().Set("Retry-After", after)
			}
			w.WriteHeader(status)
		})
	}

	refuse(http.StatusTooManyRequests, "7")
	if err := call(); err != nil || !rests() {
		t.Fatalf("after a 429 the endpoint is asked again: %v", err)
	}
	now = now.Add(6 * time.Second)
	if !rests() {
		t.Error("asked again before Retry-After was over")
	}
	now = now.Add(time.Second)
	refuse(http.StatusTooManyRequests, now.Add(20*time.Second).UTC().Format(http.TimeFormat))
	if err := call(); err != nil {
		t.Errorf("not asked after Retry-After was over: %v", err)
	}
	now = now.Add(18 * time.Second)
	if !rests() {
		t.Error("asked again before the date in Retry-After")
	}
	now = now.Add(2 * time.Second)
	refuse(http.StatusServiceUnavailable, "")
	var last time.Duration
	for range 5 { // without a header each rest is longer
		if err := call(); err != nil {
			t.Fatal(err)
		}
		g.mu.Lock()
		rest := g.until.Sub(now)
		g.mu.Unlock()
		if rest <= last {
			t.Errorf("rest of %v after one of %v", rest, last)
		}
		last, now = rest, now.Add(rest)
	}
	answer.Store(func(http.ResponseWriter) {})
	if err := call(); err != nil {
		t.Error(err)
	}
	refuse(http.StatusInternalServerError, "")
	for n := range breakAfter {
		if err := call(); err != nil {
			t.Errorf("failure %d already broke the circuit: %v", n, err)
		}
	}
	if !rests() {
		t.Error("the circuit is not broken after failures in a row")
	}
}

func TestGateSpreadsCalls(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	g := newGate("x", Limits{PerSecond: 10, Burst: 3, Now: func() time.Time { return now }})
	var waits []time.Duration
	for range 6 {
		w, err := g.enter()
		if err != nil {
			t.Fatal(err)
		}
		waits = append(waits, w)
	}
	want := []time.Duration{0, 0, 0, 100, 200, 300}
	for i := range want {
		if waits[i] != want[i]*time.Millisecond {
			t.Errorf("call %d waits %v, want %v ms", i, waits[i], int64(want[i]))
		}
	}
	now = now.Add(time.Hour)
	if w, _ := g.enter(); w != 0 {
		t.Errorf("after an hour a call waits %v", w)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for text, want := range map[string]time.Duration{"0": 0, "5": 5 * time.Second, "Thu, 01 Jan 1970 00:00:00 GMT": 0} {
		if got, ok := retryAfter(text, now); !ok || got != want {
			t.Errorf("%q: %v, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "-1", "soon", fmt.Sprint(uint64(1) << 60)} {
		if _, ok := retryAfter(text, now); ok {
			t.Errorf("%q was taken", text)
		}
	}
}
