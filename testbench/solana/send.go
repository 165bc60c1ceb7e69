package solanavm

import (
	"context"
	"fmt"
	"time"

	"github.com/gagliardetto/solana-go"
	"github.com/gagliardetto/solana-go/rpc"
)

// pollInterval is the pause between two looks at a signature's status.
const pollInterval = 50 * time.Millisecond

// Sender signs and sends transactions and waits for them. It is meant for
// setting a stage, not for paying out: it does not survive crashes or retry.
type Sender struct {
	Client *rpc.Client
	// Payer pays the fees and signs.
	Payer solana.PrivateKey
	// Commitment to wait for; "" means confirmed. With a VM that only ticks
	// by hand it must be processed.
	Commitment rpc.CommitmentType
}

// FailedError is a transaction that landed and failed.
type FailedError struct {
	Signature solana.Signature
	Err       any // as in the RPC answer, such as {"InstructionError":[1,{"Custom":0}]}
}

func (e *FailedError) Error() string {
	return fmt.Sprintf("solanavm: transaction %s failed: %v", e.Signature, e.Err)
}

func (s Sender) commitment() rpc.CommitmentType {
	if s.Commitment == "" {
		return rpc.CommitmentConfirmed
	}
	return s.Commitment
}

// Sign builds a legacy transaction of the instructions with a blockhash of
// the sender's commitment. Signers sign beside the payer.
func (s Sender) Sign(ctx context.Context, ixs []solana.Instruction, signers ...solana.PrivateKey) (*solana.Transaction, error) {
	latest, err := s.Client.GetLatestBlockhash(ctx, s.commitment())
	if err != nil {
		return nil, fmt.Errorf("solanavm: get blockhash: %w", err)
	}
	tx, err := solana.NewTransaction(ixs, latest.Value.Blockhash, solana.TransactionPayer(s.Payer.PublicKey()))
	if err != nil {
		return nil, fmt.Errorf("solanavm: build transaction: %w", err)
	}
	keys := append([]solana.PrivateKey{s.Payer}, signers...)
	_, err = tx.Sign(func(want solana.PublicKey) *solana.PrivateKey {
		for i := range keys {
			if keys[i].PublicKey() == want {
				return &keys[i]
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("solanavm: sign transaction: %w", err)
	}
	return tx, nil
}

// Send signs, sends and waits until the transaction reaches the commitment.
// A transaction that landed and failed gives a *FailedError; one refused by
// preflight gives the client's error. It polls until ctx ends.
func (s Sender) Send(ctx context.Context, ixs []solana.Instruction, signers ...solana.PrivateKey) (solana.Signature, error) {
	tx, err := s.Sign(ctx, ixs, signers...)
	if err != nil {
		return solana.Signature{}, err
	}
	sig, err := s.Client.SendTransactionWithOpts(ctx, tx, rpc.TransactionOpts{PreflightCommitment: s.commitment()})
	if err != nil {
		return solana.Signature{}, fmt.Errorf("solanavm: send transaction: %w", err)
	}
	return sig, s.Wait(ctx, sig)
}

// Wait polls until a signature reaches the commitment.
func (s Sender) Wait(ctx context.Context, sig solana.Signature) error {
	for {
		out, err := s.Client.GetSignatureStatuses(ctx, true, sig)
		if err != nil {
			return fmt.Errorf("solanavm: status of %s: %w", sig, err)
		}
		if len(out.Value) == 1 && out.Value[0] != nil && reached(out.Value[0].ConfirmationStatus, s.commitment()) {
			if out.Value[0].Err != nil {
				return &FailedError{sig, out.Value[0].Err}
			}
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("solanavm: wait for %s to be %s: %w", sig, s.commitment(), ctx.Err())
		case <-time.After(pollInterval):
		}
	}
}

func reached(have rpc.ConfirmationStatusType, want rpc.CommitmentType) bool {
	switch want {
	case rpc.CommitmentProcessed:
		return true
	case rpc.CommitmentConfirmed:
		return have != rpc.ConfirmationStatusProcessed
	default:
		return have == rpc.ConfirmationStatusFinalized
	}
}
