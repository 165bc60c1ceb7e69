package approve

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/gagliardetto/solana-go"
	"github.com/gagliardetto/solana-go/rpc"
	"github.com/gagliardetto/solana-go/rpc/jsonrpc"

	hsolana "heliograph/oracle/settle/solana"
)

// callTimeout bounds one RPC call.
const callTimeout = 10 * time.Second

// dial makes an RPC client whose calls end.
func dial(endpoint string) *rpc.Client {
	return rpc.NewWithCustomRPCClient(jsonrpc.NewClientWithOpts(endpoint, &jsonrpc.RPCClientOpts{HTTPClient: &http.Client{Timeout: callTimeout}}))
}

// Treasury is the token account that payouts come from, as the chain shows it.
type Treasury struct {
	Account, Mint, Owner solana.PublicKey
	Program              solana.PublicKey // the token program of all three
	Decimals             uint8
	Balance              uint64
	Delegate             solana.PublicKey // zero: none
	Allowance            uint64           // what the delegate may still spend
	Multisig             *Multisig        // nil: the owner signs itself
}

// Multisig is a native SPL multisig account.
type Multisig struct {
	Required int
	Signers  []solana.PublicKey
}

// multisigSize is the length of a multisig of either token program: m u8, n u8,
// initialized u8 and eleven keys.
const multisigSize = 3 + 11*32

// ReadTreasury asks the chain about a treasury, its mint and its owner.
func ReadTreasury(ctx context.Context, endpoint string, account solana.PublicKey) (t Treasury, err error) {
	c := dial(endpoint)
	program, b, err := read(ctx, c, account, "the treasury")
	if err != nil {
		return t, err
	}
	held, err := hsolana.ParseTokenAccount(program, b)
	if err != nil {
		return t, fmt.Errorf("approve: the treasury %s is not a usable token account: %w", account, err)
	}
	if held.Frozen {
		return t, fmt.Errorf("approve: the treasury %s is frozen: the mint's freeze authority must thaw it", account)
	}
	t = Treasury{Account: account, Program: program, Mint: held.Mint, Owner: held.Owner, Balance: held.Amount, Delegate: held.Delegate, Allowance: held.Delegated}
	owner, b, err := read(ctx, c, t.Mint, "the mint")
	if err != nil {
		return t, err
	}
	m, err := hsolana.ParseMint(t.Mint, owner, b)
	if err != nil {
		return t, fmt.Errorf("approve: %w", err)
	}
	if owner != program {
		return t, fmt.Errorf("approve: the treasury %s belongs to the token program %s, its mint to %s", account, program, owner)
	}
	t.Decimals = m.Decimals
	t.Multisig, err = readMultisig(ctx, c, t.Owner, program)
	return t, err
}

// read asks for an account.
func read(ctx context.Context, c *rpc.Client, account solana.PublicKey, what string) (owner solana.PublicKey, data []byte, err error) {
	res, err := c.GetAccountInfoWithOpts(ctx, account, &rpc.GetAccountInfoOpts{Encoding: solana.EncodingBase64, Commitment: rpc.CommitmentFinalized})
	if errors.Is(err, rpc.ErrNotFound) {
		return owner, nil, fmt.Errorf("approve: %s %s does not exist on this cluster", what, account)
	}
	if err != nil {
		return owner, nil, fmt.Errorf("approve: read %s: %w", what, err)
	}
	if res == nil || res.Value == nil {
		return owner, nil, fmt.Errorf("approve: read %s: empty answer", what)
	}
	return res.Value.Owner, res.GetBinary(), nil
}

// readMultisig returns nil for an owner that is no account of the treasury's program.
func readMultisig(ctx context.Context, c *rpc.Client, owner, program solana.PublicKey) (*Multisig, error) {
	res, err := c.GetAccountInfoWithOpts(ctx, owner, &rpc.GetAccountInfoOpts{Encoding: solana.EncodingBase64, Commitment: rpc.CommitmentFinalized})
	if errors.Is(err, rpc.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("approve: read the treasury's owner: %w", err)
	}
	if res == nil || res.Value == nil || res.Value.Owner != program {
		return nil, nil
	}
	return parseMultisig(res.GetBinary())
}

func parseMultisig(b []byte) (*Multisig, error) {
	if len(b) != multisigSize || b[2] != 1 {
		return nil, fmt.Errorf("approve: the treasury's owner is an account of the token program with %d bytes, and no multisig", len(b))
	}
	m, n := int(b[0]), int(b[1])
	if m < 1 || m > n || n > 11 {
		return nil, fmt.Errorf("approve: a multisig of %d out of %d", m, n)
	}
	out := &Multisig{Required: m}
	for i := range n {
		out.Signers = append(out.Signers, solana.PublicKey(b[3+32*i:][:32]))
	}
	return out, nil
}

// choose checks who is to sign. Without a choice a multisig's first m do.
func (t Treasury) choose(signers []solana.PublicKey) ([]solana.PublicKey, error) {
	if t.Multisig == nil {
		if len(signers) > 0 && !slices.Equal(signers, []solana.PublicKey{t.Owner}) {
			return nil, fmt.Errorf("approve: the treasury's owner %s is no multisig: it signs alone", t.Owner)
		}
		return nil, nil
	}
	if len(signers) == 0 {
		return t.Multisig.Signers[:t.Multisig.Required], nil
	}
	if len(signers) != t.Multisig.Required {
		return nil, fmt.Errorf("approve: %d signers named, the multisig %s wants %d: name exactly those who will sign", len(signers), t.Owner, t.Multisig.Required)
	}
	for i, s := range signers {
		if !slices.Contains(t.Multisig.Signers, s) {
			return nil, fmt.Errorf("approve: %s is not one of the %d signers of the multisig %s", s, len(t.Multisig.Signers), t.Owner)
		}
		if slices.Contains(signers[:i], s) {
			return nil, fmt.Errorf("approve: signer %s is named twice", s)
		}
	}
	return signers, nil
}
