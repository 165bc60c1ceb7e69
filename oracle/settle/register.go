package settle

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"heliograph/oracle/reward"
	"heliograph/oracle/store"
	"heliograph/poc"
)

// Registrar is a [Signer] that wants to know an epoch's list before it signs
// anything about it. Registering the same list again changes nothing.
type Registrar interface {
	Register(ctx context.Context, l List) error
}

// NoSignature is the error of a [Signer] that does not sign: it cannot be reached,
// or it refuses. An epoch that meets it is stalled; nothing was signed.
type NoSignature struct {
	Why string // cause and remedy
	// Refused says that it judged and refused: asking again soon does not help.
	Refused bool
}

func (n *NoSignature) Error() string { return "settle: not signed: " + n.Why }

// register tells the signer an epoch's list, once for each run of the program, and again
// when it refuses something of the epoch: its state may have been lost.
func (s *Settler) register(ctx context.Context, e Epoch) error {
	r, ok := s.signer.(Registrar)
	if !ok || e.State == Settled || s.isRegistered(e) {
		return nil
	}
	l := List{Epoch: e.Epoch, Rewards: e.Rewards, ListHash: e.ListHash, Rules: e.Rules, Payouts: make([]reward.Payout, 0, e.Count)}
	err := s.kv.View(ctx, func(tx store.Tx) error {
		l.Payouts = l.Payouts[:0]
		// Batches that pay held recipients later come after those of the plan, and
		// repeat what is in them.
		return scan(tx, string(batchPrefix(e.Epoch)), func(b Batch) {
			l.Payouts = append(l.Payouts, b.Payouts[:min(len(b.Payouts), e.Count-len(l.Payouts))]...)
		})
	})
	if err != nil {
		return err
	}
	if err := r.Register(ctx, l); err != nil {
		return fmt.Errorf("settle: register epoch %d: %w", e.Epoch, err)
	}
	if err := s.recall(ctx, e); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known[e.Epoch] = true
	return nil
}

// recall shows the signer the commit memo of an epoch that is being paid. The memo is on
// chain, and is not sent again; but a signer that has not signed it pays nobody.
func (s *Settler) recall(ctx context.Context, e Epoch) error {
	if e.State != Committed || !e.Commit.Final {
		return nil
	}
	hash, err := s.chain.Blockhash(ctx)
	if err == nil {
		_, err = s.signer.Memo(ctx, e.Commit.Text, hash)
	}
	var no *NoSignature
	if err == nil || errors.As(err, &no) && no.Refused { // whether it pays all the same is seen then
		return nil
	}
	return fmt.Errorf("settle: show the signer the commit memo of epoch %d: %w", e.Epoch, err)
}

// forgotList makes the next look register the epoch again when a signer has refused.
func (s *Settler) forgotList(e poc.Epoch, no *NoSignature) {
	if no.Refused {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.known, e)
	}
}

func (s *Settler) isRegistered(e Epoch) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known[e.Epoch]
}

// unsigned turns the error of a signer that does not sign into the state of an
// epoch, and takes the state back when the signer signs again.
func (s *Settler) unsigned(ctx context.Context, n poc.Epoch, err error) error {
	var no *NoSignature
	why := ""
	if errors.As(err, &no) {
		s.forgotList(n, no)
		why, err = signerStalled+no.Why, nil
	}
	e, rerr := s.epochOf(ctx, n)
	if rerr != nil {
		return errors.Join(err, rerr)
	}
	if err != nil {
		return err
	}
	// While batches are paid, what stalls them is found anew in every round.
	if why == "" && (e.State == Committed || !strings.HasPrefix(e.Stalled, signerStalled)) {
		return nil
	}
	return s.stall(&e, why, func() error { return s.save(ctx, epochKey(n), e) })
}

// signerStalled begins the cause of an epoch that waits for a signature.
const signerStalled = "the signer did not sign: "
