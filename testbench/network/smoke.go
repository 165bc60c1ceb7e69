package network

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"heliograph/poc"
)

// Report is the end of a smoke run. Amounts are of the token's smallest unit.
type Report struct {
	Hotspots          int            `json:"hotspots"`
	Beacons           int            `json:"beacons"`
	WitnessesAccepted int            `json:"witnesses_accepted"`
	WitnessesRejected map[string]int `json:"witnesses_rejected"` // by reason
	Packets           int            `json:"packets"`
	EpochsSettled     int            `json:"epochs_settled"`
	Paid              uint64         `json:"paid"`
	Owed              uint64         `json:"owed"`
	LedgerEqualsChain bool           `json:"ledger_equals_chain"`
	ReplayEquals      bool           `json:"replay_equals"`
}

// JSON is the report on one line.
func (r Report) JSON() (string, error) {
	if r.WitnessesRejected == nil {
		r.WitnessesRejected = map[string]int{}
	}
	b, err := json.Marshal(r)
	return string(b), err
}

// Check says what of a good run is missing.
func (r Report) Check() error {
	var errs []error
	if r.Paid == 0 {
		errs = append(errs, errors.New("network: nothing was paid"))
	}
	if !r.LedgerEqualsChain {
		errs = append(errs, errors.New("network: ledger and chain differ"))
	}
	if !r.ReplayEquals {
		errs = append(errs, errors.New("network: recomputing the epoch gave another result"))
	}
	return errors.Join(errs...)
}

// Smoke runs the city until an epoch in which somebody earned something is
// closed on the chain, recomputes that epoch, and stops. log receives progress.
func Smoke(ctx context.Context, cfg Config, log io.Writer) (Report, error) {
	c, err := start(ctx, cfg, func(format string, args ...any) { fmt.Fprintf(log, format+"\n", args...) })
	if err != nil {
		return Report{}, err
	}
	r, err := c.smoke(ctx, log)
	if stopErr := c.stop(); err == nil {
		err = stopErr
	}
	return r, err
}

func (c *city) smoke(ctx context.Context, log io.Writer) (Report, error) {
	r := Report{Hotspots: c.cfg.Hotspots}
	until, cancel := context.WithCancel(ctx)
	defer cancel()
	show := lines(log)
	var last Snapshot
	err := c.watch(until, func(s Snapshot) {
		show(s)
		last = s
		if n := len(s.Epochs); n > 0 && s.Epochs[n-1].worthwhile() {
			cancel()
		}
	})
	if err == nil && ctx.Err() != nil {
		err = fmt.Errorf("network: %w before an epoch was settled; the end of %s:\n%s", context.Cause(ctx), c.oracle.child.log, tail(c.oracle.child.log, 8))
	}
	if err != nil {
		return r, err
	}
	if err := c.tally(ctx, &r, last.Epochs); err != nil {
		return r, err
	}
	begun := time.Now()
	r.ReplayEquals, err = c.replay(ctx, last.Epochs[len(last.Epochs)-1].Epoch, log)
	fmt.Fprintf(log, "recomputed in %.1fs\n", time.Since(begun).Seconds())
	return r, err
}

// worthwhile says whether there was something to see in an epoch: a run may begin
// moments before one ends.
func (r EpochResult) worthwhile() bool {
	return r.paid() > 0 && r.Reports[poc.KindBeacon.String()] > 0 && r.Reports[poc.KindWitness.String()] > 0
}

func (r EpochResult) paid() (sum uint64) {
	for _, w := range r.Wallets {
		sum += w.Paid
	}
	return sum
}

// tally counts what the settled epochs held, and what the wallets have now.
func (c *city) tally(ctx context.Context, r *Report, epochs []EpochResult) error {
	r.WitnessesRejected = map[string]int{}
	r.LedgerEqualsChain = true
	for _, e := range epochs {
		r.EpochsSettled++
		computed, err := c.oracle.explorer.computed(ctx, e.Epoch)
		if err != nil {
			return err
		}
		for _, v := range computed.Verdicts {
			switch {
			case v.Kind == poc.KindBeacon:
				r.Beacons++
			case v.Kind == poc.KindPacket && v.Reason == poc.OK: // one copy is bought, the others are not routed
				r.Packets++
			case v.Kind == poc.KindPacket:
			case v.Kind == poc.KindWitness && v.Reason == poc.OK:
				r.WitnessesAccepted++
			case v.Kind == poc.KindWitness:
				r.WitnessesRejected[v.Reason.String()]++
			}
		}
	}
	final := epochs[len(epochs)-1]
	r.LedgerEqualsChain = final.Equal()
	r.Paid = final.paid()
	for _, w := range final.Wallets {
		r.Owed += w.Owed
	}
	return nil
}
