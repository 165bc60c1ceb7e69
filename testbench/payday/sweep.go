package payday

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
)

// Summary is what a series of runs came to, as `make payout-faults` prints it.
type Summary struct {
	Runs              int  `json:"runs"`
	PaidTwice         int  `json:"paid_twice"`
	Unpaid            int  `json:"unpaid"`
	LedgerEqualsChain bool `json:"ledger_equals_chain"`
	NaivePaidTwice    int  `json:"naive_paid_twice"`

	HiddenOrForked int `json:"-"` // runs
	Crashes        int `json:"-"`
	Forks          int `json:"-"`
}

// JSON is the summary on one line.
func (s Summary) JSON() (string, error) {
	text, err := json.Marshal(s)
	return string(text), err
}

// Check says what is wrong with the summary.
func (s Summary) Check() error {
	switch {
	case s.PaidTwice > 0 || s.Unpaid > 0 || !s.LedgerEqualsChain:
		return fmt.Errorf("payday: %d paid twice, %d unpaid, ledger equals chain: %v", s.PaidTwice, s.Unpaid, s.LedgerEqualsChain)
	case s.NaivePaidTwice == 0:
		return fmt.Errorf("payday: the naive payer paid nobody twice: the weather shows nothing")
	}
	return nil
}

// The naive payer is shown in one of ten runs, in no fewer than naiveLeast, and as
// long as it was lucky in up to naiveMost.
const (
	naiveShare = 10
	naiveLeast = 12
	naiveMost  = 200
)

// Sweep makes runs with the seeds from..from+runs-1, and lets the naive payer meet
// the weather of some. What goes wrong is told to out with its seed.
func (b *Bench) Sweep(ctx context.Context, runs int, from uint64, out io.Writer) (s Summary, err error) {
	s.LedgerEqualsChain = true
	for i := range runs {
		r, err := b.Run(ctx, from+uint64(i))
		if err != nil {
			return s, err
		}
		s.Runs, s.PaidTwice, s.Unpaid = s.Runs+1, s.PaidTwice+r.PaidTwice, s.Unpaid+r.Unpaid
		s.LedgerEqualsChain = s.LedgerEqualsChain && r.Ledger == nil
		s.Crashes, s.Forks = s.Crashes+r.Crashes, s.Forks+r.Forks
		if r.Hidden || r.Forks > 0 {
			s.HiddenOrForked++
		}
		if !r.OK() {
			fmt.Fprintf(out, "seed %d: %d paid twice, %d unpaid, %v (%s)\n", r.Seed, r.PaidTwice, r.Unpaid, r.Ledger, r.Weather)
		}
		if (i+1)%100 == 0 {
			fmt.Fprintf(out, "%d runs, %d with hidden signatures or forks, %d crashes, %d forks\n", s.Runs, s.HiddenOrForked, s.Crashes, s.Forks)
		}
	}
	for i := 0; i < max(naiveLeast, runs/naiveShare) || s.NaivePaidTwice == 0 && i < naiveMost; i++ {
		n, err := b.Naive(ctx, from+uint64(i))
		if err != nil {
			return s, err
		}
		s.NaivePaidTwice += n
	}
	return s, nil
}
