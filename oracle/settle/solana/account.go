package solana

import (
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/gagliardetto/solana-go"
	"github.com/gagliardetto/solana-go/rpc"

	"heliograph/poc"
)

// States of a token account.
const (
	stateInitialized = 1
	stateFrozen      = 2
)

// tokenAccount is the part of an SPL token account that payouts depend on.
type tokenAccount struct {
	mint, owner solana.PublicKey
	amount      uint64
	delegate    solana.PublicKey // zero when there is none
	delegated   uint64
	state       byte
}

// parseTokenAccount reads the SPL Token program's layout: mint 32, owner 32,
// amount u64, delegate (u32 tag, 32), state u8, native (u32 tag, u64),
// delegated amount u64, close authority (u32 tag, 32); integers little-endian.
func parseTokenAccount(acc *rpc.Account) (t tokenAccount, ok bool) {
	if acc == nil || acc.Owner != solana.TokenProgramID || acc.Data == nil {
		return t, false
	}
	b := acc.Data.GetBinary()
	if len(b) != tokenAccountSize {
		return t, false
	}
	copy(t.mint[:], b)
	copy(t.owner[:], b[32:])
	t.amount = binary.LittleEndian.Uint64(b[64:])
	if binary.LittleEndian.Uint32(b[72:]) == 1 {
		copy(t.delegate[:], b[76:])
		t.delegated = binary.LittleEndian.Uint64(b[121:])
	}
	t.state = b[108]
	return t, true
}

// spendable is how much key may transfer: everything as the owner, the allowance
// as the delegate.
func (t tokenAccount) spendable(key solana.PublicKey) uint64 {
	switch key {
	case t.owner:
		return t.amount
	case t.delegate:
		return min(t.amount, t.delegated)
	}
	return 0
}

// atas remembers derived token accounts: a derivation costs tens of microseconds,
// and a payout needs each several times.
type atas struct {
	mu   sync.Mutex
	memo map[poc.Wallet]solana.PublicKey
}

// maxATAs bounds the memory of derived accounts.
const maxATAs = 1 << 17

// tokenAccount is a wallet's associated token account.
func (c *Client) tokenAccount(w poc.Wallet) (solana.PublicKey, error) {
	c.atas.mu.Lock()
	ata, ok := c.atas.memo[w]
	c.atas.mu.Unlock()
	if ok {
		return ata, nil
	}
	ata, _, err := solana.FindAssociatedTokenAddress(solana.PublicKey(w), c.cfg.Mint)
	if err != nil {
		return ata, fmt.Errorf("solana: derive token account: %w", err)
	}
	c.atas.mu.Lock()
	defer c.atas.mu.Unlock()
	if c.atas.memo == nil || len(c.atas.memo) >= maxATAs {
		c.atas.memo = map[poc.Wallet]solana.PublicKey{}
	}
	c.atas.memo[w] = ata
	return ata, nil
}
