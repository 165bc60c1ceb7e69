package network

import (
	"context"
	"fmt"
	"slices"
	"time"

	"heliograph/oracle/settle"
	"heliograph/oracle/web"
)

// watcher keeps track of what a city has done.
type watcher struct {
	city    *city
	started bool              // the first look is over
	done    map[uint32]bool   // epochs whose result is known
	seen    map[uint32]string // last state noted of an epoch
	beacons []string          // last beacon of each hotspot
	results []EpochResult
	reasons map[string]int
	trouble string // last problem of reading the explorer
}

func newWatcher(c *city) *watcher {
	return &watcher{city: c, done: map[uint32]bool{}, seen: map[uint32]string{}, reasons: map[string]int{}}
}

// look reads everything once. What cannot be read keeps its zero value: the
// explorer may be busy for a moment.
func (w *watcher) look(ctx context.Context) Snapshot {
	c := w.city
	t := c.fleet.totals()
	w.noteBeacons(t.lastBeacon)
	s := Snapshot{
		Elapsed: time.Since(c.started), Page: c.oracle.page,
		Hotspots: len(c.fleet.hotspots), Online: t.online, Beacons: t.beacons, Declined: t.declined,
		Witnesses: t.witnesses, Packets: t.packets, Waiting: t.waiting,
		Devices: len(c.devices), Delivered: c.server.Stats().Verdicts["data"],
	}
	for _, d := range c.devices {
		st := d.Stats()
		if st.Joins > 0 {
			s.Joined++
		}
		s.Uplinks += st.Uplinks
		s.Acked += st.Acked
	}
	if st, err := c.chain.vm.Stats(ctx); err == nil {
		s.Slot = st.Slot
	}
	err := w.epochs(ctx, &s)
	if err != nil && ctx.Err() == nil && err.Error() != w.trouble {
		w.trouble = err.Error()
		c.note("%v", err)
	}
	s.Verdicts, s.Epochs = w.reasons, w.results
	c.mu.Lock()
	s.Notes = slices.Clone(c.notes)
	c.mu.Unlock()
	return s
}

func (w *watcher) noteBeacons(last []string) {
	for i, b := range last {
		if b != "" && (i >= len(w.beacons) || w.beacons[i] != b) {
			w.city.note("%s", b)
		}
	}
	w.beacons = last
}

// epochs asks the explorer how far they are.
func (w *watcher) epochs(ctx context.Context, s *Snapshot) error {
	st, err := w.city.oracle.explorer.status(ctx)
	if err != nil {
		return err
	}
	s.Epoch, s.EpochEnds = uint32(st.Epoch), time.Until(st.EpochEnds)
	list, err := w.city.oracle.explorer.epochs(ctx)
	if err != nil {
		return err
	}
	for _, e := range slices.Backward(list) { // oldest first
		if err := w.epoch(ctx, e); err != nil {
			return err
		}
	}
	w.started = true
	return nil
}

// epoch notes how far an epoch is. What was closed before this run began is
// passed over in silence.
func (w *watcher) epoch(ctx context.Context, e web.Epoch) error {
	n := uint32(e.Epoch)
	if w.done[n] {
		return nil
	}
	state := string(e.State)
	if e.Settlement != nil {
		state = e.Settlement.State
	}
	closed := state == string(settle.Closed)
	if closed && !w.started {
		w.done[n] = true
		return nil
	}
	if w.seen[n] == "" {
		for reason, k := range e.Reasons {
			w.reasons[reason] += k
		}
	}
	if w.seen[n] != state {
		w.city.note("epoch %d is %s", n, state)
	}
	w.seen[n] = state
	if !closed {
		return nil
	}
	r, err := w.city.result(ctx, n)
	if err != nil {
		return err
	}
	w.done[n] = true
	w.results = append(w.results, r)
	return nil
}

// settleLag is how long the ledger may be behind the chain: it books what is
// final, and what the chain shows is not final yet.
const settleLag = 20 * time.Second

// result describes a closed epoch and compares the ledger with the chain.
func (c *city) result(ctx context.Context, n uint32) (EpochResult, error) {
	e, err := c.oracle.explorer.epoch(ctx, n)
	if err != nil {
		return EpochResult{}, err
	}
	r := EpochResult{Epoch: n, Root: e.Root.String(), State: e.Settlement.State, Signatures: signatures(e), Reports: e.Reports}
	for deadline := time.Now().Add(settleLag); ; {
		if r.Wallets, err = c.compare(ctx); err != nil {
			return r, err
		}
		if r.Equal() || time.Now().After(deadline) {
			return r, nil
		}
		select {
		case <-ctx.Done():
			return r, ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// signatures are the epoch's transactions, in the order in which they were made.
func signatures(e web.Epoch) []Signature {
	out := []Signature{{"seed", e.SeedSignature}, {"commit", e.Settlement.CommitSignature}}
	for _, b := range e.Settlement.Batches {
		out = append(out, Signature{fmt.Sprintf("payout %d", b.Index), b.Signature})
	}
	out = append(out, Signature{"close", e.Settlement.CloseSignature})
	return slices.DeleteFunc(out, func(s Signature) bool { return s.ID == "" })
}

// compare reads each wallet from the ledger and from the chain.
func (c *city) compare(ctx context.Context) ([]WalletLine, error) {
	out := make([]WalletLine, len(c.chain.wallets))
	for i, w := range c.chain.wallets {
		paid, owed, err := c.oracle.wallet(ctx, w)
		if err != nil {
			return nil, err
		}
		name := "the operator"
		if i < c.cfg.Hotspots {
			name = vienna[i].name
		}
		out[i] = WalletLine{Name: name, Wallet: w.String(), Paid: paid, Owed: owed}
	}
	chain, err := c.chain.balances(ctx)
	if err != nil {
		return nil, err
	}
	for i := range out {
		out[i].Chain = chain[i]
	}
	return out, nil
}
