package payday

import (
	"context"
	"fmt"
	"math/rand/v2"

	solanavm "heliograph/testbench/solana"
)

// weather is what a run meets, drawn from its seed.
type weather struct {
	nodes  []solanavm.Faults
	hidden bool // signatures are hidden; for good where two nodes show them
	stale  bool
	forks  bool
	crash  int  // a crash every so many writes, on average; 0 = none
	twins  bool // a second oracle pays the same epoch from a store of its own
	lost   bool // the store is lost half-way and rebuilt
	closes bool // markers are closed, then the store is lost
	frozen bool // recipients freeze and thaw their accounts
	backup bool // an old copy of the store is restored
	sleeps bool // an oracle sleeps between its look and its signature
	prunes bool // nodes forget their history for a while
}

func (w weather) String() string {
	return fmt.Sprintf("nodes=%d hidden=%v stale=%v forks=%v crash=%d twins=%v lost=%v closes=%v frozen=%v backup=%v sleeps=%v prunes=%v",
		len(w.nodes), w.hidden, w.stale, w.forks, w.crash, w.twins, w.lost, w.closes, w.frozen, w.backup, w.sleeps, w.prunes)
}

func draw(rnd *rand.Rand) weather {
	w := weather{
		hidden: rnd.IntN(100) < 35, stale: rnd.IntN(100) < 25, forks: rnd.IntN(100) < 30,
		twins: rnd.IntN(100) < 12, lost: rnd.IntN(100) < 12, closes: rnd.IntN(100) < 10,
	}
	w.frozen, w.backup = rnd.IntN(100) < 30, rnd.IntN(100) < 15
	w.sleeps, w.prunes = rnd.IntN(100) < 15, rnd.IntN(100) < 15
	w.twins = w.twins || w.sleeps && rnd.IntN(2) == 0
	if rnd.IntN(100) < 60 {
		w.crash = 1 + rnd.IntN(16)
	}
	n := 1 + rnd.IntN(3)
	hiders := 0
	if w.hidden {
		n = max(n, 2)
		hiders = n - 1 // one node shows everything
	}
	if w.hidden && (w.closes || w.twins || w.backup) { // without its marker a payment needs two that show it
		n, hiders = 3, 1
	}
	for i := range n {
		f := solanavm.Faults{Seed: rnd.Uint32(), LandAfterMin: 1, LandAfterMax: 1 + rnd.IntN(140)}
		share := func(most float64) float64 { return float64(rnd.IntN(2)) * rnd.Float64() * most }
		f.Drop, f.RateLimit, f.HangUp = share(0.15), share(0.15), share(0.3)
		f.Swallow, f.DelayLanding, f.NullStatus = share(0.4), share(0.8), share(0.4)
		f.RateLimitHTML, f.RetryAfterSec, f.DelayMS = rnd.IntN(2) == 0, rnd.IntN(3), rnd.IntN(10)/9
		if i < hiders {
			f.HideStatus = 0.2 + 0.6*rnd.Float64()
		}
		if w.prunes {
			f.KeepBlocks = 40 + rnd.IntN(300)
		}
		if w.stale && i == 0 && (n > 1 || !w.hidden) {
			f.StaleBlocks = 1 + rnd.IntN(100)
		}
		w.nodes = append(w.nodes, f)
	}
	return w
}

func nodeName(i int) string { return fmt.Sprintf("n%d", i) }

// set gives the nodes their faults. calm leaves only those that do not pass.
func (w weather) set(ctx context.Context, vm *solanavm.VM, calm bool) error {
	for i, f := range w.nodes {
		if calm {
			f = solanavm.Faults{Seed: f.Seed, HideStatus: f.HideStatus, StaleBlocks: f.StaleBlocks}
			if w.open() < 2 {
				f.HideStatus = 0
			}
		}
		if err := vm.Node(nodeName(i)).SetFaults(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

// open is how many nodes hide nothing. What only one node shows is never final, so
// with fewer than two an epoch rightly stalls, and its status says to add an
// endpoint: hiding must pass then, or the run has no end.
func (w weather) open() (n int) {
	for _, f := range w.nodes {
		if f.HideStatus == 0 {
			n++
		}
	}
	return n
}
