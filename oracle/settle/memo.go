package settle

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// maxAttempts bounds what is remembered of a memo or a batch; beyond it the
// oldest variant, long dead, is forgotten.
const maxAttempts = 64

// stepMemo moves a memo on: sign, persist, send, watch. save persists the record
// that holds it.
func (s *Settler) stepMemo(ctx context.Context, m *Memo, height uint64, save func() error) error {
	return s.stepTx(ctx, m, height, save, func(hash Blockhash) (Tx, error) { return s.signer.Memo(ctx, m.Text, hash) })
}

// stepTx is stepMemo for any transaction that may land twice without harm.
func (s *Settler) stepTx(ctx context.Context, m *Memo, height uint64, save func() error, sign func(Blockhash) (Tx, error)) error {
	if m.Final {
		return nil
	}
	statuses, err := s.statuses(ctx, m.Attempts)
	if err != nil {
		return err
	}
	action, i := decideMemo(*m, height, statuses)
	var unsure error
	for ; action == Finalize; action, i = decideMemo(*m, height, statuses) {
		slot, err := s.chain.Told(ctx, m.Attempts[i].Signature, m.Text)
		if err == nil {
			m.Final, m.Signature, m.Slot, m.Doubt = true, m.Attempts[i].Signature, slot, ""
			return save()
		}
		if !errors.Is(err, ErrNotFinal) {
			unsure = fmt.Errorf("settle: read transaction %s: %w", m.Attempts[i].Signature, err)
		}
		statuses[i].Final = false
	}
	switch action {
	case Wait:
		return unsure
	case Sign:
		if slices.ContainsFunc(statuses, func(st Status) bool { return st.Known && st.Err == "" }) {
			m.Doubt = fmt.Sprintf("an endpoint says that %.40q has landed, and long afterwards no two show it as final: it is sent again; "+
				"compare the endpoints (status lists them) and replace the one that is wrong in solana.rpc", m.Text)
		}
		hash, err := s.chain.Blockhash(ctx)
		if err != nil {
			return fmt.Errorf("settle: ask for a blockhash: %w", err)
		}
		tx, err := sign(hash)
		if err != nil {
			return fmt.Errorf("settle: sign %q: %w", m.Text, err)
		}
		m.Attempts = append(m.Attempts, tx)
		if len(m.Attempts) > maxAttempts {
			m.Attempts = m.Attempts[1:]
		}
		if err := save(); err != nil {
			return err
		}
		return s.sendMemo(ctx, tx)
	case Resend:
		return s.sendMemo(ctx, m.Attempts[len(m.Attempts)-1])
	}
	return nil
}

// sendMemo leaves a refusal to the next round: the memo may have landed already,
// or the blockhash has expired and another variant will be signed.
func (s *Settler) sendMemo(ctx context.Context, tx Tx) error {
	err := s.chain.Send(ctx, tx)
	var r *Rejected
	if errors.As(err, &r) {
		s.log.Debug("memo was refused", "signature", tx.Signature, "detail", r.Detail)
		if r.Cause == CauseFunds {
			return fmt.Errorf("settle: the fee payer cannot pay for a transaction: send it SOL (%s)", r.Detail)
		}
		return nil
	}
	return err
}

// statusesAtOnce is how many signatures a cluster is asked for in one call.
const statusesAtOnce = 256

// statuses asks for all attempts, in groups.
func (s *Settler) statuses(ctx context.Context, attempts []Tx) ([]Status, error) {
	sigs := make([]string, len(attempts))
	for i, a := range attempts {
		sigs[i] = a.Signature
	}
	var out []Status
	for group := range slices.Chunk(sigs, statusesAtOnce) {
		st, err := s.chain.Statuses(ctx, group)
		if err != nil {
			return nil, fmt.Errorf("settle: ask for signatures: %w", err)
		}
		if len(st) != len(group) {
			return nil, fmt.Errorf("settle: the cluster answered for %d of %d signatures", len(st), len(group))
		}
		out = append(out, st...)
	}
	return out, nil
}
