package approve

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/gagliardetto/solana-go"
	"github.com/gagliardetto/solana-go/programs/system"
	"github.com/gagliardetto/solana-go/programs/token"
	"github.com/gagliardetto/solana-go/rpc"

	hsolana "heliograph/oracle/settle/solana"
)

// Choice is what an operator decides about the transaction.
type Choice struct {
	Signers []solana.PublicKey // of a multisig; empty: its first m
	Payer   solana.PublicKey   // of the fee; zero: the owner, or the first signer
	// Nonce is a durable nonce account whose authority is the payer; zero: a recent
	// blockhash, which gives the signers about a minute.
	Nonce solana.PublicKey
}

// Message is a transaction that waits for signatures.
type Message struct {
	Bytes   []byte
	Signers []solana.PublicKey // who signs Bytes, in the order of the signatures
}

// Prepare builds the message with a fresh blockhash, or with the nonce's.
func Prepare(ctx context.Context, endpoint string, t Treasury, g Grant, c Choice) (Message, error) {
	client := dial(endpoint)
	if !c.Nonce.IsZero() {
		hash, err := nonce(ctx, client, c.Nonce)
		if err != nil {
			return Message{}, err
		}
		return build(t, g, c, hash)
	}
	b, err := client.GetLatestBlockhash(ctx, rpc.CommitmentFinalized)
	if err != nil {
		return Message{}, fmt.Errorf("approve: ask for a blockhash: %w", err)
	}
	if b == nil || b.Value == nil {
		return Message{}, errors.New("approve: empty answer to getLatestBlockhash")
	}
	return build(t, g, c, b.Value.Blockhash)
}

// Same builds the message anew with the blockhash of another's, and says whether
// the other is the same byte for byte: then it approves what was recomputed here
// and does nothing else.
func Same(other []byte, t Treasury, g Grant, c Choice) (Message, error) {
	var m solana.Message
	if err := decode(other, &m); err != nil {
		return Message{}, err
	}
	own, err := build(t, g, c, m.RecentBlockhash)
	if err != nil {
		return Message{}, err
	}
	if !bytes.Equal(own.Bytes, other) {
		return Message{}, fmt.Errorf("approve: the message is not the approval %q from %s to %s by these signers: do not sign it; when a payout has landed since it was made, make a new one", g.Text(), t.Account, g.Hot)
	}
	return own, nil
}

func build(t Treasury, g Grant, c Choice, hash solana.Hash) (m Message, err error) {
	if g.Hot == t.Owner {
		return m, errors.New("approve: the hot key owns the treasury itself: give the treasury to a cold key, or nothing limits the hot one")
	}
	allowance, err := g.Allowance()
	if err != nil {
		return m, err
	}
	signers, err := t.choose(c.Signers)
	if err != nil {
		return m, err
	}
	payer := c.Payer
	switch {
	case !payer.IsZero():
	case len(signers) > 0:
		payer = signers[0]
	default:
		payer = t.Owner
	}
	var ixs []solana.Instruction
	if !c.Nonce.IsZero() {
		ixs = append(ixs, system.NewAdvanceNonceAccountInstruction(c.Nonce, solana.SysVarRecentBlockHashesPubkey, payer).Build())
	}
	ixs = append(ixs,
		hsolana.Under(t.Program, token.NewApproveCheckedInstruction(uint64(allowance), t.Decimals, t.Account, t.Mint, g.Hot, t.Owner, signers).Build()),
		solana.NewInstruction(solana.MemoProgramID, solana.AccountMetaSlice{}, []byte(g.Text())))
	tx, err := solana.NewTransaction(ixs, hash, solana.TransactionPayer(payer))
	if err != nil {
		return m, fmt.Errorf("approve: build: %w", err)
	}
	if m.Bytes, err = tx.Message.MarshalBinary(); err != nil {
		return m, fmt.Errorf("approve: encode: %w", err)
	}
	m.Signers = append(m.Signers, tx.Message.AccountKeys[:tx.Message.Header.NumRequiredSignatures]...)
	return m, nil
}

// nonce reads a durable nonce: version u32, state u32 (1: initialized), authority
// 32, nonce 32, fee u64.
func nonce(ctx context.Context, c *rpc.Client, account solana.PublicKey) (h solana.Hash, err error) {
	res, err := c.GetAccountInfoWithOpts(ctx, account, &rpc.GetAccountInfoOpts{Encoding: solana.EncodingBase64, Commitment: rpc.CommitmentFinalized})
	if err != nil {
		return h, fmt.Errorf("approve: read the nonce account %s: %w", account, err)
	}
	b := res.GetBinary()
	if res.Value == nil || res.Value.Owner != solana.SystemProgramID || len(b) != 80 || b[4] != 1 {
		return h, fmt.Errorf("approve: %s is not an initialized nonce account: make one with `solana create-nonce-account`", account)
	}
	return solana.Hash(b[40:72]), nil
}
