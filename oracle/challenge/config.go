// Package challenge draws an epoch's challenges from its seed: when each hotspot
// is to send a beacon, on which channel, at which data rate and power. It is
// pure: who has the seed, the configuration and the registry as it was when the
// epoch opened, draws the same.
package challenge

import (
	"errors"
	"fmt"
	"time"

	"heliograph/poc"
)

// Config fixes how challenges are spread over an epoch. It is part of what an
// epoch's record has to name.
type Config struct {
	EpochLength time.Duration // whole seconds
	PerEpoch    uint16        // challenges of one hotspot
	Guard       time.Duration // no challenge in the first and the last of an epoch
	// MinLead is how long after the epoch's opening was journaled a challenge
	// must be due to count: what was fixed too late could not be delivered.
	MinLead time.Duration
}

// Default is a day with a challenge about every two hours: enough for the link
// rule of package native to judge a link every day.
func Default() Config {
	return Config{EpochLength: 24 * time.Hour, PerEpoch: 12, Guard: 10 * time.Minute, MinLead: 30 * time.Second}
}

// minSlot keeps beacons of one hotspot apart.
const minSlot = time.Second

// Validate refuses a configuration that leaves no room for the challenges.
func (c Config) Validate() error {
	switch {
	case c.EpochLength < time.Second || c.EpochLength%time.Second != 0:
		return fmt.Errorf("challenge: epoch length %v: want whole seconds", c.EpochLength)
	case c.PerEpoch == 0:
		return errors.New("challenge: no challenge in an epoch: want at least one")
	case c.Guard < 0 || c.MinLead < 0:
		return fmt.Errorf("challenge: guard %v and lead %v: want them not negative", c.Guard, c.MinLead)
	case c.slot() < minSlot:
		return fmt.Errorf("challenge: %d challenges in %v less twice %v: want %v or more for each", c.PerEpoch, c.EpochLength, c.Guard, minSlot)
	}
	return nil
}

// slot is the stretch of time in which one challenge of a hotspot falls, in whole
// microseconds.
func (c Config) slot() time.Duration {
	return ((c.EpochLength - 2*c.Guard) / time.Duration(max(c.PerEpoch, 1))).Truncate(time.Microsecond)
}

// Start is when an epoch starts, in unix nanoseconds. The length must be positive.
func Start(e poc.Epoch, length time.Duration) int64 { return int64(e) * int64(length) }

// Of is the epoch in which an instant after 1970 lies.
func Of(unixNano int64, length time.Duration) poc.Epoch { return poc.Epoch(unixNano / int64(length)) }
