package uplink

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"heliograph/firmware/outbox"
	"heliograph/firmware/timing"
	"heliograph/oracle/api/heliographv1"
	"heliograph/poc"
	"heliograph/provisioning/identity"
	"heliograph/radio"
)

// Config of a [Client]. The first block must be set; zero values in the second
// are the defaults.
type Config struct {
	Addr      string             // of the oracle, "host:port"
	OracleKey identity.HotspotID // must be of type Ed25519
	Key       identity.Signer    // the hotspot's own
	Outbox    *outbox.Outbox
	Mono      func() time.Duration  // monotonic clock
	UTC       func() radio.WallTime // may be unknown
	Hooks     Hooks

	Dial          func(ctx context.Context, addr string) (net.Conn, error) // default TCP
	Rand          io.Reader                                                // default crypto/rand.Reader
	Log           *slog.Logger                                             // default none
	Firmware      string                                                   // version, at most 64 bytes
	MaxInFlight   int                                                      // reports without an answer, default 64
	SessionLife   time.Duration                                            // asked for, default 1 h, the most that an oracle grants unless told otherwise; at most 24 h
	BackoffMin    time.Duration                                            // first wait after a failure, default 1 s
	BackoffMax    time.Duration                                            // longest wait, default 5 min
	AnswerTimeout time.Duration                                            // an oracle silent for so long is gone, default 30 s
	TimeEvery     time.Duration                                            // between time requests, default 2 min
}

// Hooks must not block. Assertion, Asserted, Info and Time may be called while
// another hook runs; the others come one at a time. Those that are nil are left
// out.
type Hooks struct {
	// Assertion gives the body of the assertion that must be on record before
	// anything else counts, or nil when it is. again says that the oracle does
	// not know this hotspot, whatever was believed. [Hooks.Asserted] tells that
	// it is on record now.
	Assertion func(again bool) ([]byte, error)
	Asserted  func(poc.ID)

	Info      func(*heliographv1.InfoReply)
	Time      func(timing.Sample)
	Challenge func(poc.Challenge) // its signature is verified
	Downlink  func(*heliographv1.Downlink)
	Verdict   func(*heliographv1.Verdict)
}

func (c Config) withDefaults() (Config, error) {
	if _, ok := c.OracleKey.Ed25519(); !ok {
		return c, errors.New("uplink: the oracle's key is not an Ed25519 key: copy it again from the oracle's owner")
	}
	if c.Key == nil || c.Outbox == nil || c.Mono == nil || c.UTC == nil {
		return c, errors.New("uplink: key, outbox and clocks must be set")
	}
	if _, _, err := net.SplitHostPort(c.Addr); err != nil {
		return c, fmt.Errorf("uplink: oracle address %q: %w: write it like oracle.example.org:7443", c.Addr, err)
	}
	if c.Dial == nil {
		c.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
			return (&net.Dialer{KeepAlive: 60 * time.Second}).DialContext(ctx, "tcp", addr)
		}
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if len(c.Firmware) > 64 {
		c.Firmware = c.Firmware[:64]
	}
	if c.MaxInFlight <= 0 {
		c.MaxInFlight = 64
	}
	for _, d := range []struct {
		v   *time.Duration
		def time.Duration
	}{
		{&c.SessionLife, time.Hour}, {&c.BackoffMin, time.Second}, {&c.BackoffMax, 5 * time.Minute},
		{&c.AnswerTimeout, 30 * time.Second}, {&c.TimeEvery, 2 * time.Minute},
	} {
		if *d.v <= 0 {
			*d.v = d.def
		}
	}
	c.SessionLife = min(c.SessionLife, poc.MaxSessionSeconds*time.Second)
	c.BackoffMax = max(c.BackoffMax, c.BackoffMin)
	return c, nil
}
