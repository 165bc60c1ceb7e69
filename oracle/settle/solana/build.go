package solana

import (
	"context"
	"fmt"

	"github.com/gagliardetto/solana-go"
	computebudget "github.com/gagliardetto/solana-go/programs/compute-budget"
	"github.com/gagliardetto/solana-go/programs/system"
	"github.com/gagliardetto/solana-go/programs/token"

	"heliograph/oracle/reward"
	"heliograph/oracle/settle"
	"heliograph/oracle/settle/solana/signer"
)

const (
	// maxTransaction is the size of a packet that a validator accepts.
	maxTransaction = 1232
	// maxRecipients of a guarded legacy transaction, measured.
	maxRecipients = 14
	// firstTransfer is the index of the first TransferChecked.
	firstTransfer = 5
	markerIx      = 1

	unitsBase        = 30_000
	unitsPerTransfer = 7_000
)

// MaxRecipients is how many recipients fit one transaction.
func (c *Client) MaxRecipients() int {
	if c.cfg.BatchSize > 0 {
		return c.cfg.BatchSize
	}
	return maxRecipients
}

// Memo signs a transaction that only holds a text.
func (c *Client) Memo(ctx context.Context, text string, b settle.Blockhash) (settle.Tx, error) {
	// The memo program logs any bytes; without accounts it checks no signer, and
	// the fee payer's signature says who wrote it.
	memo := solana.NewInstruction(solana.MemoProgramID, solana.AccountMetaSlice{}, []byte(text))
	return c.sign(ctx, []solana.Instruction{memo}, b, signer.Purpose{Kind: signer.Memo})
}

// Payout signs a guarded batch.
func (c *Client) Payout(ctx context.Context, m settle.Marker, to []reward.Payout, b settle.Blockhash, attempt int) (settle.Tx, error) {
	ixs, purpose, err := c.payout(m, to, b, attempt)
	if err != nil {
		return settle.Tx{}, err
	}
	return c.sign(ctx, ixs, b, purpose)
}

// payout builds the instructions of a guarded batch.
func (c *Client) payout(m settle.Marker, to []reward.Payout, b settle.Blockhash, attempt int) ([]solana.Instruction, signer.Purpose, error) {
	if len(to) == 0 || len(to) > maxRecipients {
		return nil, signer.Purpose{}, fmt.Errorf("solana: %d recipients, want 1..%d", len(to), maxRecipients)
	}
	if b.Units == 0 {
		b.Units = uint32(unitsBase + unitsPerTransfer*len(to))
	}
	ixs, purpose, err := c.guarded(m, b, attempt)
	if err != nil {
		return nil, purpose, err
	}
	for _, p := range to {
		purpose.Wallets = append(purpose.Wallets, p.Wallet)
		ata, err := c.tokenAccount(p.Wallet)
		if err != nil {
			return nil, purpose, err
		}
		ixs = append(ixs, Under(c.program, token.NewTransferCheckedInstruction(
			uint64(p.Amount), c.decimals, c.cfg.Treasury, c.cfg.Mint, ata, c.hot, nil).Build()))
	}
	return ixs, purpose, nil
}

// guarded begins a transaction of which at most one lands for a marker, with the
// compute that b names.
func (c *Client) guarded(m settle.Marker, b settle.Blockhash, attempt int) ([]solana.Instruction, signer.Purpose, error) {
	purpose := signer.Purpose{Kind: signer.Payout, Markers: []settle.Marker{m}}
	marker, seed, err := c.markerAddress(m)
	if err != nil {
		return nil, purpose, fmt.Errorf("solana: derive marker: %w", err)
	}
	return []solana.Instruction{
		system.NewTransferInstruction(c.rent, c.hot, marker).Build(),
		system.NewAllocateWithSeedInstruction(c.hot, seed, tokenAccountSize, c.program, marker, c.hot).Build(),
		Under(c.program, token.NewInitializeAccount3Instruction(c.hot, marker, c.cfg.Mint).Build()),
		computebudget.NewSetComputeUnitLimitInstruction(b.Units).Build(),
		computebudget.NewSetComputeUnitPriceInstruction(c.unitPrice(b.UnitPrice, attempt)).Build(),
	}, purpose, nil
}

// maxReclaim markers without dust are closed in one transaction, measured.
const maxReclaim = 27

// MaxReclaim implements settle.Reclaimer.
func (c *Client) MaxReclaim() int { return maxReclaim }

// Reclaim implements settle.Reclaimer: the rent goes back to the hot key.
func (c *Client) Reclaim(ctx context.Context, ms []settle.Marker, marks []settle.Mark, b settle.Blockhash) (settle.Tx, error) {
	if len(ms) == 0 || len(ms) > maxReclaim || len(ms) != len(marks) {
		return settle.Tx{}, fmt.Errorf("solana: %d markers with %d states, want 1..%d", len(ms), len(marks), maxReclaim)
	}
	var ixs []solana.Instruction
	for i, m := range ms {
		marker, _, err := c.markerAddress(m)
		if err != nil {
			return settle.Tx{}, fmt.Errorf("solana: derive marker: %w", err)
		}
		if marks[i].Dust > 0 {
			ixs = append(ixs, Under(c.program, token.NewTransferCheckedInstruction(uint64(marks[i].Dust), c.decimals, marker, c.cfg.Mint, c.cfg.Treasury, c.hot, nil).Build()))
		}
		ixs = append(ixs, Under(c.program, token.NewCloseAccountInstruction(marker, c.hot, c.hot, nil).Build()))
	}
	return c.sign(ctx, ixs, b, signer.Purpose{Kind: signer.Reclaim, Markers: ms})
}

// Under is an instruction of the SPL Token program as one of another token program.
// Token-2022 kept number and layout of those that payouts are made of.
func Under(program solana.PublicKey, ix *token.Instruction) solana.Instruction {
	if program == solana.TokenProgramID {
		return ix
	}
	return under{ix, program}
}

type under struct {
	*token.Instruction
	program solana.PublicKey
}

// ProgramID implements [solana.Instruction].
func (u under) ProgramID() solana.PublicKey { return u.program }

func (c *Client) sign(ctx context.Context, ixs []solana.Instruction, b settle.Blockhash, p signer.Purpose) (settle.Tx, error) {
	tx, err := solana.NewTransaction(ixs, solana.Hash(b.Hash), solana.TransactionPayer(c.hot))
	if err != nil {
		return settle.Tx{}, fmt.Errorf("solana: build transaction: %w", err)
	}
	message, err := tx.Message.MarshalBinary()
	if err != nil {
		return settle.Tx{}, fmt.Errorf("solana: encode message: %w", err)
	}
	sig, err := c.cfg.Hot.Sign(ctx, message, p)
	if err != nil {
		return settle.Tx{}, fmt.Errorf("solana: sign: %w", err)
	}
	tx.Signatures = []solana.Signature{sig}
	if err := tx.VerifySignatures(); err != nil {
		return settle.Tx{}, fmt.Errorf("solana: the signer's signature is not one of %s: %w", c.hot, err)
	}
	raw, err := tx.MarshalBinary()
	if err != nil {
		return settle.Tx{}, fmt.Errorf("solana: encode: %w", err)
	}
	if len(raw) > maxTransaction {
		return settle.Tx{}, fmt.Errorf("solana: transaction of %d bytes, at most %d", len(raw), maxTransaction)
	}
	return settle.Tx{Signature: tx.Signatures[0].String(), Raw: raw, LastValid: b.LastValid}, nil
}
