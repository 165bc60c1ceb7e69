package solana

import (
	"context"
	"fmt"

	"github.com/gagliardetto/solana-go"
	"github.com/gagliardetto/solana-go/rpc"

	"heliograph/oracle/settle"
)

// Landed is a finalized transaction as an auditor reads it.
type Landed struct {
	Slot      uint64
	Payer     solana.PublicKey
	Memos     []string // the texts of its memo instructions
	Failed    string   // why it failed, "" when it succeeded
	Transfers []Transfer
}

// Transfer is one TransferChecked of a transaction, of either token program.
type Transfer struct {
	Source, Mint, Destination, Authority solana.PublicKey
	Amount                               uint64
}

// Transaction fetches a finalized transaction and decodes what matters. It reads
// instructions, never logs.
func (c *Client) Transaction(ctx context.Context, signature string) (Landed, error) {
	_, out, err := c.transaction(ctx, signature)
	return out, err
}

// transaction is Transaction with all of it. The signatures are checked: an endpoint
// cannot make a transaction up.
func (c *Client) transaction(ctx context.Context, signature string) (*solana.Transaction, Landed, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	sig, err := solana.SignatureFromBase58(signature)
	if err != nil {
		return nil, Landed{}, fmt.Errorf("solana: signature %q: %w", signature, err)
	}
	version := uint64(0)
	res, err := c.rpc.GetTransaction(ctx, sig, &rpc.GetTransactionOpts{
		Encoding: solana.EncodingBase64, Commitment: rpc.CommitmentFinalized, MaxSupportedTransactionVersion: &version,
	})
	if err == rpc.ErrNotFound {
		return nil, Landed{}, fmt.Errorf("solana: transaction %s: %w", signature, settle.ErrNotFinal)
	}
	if err != nil {
		return nil, Landed{}, fmt.Errorf("solana: transaction %s: %w", signature, err)
	}
	if res == nil || res.Transaction == nil {
		return nil, Landed{}, fmt.Errorf("solana: transaction %s: empty answer", signature)
	}
	tx, err := res.Transaction.GetTransaction()
	if err != nil {
		return nil, Landed{}, fmt.Errorf("solana: transaction %s: %w", signature, err)
	}
	if len(tx.Signatures) == 0 || tx.Signatures[0] != sig {
		return nil, Landed{}, fmt.Errorf("solana: asked for transaction %s, got another one", signature)
	}
	if err := tx.VerifySignatures(); err != nil {
		return nil, Landed{}, fmt.Errorf("solana: transaction %s is not signed as it should be: %w", signature, err)
	}
	out := Landed{Slot: res.Slot}
	if res.Meta == nil || res.Meta.Err != nil {
		out.Failed = "no result is known"
		if res.Meta != nil {
			out.Failed = fmt.Sprint(res.Meta.Err)
		}
	}
	err = decode(&out, tx)
	return tx, out, err
}

func decode(out *Landed, tx *solana.Transaction) error {
	keys := tx.Message.AccountKeys
	if len(keys) == 0 {
		return fmt.Errorf("solana: transaction without accounts")
	}
	out.Payer = keys[0]
	for _, ix := range tx.Message.Instructions {
		if int(ix.ProgramIDIndex) >= len(keys) {
			return fmt.Errorf("solana: instruction of a program that is not in the transaction")
		}
		switch keys[ix.ProgramIDIndex] {
		case solana.MemoProgramID:
			out.Memos = append(out.Memos, string(ix.Data))
		case solana.TokenProgramID, solana.Token2022ProgramID:
			if t, ok := transferChecked(ix, keys); ok {
				out.Transfers = append(out.Transfers, t)
			}
		}
	}
	return nil
}

// transferChecked reads tag 12, amount u64 little-endian, decimals u8; accounts
// source, mint, destination, authority.
func transferChecked(ix solana.CompiledInstruction, keys []solana.PublicKey) (t Transfer, ok bool) {
	if len(ix.Data) != 10 || ix.Data[0] != 12 || len(ix.Accounts) < 4 {
		return t, false
	}
	at := func(i int) solana.PublicKey {
		if int(ix.Accounts[i]) >= len(keys) {
			return solana.PublicKey{}
		}
		return keys[ix.Accounts[i]]
	}
	t = Transfer{Source: at(0), Mint: at(1), Destination: at(2), Authority: at(3)}
	for i := 8; i >= 1; i-- {
		t.Amount = t.Amount<<8 | uint64(ix.Data[i])
	}
	return t, true
}
