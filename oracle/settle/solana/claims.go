package solana

import (
	"context"
	"errors"
	"fmt"

	"github.com/gagliardetto/solana-go"
	computebudget "github.com/gagliardetto/solana-go/programs/compute-budget"
	"github.com/gagliardetto/solana-go/programs/token"
	"github.com/gagliardetto/solana-go/rpc"

	"heliograph/oracle/ledger"
	"heliograph/oracle/settle"
	"heliograph/oracle/settle/solana/distributor"
	"heliograph/oracle/settle/solana/signer"
	"heliograph/poc"
)

// Compute of the transactions, measured: 84 k to make a distributor, besides its vault
// and the marker.
const (
	unitsDistribute = 250_000
	unitsTakeBack   = 100_000
)

// Program implements settle.ClaimSigner.
func (c *Client) Program() string {
	if c.cfg.Distributor == (distributor.Program{}) {
		return ""
	}
	return c.cfg.Distributor.ID().String()
}

func (c *Client) terms(d settle.Distribution) distributor.Terms {
	return distributor.Terms{Mint: c.cfg.Mint, Version: d.Version, Root: d.Root, Total: d.Total, Count: uint64(d.Count),
		Start: d.Start, End: d.End, Clawback: d.Clawback, Receiver: c.cfg.Treasury, Admin: c.hot}
}

// vault is the token account that a distributor pays from.
func (c *Client) vault(version uint64) (solana.PublicKey, error) {
	at, err := c.cfg.Distributor.Address(c.cfg.Mint, version)
	if err != nil {
		return at, fmt.Errorf("solana: derive the distributor: %w", err)
	}
	return distributor.Vault(at, c.cfg.Mint)
}

// Distribute implements settle.ClaimSigner: the instructions of a guarded batch, with
// the program's in front of one transfer to the vault.
func (c *Client) Distribute(ctx context.Context, m settle.Marker, d settle.Distribution, b settle.Blockhash, attempt int) (settle.Tx, error) {
	if c.program != solana.TokenProgramID {
		return settle.Tx{}, fmt.Errorf("solana: the mint belongs to %s, the distributor program knows the SPL Token program only: choose payout.mode = \"direct\"", c.program)
	}
	b.Units = unitsDistribute
	ixs, purpose, err := c.guarded(m, b, attempt)
	if err != nil {
		return settle.Tx{}, err
	}
	create, err := c.cfg.Distributor.New(c.terms(d))
	if err != nil {
		return settle.Tx{}, err
	}
	vault, err := c.vault(d.Version)
	if err != nil {
		return settle.Tx{}, err
	}
	purpose.Kind = signer.Distribute
	ixs = append(ixs, create, token.NewTransferCheckedInstruction(uint64(d.Total), c.decimals, c.cfg.Treasury, c.cfg.Mint, vault, c.hot, nil).Build())
	return c.sign(ctx, ixs, b, purpose)
}

// TakeBack implements settle.ClaimSigner.
func (c *Client) TakeBack(ctx context.Context, m settle.Marker, d settle.Distribution, b settle.Blockhash) (settle.Tx, error) {
	back, err := c.cfg.Distributor.Clawback(c.cfg.Mint, d.Version, c.cfg.Treasury, c.hot)
	if err != nil {
		return settle.Tx{}, err
	}
	return c.sign(ctx, []solana.Instruction{
		computebudget.NewSetComputeUnitLimitInstruction(unitsTakeBack).Build(),
		computebudget.NewSetComputeUnitPriceInstruction(c.unitPrice(b.UnitPrice, 0)).Build(),
		back,
	}, b, signer.Purpose{Kind: signer.TakeBack, Markers: []settle.Marker{m}})
}

// Now implements settle.ClaimChain: the time of the newest finalized block.
func (c *Client) Now(ctx context.Context) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	slot, err := c.rpc.GetSlot(ctx, rpc.CommitmentFinalized)
	if err != nil {
		return 0, err
	}
	t, err := c.rpc.GetBlockTime(ctx, slot)
	if err == nil && t == nil {
		err = fmt.Errorf("solana: the time of slot %d is not known", slot)
	}
	if err != nil {
		return 0, err
	}
	return int64(*t), nil
}

// Funded implements settle.ClaimChain. As with [Client.Landed], the transaction must
// carry the hot key's valid signature.
func (c *Client) Funded(ctx context.Context, signature string, m settle.Marker) (d settle.Distribution, err error) {
	addr, seed, err := c.markerAddress(m)
	if err != nil {
		return d, fmt.Errorf("solana: derive marker: %w", err)
	}
	tx, landed, err := c.transaction(ctx, signature)
	if err != nil {
		return d, err
	}
	if landed.Failed != "" {
		return d, fmt.Errorf("%w: %s failed: %s", settle.ErrNotFinal, signature, landed.Failed)
	}
	if !createsMarker(tx, c.hot, addr, seed) {
		return d, fmt.Errorf("%w: %s", settle.ErrStranger, signature)
	}
	t, ok := c.makes(tx)
	if !ok {
		return d, fmt.Errorf("%w: %s makes no distributor of this treasury", settle.ErrForeign, signature)
	}
	vault, err := c.vault(t.Version)
	if err != nil {
		return d, err
	}
	want := Transfer{Source: c.cfg.Treasury, Mint: c.cfg.Mint, Destination: vault, Authority: c.hot, Amount: uint64(t.Total)}
	if len(landed.Transfers) != 1 || landed.Transfers[0] != want {
		return d, fmt.Errorf("%w: %s does not give its distributor the total", settle.ErrForeign, signature)
	}
	return settle.Distribution{Version: t.Version, Root: t.Root, Total: t.Total, Count: int(t.Count), Start: t.Start, End: t.End, Clawback: t.Clawback}, nil
}

// makes looks for the one instruction that makes a distributor for this mint, which
// gives back to this treasury.
func (c *Client) makes(tx *solana.Transaction) (t distributor.Terms, ok bool) {
	keys := tx.Message.AccountKeys
	for _, ix := range tx.Message.Instructions {
		if int(ix.ProgramIDIndex) >= len(keys) || keys[ix.ProgramIDIndex] != c.cfg.Distributor.ID() {
			continue
		}
		accounts := make([]solana.PublicKey, 0, len(ix.Accounts))
		for _, i := range ix.Accounts {
			if int(i) < len(keys) {
				accounts = append(accounts, keys[i])
			}
		}
		next, err := c.cfg.Distributor.ParseNew(accounts, ix.Data)
		if err != nil || ok {
			return t, false
		}
		t, ok = next, true
	}
	return t, ok && t.Mint == c.cfg.Mint && t.Receiver == c.cfg.Treasury && t.Admin == c.hot
}

// Distributor implements settle.ClaimChain.
func (c *Client) Distributor(ctx context.Context, d settle.Distribution) (out settle.Distributed, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	at, err := c.cfg.Distributor.Address(c.cfg.Mint, d.Version)
	if err != nil {
		return out, fmt.Errorf("solana: derive the distributor: %w", err)
	}
	found, err := c.accounts(ctx, []solana.PublicKey{at}, rpc.CommitmentFinalized)
	if err != nil || found[0] == nil {
		return out, err
	}
	if found[0].Owner != c.cfg.Distributor.ID() {
		return out, fmt.Errorf("solana: %s belongs to %s, not to the distributor program", at, found[0].Owner)
	}
	st, err := distributor.ParseState(found[0].Data.GetBinary())
	if err != nil {
		return out, err
	}
	if st.Root != d.Root || st.Total != d.Total {
		return out, fmt.Errorf("solana: the distributor %s has the root %x, not %x", at, st.Root, d.Root)
	}
	return settle.Distributed{Exists: true, Claimed: st.Claimed, Back: st.Back}, nil
}

// Claims implements settle.ClaimChain.
func (c *Client) Claims(ctx context.Context, d settle.Distribution, wallets []poc.Wallet) ([]ledger.Amount, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	at, err := c.cfg.Distributor.Address(c.cfg.Mint, d.Version)
	if err != nil {
		return nil, fmt.Errorf("solana: derive the distributor: %w", err)
	}
	keys := make([]solana.PublicKey, len(wallets))
	for i, w := range wallets {
		if keys[i], err = c.cfg.Distributor.Status(solana.PublicKey(w), at); err != nil {
			return nil, fmt.Errorf("solana: derive the status of a claim: %w", err)
		}
	}
	found, err := c.accounts(ctx, keys, rpc.CommitmentFinalized)
	if err != nil {
		return nil, err
	}
	out := make([]ledger.Amount, len(wallets))
	for i, acc := range found {
		if acc == nil || acc.Owner != c.cfg.Distributor.ID() {
			continue // nothing, or lamports that somebody sent there
		}
		st, err := distributor.ParseStatus(acc.Data.GetBinary())
		if err != nil {
			return nil, err
		}
		if st.Wallet != wallets[i] {
			return nil, fmt.Errorf("solana: the claim %s is another wallet's", keys[i])
		}
		out[i] = st.Amount
	}
	return out, nil
}

// Now implements settle.ClaimChain: the lower median.
func (p *Pool) Now(ctx context.Context) (int64, error) {
	all, err := gather(ctx, p, func(ctx context.Context, e *endpoint) (int64, error) { return e.Client.Now(ctx) })
	if err != nil {
		return 0, err
	}
	return lowerMedian(all), nil
}

// Distributor implements settle.ClaimChain: what as many endpoints as make a quorum
// say alike, of the states that have come furthest.
func (p *Pool) Distributor(ctx context.Context, d settle.Distribution) (settle.Distributed, error) {
	all, err := gather(ctx, p, func(ctx context.Context, e *endpoint) (settle.Distributed, error) {
		return e.Client.Distributor(ctx, d)
	})
	if err != nil {
		return settle.Distributed{}, err
	}
	best, found := settle.Distributed{}, false
	for _, a := range all {
		votes := 0
		for _, o := range all {
			if a == o {
				votes++
			}
		}
		if votes >= p.quorum() && (!found || a.Back && !best.Back || a.Back == best.Back && a.Claimed > best.Claimed) {
			best, found = a, true
		}
	}
	if !found {
		return best, errors.New("solana: the endpoints tell different things about a distributor: it is asked for again")
	}
	return best, nil
}

// Claims implements settle.ClaimChain: a claim counts when a quorum of endpoints
// shows it.
func (p *Pool) Claims(ctx context.Context, d settle.Distribution, wallets []poc.Wallet) ([]ledger.Amount, error) {
	all, err := gather(ctx, p, func(ctx context.Context, e *endpoint) ([]ledger.Amount, error) {
		return e.Client.Claims(ctx, d, wallets)
	})
	if err != nil {
		return nil, err
	}
	out := make([]ledger.Amount, len(wallets))
	for i := range out {
		for _, a := range all {
			votes := 0
			for _, o := range all {
				if a[i] == o[i] {
					votes++
				}
			}
			if a[i] != 0 && votes >= p.quorum() {
				out[i] = a[i]
			}
		}
	}
	return out, nil
}
