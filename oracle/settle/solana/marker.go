package solana

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/gagliardetto/solana-go"
	"github.com/gagliardetto/solana-go/rpc"

	"heliograph/oracle/ledger"
	"heliograph/oracle/reward"
	"heliograph/oracle/settle"
)

// markerAddress is where a batch's marker lies.
func (c *Client) markerAddress(m settle.Marker) (addr solana.PublicKey, seed string, err error) {
	return MarkerAddress(c.hot, c.program, m)
}

// MarkerAddress derives a marker from the hot key and the mint's token program, so
// that an auditor can find the transaction of every batch.
func MarkerAddress(hot, program solana.PublicKey, m settle.Marker) (addr solana.PublicKey, seed string, err error) {
	seed = fmt.Sprintf("hs/%d/%d", m.Epoch, m.Batch)
	addr, err = solana.CreateWithSeed(hot, seed, program)
	return addr, seed, err
}

// accountsAtOnce is how many accounts getMultipleAccounts takes.
const accountsAtOnce = 100

// accounts reads accounts at the commitment, in groups.
func (c *Client) accounts(ctx context.Context, keys []solana.PublicKey, commitment rpc.CommitmentType) ([]*rpc.Account, error) {
	out := make([]*rpc.Account, 0, len(keys))
	for part := range slices.Chunk(keys, accountsAtOnce) {
		res, err := c.rpc.GetMultipleAccountsWithOpts(ctx, part, &rpc.GetMultipleAccountsOpts{Encoding: solana.EncodingBase64, Commitment: commitment, MinContextSlot: c.floor.least(commitment)})
		if err = c.floor.judge(err); err != nil {
			return nil, err
		}
		c.floor.see(commitment, res.Context.Slot)
		if len(res.Value) != len(part) {
			return nil, fmt.Errorf("solana: %d accounts for %d asked", len(res.Value), len(part))
		}
		out = append(out, res.Value...)
	}
	return out, nil
}

// Marks implements settle.Chain.
func (c *Client) Marks(ctx context.Context, ms []settle.Marker) ([]settle.Mark, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	keys := make([]solana.PublicKey, len(ms))
	for i, m := range ms {
		var err error
		if keys[i], _, err = c.markerAddress(m); err != nil {
			return nil, fmt.Errorf("solana: derive marker: %w", err)
		}
	}
	accounts, err := c.accounts(ctx, keys, rpc.CommitmentFinalized)
	if err != nil {
		return nil, err
	}
	out := make([]settle.Mark, len(ms))
	for i, acc := range accounts {
		if t, err := c.held(acc); err == nil && t.Owner == c.hot {
			out[i] = settle.Mark{Exists: true, Dust: min(ledger.Amount(t.Amount), ledger.MaxAmount)}
		}
	}
	return out, nil
}

const (
	historyPage  = 1000
	historyPages = 20
)

// History implements settle.Chain. It reads up to 20,000 transactions of a marker,
// newest first, until there are no more: a page may be short without being the last.
// When there are more, it is enough to have come to a slot before which nobody pays:
// strangers who touch the address beforehand, which anybody can derive, thus keep
// nobody from deciding. If not, those that were read come with an error.
func (c *Client) History(ctx context.Context, m settle.Marker, from uint64) (sigs []string, err error) {
	addr, _, err := c.markerAddress(m)
	if err != nil {
		return nil, fmt.Errorf("solana: derive marker: %w", err)
	}
	var before solana.Signature
	oldest := ^uint64(0)
	for range historyPages {
		page, err := c.historyPage(ctx, addr, before)
		if err != nil {
			return sigs, err
		}
		for _, t := range page {
			switch {
			case t == nil:
				return sigs, errors.New("solana: an empty entry in a history")
			case t.Err == nil:
				sigs = append(sigs, t.Signature.String())
			}
			before, oldest = t.Signature, t.Slot
		}
		if len(page) == 0 {
			return sigs, nil
		}
	}
	if oldest < from {
		return sigs, nil
	}
	return sigs, fmt.Errorf("solana: marker %s of batch %d/%d was touched by more than %d transactions, which are strangers' but for one: find the one that created it with a Solana explorer, and compare it with the list (oraclectl audit)",
		addr, m.Epoch, m.Batch, len(sigs))
}

func (c *Client) historyPage(ctx context.Context, addr solana.PublicKey, before solana.Signature) ([]*rpc.TransactionSignature, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return c.rpc.GetSignaturesForAddressWithOpts(ctx, addr, &rpc.GetSignaturesForAddressOpts{Commitment: rpc.CommitmentFinalized, Before: before})
}

// Marked looks for a marker and for the transactions that touched it.
func (c *Client) Marked(ctx context.Context, m settle.Marker) (bool, []string, error) {
	marks, err := c.Marks(ctx, []settle.Marker{m})
	if err != nil {
		return false, nil, err
	}
	sigs, err := c.History(ctx, m, 0)
	return marks[0].Exists, sigs, err
}

// Landed implements settle.Chain. The transaction must carry the hot key's valid
// signature: an endpoint can hide it, but not make it up. That it has landed and
// succeeded is the endpoint's word; [Pool] asks another one.
func (c *Client) Landed(ctx context.Context, signature string, m settle.Marker, list []reward.Payout) ([]int, error) {
	addr, seed, err := c.markerAddress(m)
	if err != nil {
		return nil, fmt.Errorf("solana: derive marker: %w", err)
	}
	tx, landed, err := c.transaction(ctx, signature)
	if err != nil {
		return nil, err
	}
	if landed.Failed != "" {
		return nil, fmt.Errorf("%w: %s failed: %s", settle.ErrNotFinal, signature, landed.Failed)
	}
	if !createsMarker(tx, c.hot, addr, seed) {
		return nil, fmt.Errorf("%w: %s", settle.ErrStranger, signature)
	}
	index := make(map[solana.PublicKey]int, len(list))
	for i, p := range list {
		ata, err := c.tokenAccount(p.Wallet)
		if err != nil {
			return nil, err
		}
		index[ata] = i
	}
	var paid []int
	for _, t := range landed.Transfers {
		i, ok := index[t.Destination]
		if !ok || t.Amount != uint64(list[i].Amount) || t.Source != c.cfg.Treasury || t.Mint != c.cfg.Mint {
			return nil, fmt.Errorf("%w: %s sent %d from %s to %s", settle.ErrForeign, signature, t.Amount, t.Source, t.Destination)
		}
		paid = append(paid, i)
	}
	slices.Sort(paid)
	if len(slices.Compact(slices.Clone(paid))) != len(paid) {
		return nil, fmt.Errorf("%w: %s pays a wallet twice", settle.ErrForeign, signature)
	}
	return paid, nil
}

// createsMarker looks for System.AllocateWithSeed (tag 9: base 32, seed length u64,
// seed, space u64, owner 32) of the marker by the hot key.
func createsMarker(tx *solana.Transaction, hot, marker solana.PublicKey, seed string) bool {
	keys := tx.Message.AccountKeys
	if len(tx.Signatures) != 1 || len(keys) == 0 || keys[0] != hot {
		return false
	}
	want := binary.LittleEndian.AppendUint32(nil, 9)
	want = append(want, hot[:]...)
	want = binary.LittleEndian.AppendUint64(want, uint64(len(seed)))
	want = append(want, seed...)
	for _, ix := range tx.Message.Instructions {
		if int(ix.ProgramIDIndex) >= len(keys) || keys[ix.ProgramIDIndex] != solana.SystemProgramID || len(ix.Accounts) == 0 || int(ix.Accounts[0]) >= len(keys) {
			continue
		}
		if keys[ix.Accounts[0]] == marker && len(ix.Data) > len(want) && slices.Equal([]byte(ix.Data[:len(want)]), want) {
			return true
		}
	}
	return false
}
