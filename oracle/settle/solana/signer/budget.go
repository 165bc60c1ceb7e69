package signer

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"heliograph/oracle/store"
	"heliograph/poc"
)

// Bounds of what signatures cost the hot key: whoever may ask for them could
// otherwise burn its lamports as fees, a little each time.
const (
	baseFee     = 5_000         // lamports for one signature
	defaultFees = 1_000_000_000 // Policy.MaxFees when it is 0
	maxMemoFee  = 10_000        // lamports of priority fee of a memo
	maxMemos    = 300           // signatures in a day for one kind of memo of one epoch
	nearEpochs  = 256           // how far from the newest epoch a seed memo may be
	feeChunk    = 1_000_000     // lamports that are put on record at once
)

// fees is the budget of a day. It is put on record in chunks, before anything of a
// chunk is spent: a restart loses the rest of one.
type fees struct {
	mu   sync.Mutex
	day  int64
	left uint64 // of the chunk
}

// feeState is what is on record. Key "f".
type feeState struct {
	Day      int64  `json:"day"` // since 1970, UTC
	Lamports uint64 `json:"lamports"`
}

// memoState counts the signatures of a memo in a day. Key "n/"+word+epoch.
type memoState struct {
	Day int64 `json:"day"`
	N   int   `json:"n"`
}

func dayOf(now time.Time) int64 { return now.Unix() / int64(24*time.Hour/time.Second) }

// spend counts the fee of one signature against the budget of the day. A clock that
// goes back does not give another one.
func (s *Signer) spend(ctx context.Context, e effects, now time.Time) error {
	cost := baseFee + e.priority // below max_priority_fee
	day, limit := dayOf(now), s.cfg.Policy.MaxFees
	s.fees.mu.Lock()
	defer s.fees.mu.Unlock()
	if s.fees.left >= cost && day <= s.fees.day {
		s.fees.left -= cost
		return nil
	}
	var chunk uint64
	err := s.cfg.KV.Update(ctx, func(tx store.Tx) error {
		var st feeState
		if _, err := get(tx, []byte("f"), &st); err != nil {
			return err
		}
		if day > st.Day {
			st = feeState{Day: day}
		}
		if cost > limit || st.Lamports > limit-cost {
			return refuse("the signatures of day %s have cost up to %d lamports, one more may cost %d, the limit is %d: find out what asked for so many, then raise max_fees or wait for the next day",
				time.Unix(st.Day*86400, 0).UTC().Format(time.DateOnly), st.Lamports, cost, limit)
		}
		chunk = max(cost, min(feeChunk, limit-st.Lamports))
		st.Lamports += chunk
		day = st.Day
		return put(tx, []byte("f"), st)
	})
	if err == nil {
		s.fees.day, s.fees.left = day, chunk-cost
	}
	return err
}

// countMemo bounds how often a memo is signed in a day, and what it bids. Every
// variant of one may land and cost its fee.
func (s *Signer) countMemo(tx store.Tx, m memo, e effects) error {
	if e.priority > maxMemoFee {
		return refuse("a memo bids %d lamports of priority fee, at most %d", e.priority, maxMemoFee)
	}
	key := binary.BigEndian.AppendUint32([]byte("n/"+m.word), uint32(m.epoch))
	var st memoState
	if _, err := get(tx, key, &st); err != nil {
		return err
	}
	if day := dayOf(s.cfg.Now()); day > st.Day {
		st = memoState{Day: day}
	}
	if st.N >= maxMemos {
		return refuse("the %s memo of epoch %d was signed %d times today: see why none of them becomes final; it is signed again tomorrow", m.word, m.epoch, st.N)
	}
	st.N++
	return put(tx, key, st)
}

// near refuses seed memos of epochs that are not about to come: there are enough of
// them to burn any amount on. What counts is the newest epoch with a list, and before
// there is one the oldest that was committed to.
func near(tx store.Tx, e poc.Epoch) error {
	at, found := uint32(0), false
	read := func(prefix string, more bool) error {
		return tx.Scan([]byte(prefix), nil, func(k, _ []byte) bool {
			if n := k[len(prefix):]; len(n) == 4 {
				at, found = binary.BigEndian.Uint32(n), true
			}
			return more || !found
		})
	}
	err := read("e/", true)
	if err == nil && !found {
		err = read("c/", false)
	}
	if err != nil {
		return fmt.Errorf("signer: look for the newest epoch: %w", err)
	}
	if n := uint32(e); found && max(n, at)-min(n, at) > nearEpochs {
		return refuse("a seed commitment of epoch %d, while epoch %d is at hand: at most %d apart; after longer standing still, register the list of a newer epoch first", n, at, nearEpochs)
	}
	return nil
}
