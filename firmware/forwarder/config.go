package forwarder

import (
	"fmt"
	"log/slog"
	"time"
)

// Config is what [Listen] needs. Zero values of all but Addr mean the defaults.
type Config struct {
	Addr string           // UDP address to listen on, such as "127.0.0.1:1680"
	Log  *slog.Logger     // default: discard
	Now  func() time.Time // default: time.Now; must carry a monotonic reading

	MaxForwarders int           // 1..16, default 8
	QueueLen      int           // received packets kept for Receive, default 256
	AckTimeout    time.Duration // wait for a TX_ACK, default 5 s
	PullTimeout   time.Duration // a forwarder without PULL_DATA for so long cannot send, default 2 min
	SlotTimeout   time.Duration // a slot silent for so long may go to another forwarder, default 5 min
}

func (c Config) withDefaults() (Config, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.MaxForwarders == 0 {
		c.MaxForwarders = 8
	}
	if c.MaxForwarders < 1 || c.MaxForwarders > maxSlots {
		return c, fmt.Errorf("forwarder: %d forwarders configured, want 1..%d", c.MaxForwarders, maxSlots)
	}
	if c.QueueLen == 0 {
		c.QueueLen = 256
	}
	if c.QueueLen < 1 {
		return c, fmt.Errorf("forwarder: receive queue of %d configured, want at least 1", c.QueueLen)
	}
	for _, d := range []struct {
		value *time.Duration
		def   time.Duration
	}{{&c.AckTimeout, 5 * time.Second}, {&c.PullTimeout, 2 * time.Minute}, {&c.SlotTimeout, 5 * time.Minute}} {
		if *d.value <= 0 {
			*d.value = d.def
		}
	}
	return c, nil
}
