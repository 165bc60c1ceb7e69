package solana

import (
	"context"
	"fmt"
	"hash/fnv"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Limits says how hard one endpoint may be asked. The zero value asks as fast as it
// answers and rests after refusals.
type Limits struct {
	PerSecond int           // calls a second; 0 = no limit
	Burst     int           // calls at once above that; 0 = 8
	Backoff   time.Duration // first rest after failures, doubled with each; 0 = 500 ms
	MaxRest   time.Duration // longest rest; 0 = 1 min
	// Now is the clock; nil = time.Now. A test that has its own time gives its own.
	Now func() time.Time
}

// breakAfter is how many calls may fail in a row before the endpoint rests.
const breakAfter = 3

// gate stands before one endpoint: a token bucket, and a rest after a refusal (HTTP
// 429 or 503, as long as Retry-After asks for) or several failures in a row. While
// it rests, calls fail at once, so that others are asked.
type gate struct {
	base   http.RoundTripper
	name   string
	limits Limits

	mu    sync.Mutex
	free  time.Time // when the bucket will be as full as it can be
	until time.Time // end of the rest
	fails int
}

func newGate(endpoint string, l Limits) *gate {
	if l.Burst == 0 {
		l.Burst = 8
	}
	if l.Backoff == 0 {
		l.Backoff = 500 * time.Millisecond
	}
	if l.MaxRest == 0 {
		l.MaxRest = time.Minute
	}
	if l.Now == nil {
		l.Now = time.Now
	}
	return &gate{base: &http.Transport{MaxIdleConnsPerHost: 16, IdleConnTimeout: time.Minute, Proxy: http.ProxyFromEnvironment}, name: endpoint, limits: l}
}

// restingError is a call that was not made.
type restingError struct{ left time.Duration }

func (e *restingError) Error() string {
	return fmt.Sprintf("solana: endpoint rests for %s after refusals or failures", e.left.Round(time.Millisecond))
}

// RoundTrip implements http.RoundTripper.
func (g *gate) RoundTrip(req *http.Request) (*http.Response, error) {
	wait, err := g.enter()
	if err != nil {
		return nil, err
	}
	if wait > 0 {
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-req.Context().Done():
			t.Stop()
			return nil, req.Context().Err()
		}
	}
	res, err := g.base.RoundTrip(req)
	g.leave(req.Context(), res, err)
	return res, err
}

// enter takes a token; the caller waits as long as it is told.
func (g *gate) enter() (time.Duration, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.limits.Now()
	if now.Before(g.until) {
		return 0, &restingError{g.until.Sub(now)}
	}
	if g.limits.PerSecond <= 0 {
		return 0, nil
	}
	step := time.Second / time.Duration(g.limits.PerSecond)
	if g.free.Before(now) {
		g.free = now
	}
	g.free = g.free.Add(step)
	return max(0, g.free.Sub(now)-step*time.Duration(g.limits.Burst)), nil
}

func (g *gate) leave(ctx context.Context, res *http.Response, err error) {
	if err != nil && ctx.Err() == context.Canceled {
		return // our own doing
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.limits.Now()
	switch {
	case err == nil && (res.StatusCode == http.StatusTooManyRequests || res.StatusCode == http.StatusServiceUnavailable):
		g.fails++
		rest := g.backoff(g.fails)
		if asked, ok := retryAfter(res.Header.Get("Retry-After"), now); ok {
			rest = min(asked, 5*g.limits.MaxRest)
		}
		g.until = now.Add(rest)
	case err != nil || res.StatusCode >= 500:
		g.fails++
		if g.fails >= breakAfter {
			g.until = now.Add(g.backoff(g.fails - breakAfter + 1))
		}
	default:
		g.fails = 0
	}
}

// backoff doubles with every failure. Endpoints differ a little, so that they do not
// come back all at once.
func (g *gate) backoff(fails int) time.Duration {
	rest := g.limits.Backoff << min(fails-1, 16)
	rest = min(rest, g.limits.MaxRest)
	h := fnv.New32a()
	_, _ = h.Write([]byte(g.name))
	return rest + rest*time.Duration(h.Sum32()%256)/1024
}

// retryAfter reads the header of RFC 9110, section 10.2.3: seconds or a date.
func retryAfter(text string, now time.Time) (time.Duration, bool) {
	if n, err := strconv.Atoi(text); err == nil && n >= 0 && n <= 1_000_000 {
		return time.Duration(n) * time.Second, true
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(now)), true
	}
	return 0, false
}
