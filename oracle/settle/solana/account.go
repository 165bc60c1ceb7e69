package solana

import (
	"encoding/binary"
	"errors"
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

// Extensions of a Token-2022 account that payouts can be made into.
const (
	immutableOwner = 7  // an associated account has it: nobody can give it away
	requiredMemo   = 8  // one byte: whether a transfer must follow a memo
	cpiGuard       = 11 // limits what other programs may do for the owner
)

// TokenAccount is the part of a token account that payouts depend on.
type TokenAccount struct {
	Mint, Owner solana.PublicKey
	Amount      uint64
	Delegate    solana.PublicKey // zero when there is none
	Delegated   uint64
	Frozen      bool
	// Obstacle says why transfers may not reach the account though it is sound, and
	// what to do; "" when they do.
	Obstacle string
}

// ParseTokenAccount reads an initialized account of either token program: mint 32,
// owner 32, amount u64, delegate (u32 tag, 32), state u8, native (u32 tag, u64),
// delegated amount u64, close authority (u32 tag, 32); integers little-endian. One of
// Token-2022 may have extensions behind that.
func ParseTokenAccount(program solana.PublicKey, b []byte) (t TokenAccount, err error) {
	var all []extension
	switch program {
	case solana.TokenProgramID:
		if len(b) != tokenAccountSize {
			return t, fmt.Errorf("%d bytes are no token account", len(b))
		}
	case solana.Token2022ProgramID:
		if all, err = parseExtensions(b, tokenAccountSize, typeAccount); err != nil {
			return t, err
		}
	default:
		return t, fmt.Errorf("it is owned by %s, which is no token program", program)
	}
	copy(t.Mint[:], b)
	copy(t.Owner[:], b[32:])
	t.Amount = binary.LittleEndian.Uint64(b[64:])
	if binary.LittleEndian.Uint32(b[72:]) == 1 {
		copy(t.Delegate[:], b[76:])
		t.Delegated = binary.LittleEndian.Uint64(b[121:])
	}
	switch b[108] {
	case stateInitialized:
	case stateFrozen:
		t.Frozen = true
	default:
		return t, errors.New("it is not initialized")
	}
	t.Obstacle = obstacle(all)
	return t, nil
}

// obstacle looks for what may keep a transfer away from an account.
func obstacle(all []extension) string {
	for _, e := range all {
		switch e.kind {
		case immutableOwner, cpiGuard:
		case requiredMemo:
			if !allZero(e.value) {
				return "token account takes transfers only with a memo: its owner must run `spl-token disable-required-transfer-memos`"
			}
		default:
			return fmt.Sprintf("token account has the Token-2022 extension number %d, which payouts do not know: its owner must name another wallet", e.kind)
		}
	}
	return ""
}

// held reads an account of the client's token program.
func (c *Client) held(acc *rpc.Account) (t TokenAccount, err error) {
	if acc == nil || acc.Data == nil || acc.Owner != c.program {
		return t, errors.New("it is not an account of the mint's token program")
	}
	return ParseTokenAccount(acc.Owner, acc.Data.GetBinary())
}

// spendable is how much key may transfer: everything as the owner, the allowance
// as the delegate.
func (t TokenAccount) spendable(key solana.PublicKey) uint64 {
	switch {
	case t.Frozen:
		return 0
	case key == t.Owner:
		return t.Amount
	case key == t.Delegate:
		return min(t.Amount, t.Delegated)
	}
	return 0
}

// AssociatedAccount is where a wallet holds tokens of a mint that belongs to program.
func AssociatedAccount(w poc.Wallet, mint, program solana.PublicKey) (solana.PublicKey, error) {
	ata, _, err := solana.FindAssociatedTokenAddressWithProgram(solana.PublicKey(w), mint, program)
	if err != nil {
		return ata, fmt.Errorf("solana: derive token account: %w", err)
	}
	return ata, nil
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
	ata, err := AssociatedAccount(w, c.cfg.Mint, c.program)
	if err != nil {
		return ata, err
	}
	c.atas.mu.Lock()
	defer c.atas.mu.Unlock()
	if c.atas.memo == nil || len(c.atas.memo) >= maxATAs {
		c.atas.memo = map[poc.Wallet]solana.PublicKey{}
	}
	c.atas.memo[w] = ata
	return ata, nil
}
