package epoch_test

import (
	"testing"
	"time"

	"heliograph/oracle/epoch"
	"heliograph/oracle/epoch/epochtest"
)

// TestClockJumps: a wall clock that jumps over the end of an epoch, and back, settles
// nothing twice and forgets no epoch that was opened.
func TestClockJumps(t *testing.T) {
	for name, jumps := range map[string][]time.Duration{
		"forwards":               {3 * time.Hour},
		"forwards and back":      {3 * time.Hour, -3 * time.Hour, 2 * time.Hour},
		"back before the cut":    {30 * time.Minute, -90 * time.Minute, 3 * time.Hour},
		"back after the cut":     {70 * time.Minute, -60 * time.Minute, 30 * time.Minute, 2 * time.Hour},
		"back by a day and on":   {70 * time.Minute, -24 * time.Hour, 26 * time.Hour},
		"to and fro at the edge": {59 * time.Minute, 7 * time.Minute, -8 * time.Minute, 8 * time.Minute, -8 * time.Minute, 70 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			w := epochtest.New(t, 4)
			w.Advance()
			w.Flash(first)
			w.Now = time.Unix(0, calendar.Start(first))
			for i, j := range jumps {
				w.Now = w.Now.Add(j)
				for range 3 {
					if err := w.Manager.Advance(t.Context()); err != nil {
						t.Logf("jump %d: %v", i, err)
					}
				}
				w.Restart()
			}
			w.Now = w.Now.Add(2 * time.Hour) // the clock is right again
			for range 4 {
				if err := w.Manager.Advance(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			var issued uint64
			now := calendar.Epoch(w.Now.UnixNano())
			opened := 0
			for _, e := range w.Journal.Openings() {
				if calendar.CutDue(e) > w.Now.UnixNano() {
					continue
				}
				opened++
				rec, judged, err := w.Manager.Record(t.Context(), e)
				if err != nil || !judged || rec.State != epoch.Frozen {
					t.Errorf("epoch %d was opened and not settled: %+v, %v, %v", e, rec, judged, err)
				}
				if _, ok := w.Chain.Frozen[e]; !ok {
					t.Errorf("epoch %d did not reach the chain", e)
				}
				for _, p := range w.Chain.Frozen[e].Payouts {
					issued += uint64(p.Amount)
				}
			}
			if opened == 0 || len(w.Chain.Frozen) != opened {
				t.Errorf("%d epochs opened, %d frozen", opened, len(w.Chain.Frozen))
			}
			if got := w.Totals(); uint64(got.Owed) != issued {
				t.Errorf("owed %d in the books, %d in the lists", got.Owed, issued)
			}
			if _, open := w.Journal.Opening(now); !open {
				t.Errorf("the current epoch %d was not opened", now)
			}
		})
	}
}
