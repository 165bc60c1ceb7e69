package trail

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/gagliardetto/solana-go"
	"github.com/gagliardetto/solana-go/rpc"

	"heliograph/oracle/ledger"
	"heliograph/oracle/settle/payment"
	"heliograph/oracle/settle/solana/distributor"
	"heliograph/poc"
)

// made reads an instruction that makes a distributor. Which program may do so is for
// the reader's caller to judge.
func made(ix solana.CompiledInstruction, keys []solana.PublicKey) (d payment.Distributor, ok bool) {
	p, err := distributor.ParseProgram(keys[ix.ProgramIDIndex].String())
	if err != nil {
		return d, false
	}
	accounts := make([]solana.PublicKey, 0, len(ix.Accounts))
	for _, i := range ix.Accounts {
		if int(i) >= len(keys) {
			return d, false
		}
		accounts = append(accounts, keys[i])
	}
	t, err := p.ParseNew(accounts, ix.Data)
	if err != nil {
		return d, false
	}
	d, err = described(p, t)
	return d, err == nil
}

// described says in words of an audit what a distributor's terms are.
func described(p distributor.Program, t distributor.Terms) (d payment.Distributor, err error) {
	at, err := p.Address(t.Mint, t.Version)
	if err != nil {
		return d, fmt.Errorf("trail: derive a distributor: %w", err)
	}
	vault, err := distributor.Vault(at, t.Mint)
	if err != nil {
		return d, fmt.Errorf("trail: derive a vault: %w", err)
	}
	return payment.Distributor{Program: p.ID().String(), Mint: t.Mint.String(), Vault: vault.String(), Receiver: t.Receiver.String(), Admin: t.Admin.String(),
		Version: t.Version, Root: t.Root, Total: t.Total, Count: t.Count, Start: t.Start, End: t.End, Clawback: t.Clawback}, nil
}

// looks is how often claims are read again when wallets claim meanwhile.
const looks = 5

// Claims reads what wallets have claimed from a distributor, and what it holds.
func (r *Reader) Claims(ctx context.Context, d payment.Distributor, wallets []poc.Wallet) (c payment.Claims, err error) {
	p, err := distributor.ParseProgram(d.Program)
	if err != nil {
		return c, err
	}
	mint, err := solana.PublicKeyFromBase58(d.Mint)
	if err != nil {
		return c, fmt.Errorf("trail: mint %.64q: %w", d.Mint, err)
	}
	at, err := p.Address(mint, d.Version)
	if err != nil {
		return c, fmt.Errorf("trail: derive a distributor: %w", err)
	}
	for range looks {
		if c, err = r.distributed(ctx, p, at, mint); err != nil || c.Terms == (payment.Distributor{}) {
			return c, err
		}
		if c.Amounts, err = r.statuses(ctx, p, at, wallets); err != nil {
			return c, err
		}
		again, err := r.distributed(ctx, p, at, mint)
		if err != nil {
			return c, err
		}
		if again.Claimed == c.Claimed && again.Back == c.Back {
			return c, nil
		}
	}
	return c, errors.New("trail: wallets claim faster than their claims can be read: try again later")
}

// distributed reads a distributor's account and its vault.
func (r *Reader) distributed(ctx context.Context, p distributor.Program, at, mint solana.PublicKey) (c payment.Claims, err error) {
	vault, err := distributor.Vault(at, mint)
	if err != nil {
		return c, fmt.Errorf("trail: derive a vault: %w", err)
	}
	found, err := r.accounts(ctx, []solana.PublicKey{at, vault})
	if err != nil {
		return c, err
	}
	if found[0] == nil || found[0].Owner != p.ID() {
		return c, nil
	}
	st, err := distributor.ParseState(found[0].Data.GetBinary())
	if err != nil {
		return c, fmt.Errorf("trail: %s: %w", at, err)
	}
	c = payment.Claims{Claimed: st.Claimed, Back: st.Back}
	if c.Terms, err = described(p, st.Terms); err != nil || found[1] == nil {
		return c, err
	}
	// An account of tokens: mint 32, owner 32, amount u64.
	if data := found[1].Data.GetBinary(); found[1].Owner == solana.TokenProgramID && len(data) >= 72 {
		c.Vault = ledger.Amount(binary.LittleEndian.Uint64(data[64:]))
	}
	return c, nil
}

// statuses reads the claims of wallets.
func (r *Reader) statuses(ctx context.Context, p distributor.Program, at solana.PublicKey, wallets []poc.Wallet) (out []ledger.Amount, err error) {
	const atOnce = 100
	for group := range slices.Chunk(wallets, atOnce) {
		keys := make([]solana.PublicKey, len(group))
		for i, w := range group {
			if keys[i], err = p.Status(solana.PublicKey(w), at); err != nil {
				return nil, fmt.Errorf("trail: derive the status of a claim: %w", err)
			}
		}
		found, err := r.accounts(ctx, keys)
		if err != nil {
			return nil, err
		}
		for i, a := range found {
			if a == nil || a.Owner != p.ID() {
				out = append(out, 0)
				continue
			}
			st, err := distributor.ParseStatus(a.Data.GetBinary())
			if err != nil || st.Wallet != group[i] {
				return nil, fmt.Errorf("trail: %s is not the claim of %s (%v)", keys[i], solana.PublicKey(group[i]), err)
			}
			out = append(out, st.Amount)
		}
	}
	return out, nil
}

func (r *Reader) accounts(ctx context.Context, keys []solana.PublicKey) ([]*rpc.Account, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	res, err := r.rpc.GetMultipleAccountsWithOpts(ctx, keys, &rpc.GetMultipleAccountsOpts{Encoding: solana.EncodingBase64, Commitment: rpc.CommitmentFinalized})
	if err != nil {
		return nil, fmt.Errorf("trail: read accounts: %w", err)
	}
	if res == nil || len(res.Value) != len(keys) {
		return nil, errors.New("trail: the endpoint answers for other accounts than were asked for")
	}
	return res.Value, nil
}
