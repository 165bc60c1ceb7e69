// Package hotspot assembles a whole hotspot out of its parts: radio, clock,
// limits, beacons, outbox and the session with the oracle. It has no globals, no
// ports and no signal handling, so that many hotspots can run in one process.
//
//	concentrator -> forward.Receiver -> outbox -> uplink.Client -> oracle
//	concentrator <- forward.Sender, beaconer.Loop <- uplink.Client
package hotspot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"heliograph/firmware/concentrator"
	"heliograph/firmware/outbox"
	"heliograph/poc"
	"heliograph/provisioning/identity"
	"heliograph/radio"
)

// Config of a [Hotspot]. The first block must be set; zero values in the second
// are the defaults.
type Config struct {
	Key          identity.Signer
	OracleAddr   string             // "host:port"
	OracleKey    identity.HotspotID // Ed25519
	Region       string             // name of a plan of radio/region, as in "EU868"
	Position     poc.Position
	Elevation    int16         // metres above ground
	Gain         radio.CentiDB // antenna gain less cable loss, dBi, -10..20 dB
	Owner        poc.Wallet    // who is paid
	DataDir      string        // must exist and belong to this hotspot alone
	Concentrator concentrator.Concentrator

	MinPower, MaxPower radio.CentiDBm // of the radio, conducted; both 0: 0..27 dBm
	Listens            bool           // the radio senses the carrier before it sends
	BeaconsOff         bool           // decline every challenge

	TrustSystemClock bool          // NTP or GNSS keeps the host's clock
	SystemClockBound time.Duration // how well; default 100 ms
	TickBound        time.Duration // error of Concentrator.Now, default 20 ms

	GNSS   GNSS // the concentrator's receiver; nil: none
	ClassB bool // send the class B beacon every 128 s while GNSS is locked

	Firmware      string                                                   // version
	Log           *slog.Logger                                             // default none
	Now           func() time.Time                                         // with a monotonic reading; default time.Now
	Rand          io.Reader                                                // default crypto/rand.Reader
	Dial          func(ctx context.Context, addr string) (net.Conn, error) // default TCP
	Outbox        outbox.Config
	SessionLife   time.Duration // as in uplink.Config, like the rest
	BackoffMin    time.Duration
	BackoffMax    time.Duration
	AnswerTimeout time.Duration
}

func (c Config) withDefaults() (Config, error) {
	switch {
	case c.Key == nil:
		return c, errors.New("hotspot: no key")
	case c.Concentrator == nil:
		return c, errors.New("hotspot: no concentrator")
	case c.DataDir == "":
		return c, errors.New("hotspot: no data directory: set data_dir")
	case c.Gain < radio.DB(-10) || c.Gain > radio.DB(20):
		return c, fmt.Errorf("hotspot: antenna gain %v is outside -10..20 dB: give dBi less cable loss", c.Gain)
	case c.Position.LatE7 < -90e7 || c.Position.LatE7 > 90e7 || c.Position.LonE7 < -180e7 || c.Position.LonE7 > 180e7:
		return c, errors.New("hotspot: position is not on Earth: give latitude and longitude in degrees")
	case c.ClassB && c.GNSS == nil:
		return c, errors.New("hotspot: class B beacons need GPS time: set a GNSS receiver, or switch them off")
	case c.Owner == (poc.Wallet{}):
		return c, errors.New("hotspot: no owner wallet: set owner to a Solana address, or nobody can be paid")
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.MinPower == 0 && c.MaxPower == 0 {
		c.MaxPower = radio.DBm(27)
	}
	if c.TickBound <= 0 {
		c.TickBound = 20 * time.Millisecond
	}
	return c, nil
}
