package approve

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/gagliardetto/solana-go"
	"github.com/gagliardetto/solana-go/rpc"
	"github.com/gagliardetto/solana-go/rpc/jsonrpc"
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

// Layouts of the SPL Token program. A multisig is m u8, n u8, initialized u8 and
// eleven keys.
const (
	tokenAccountSize = 165
	mintSize         = 82
	multisigSize     = 3 + 11*32
)

// ReadTreasury asks the chain about a treasury, its mint and its owner.
func ReadTreasury(ctx context.Context, endpoint string, account solana.PublicKey) (t Treasury, err error) {
	c := dial(endpoint)
	b, err := tokenData(ctx, c, account, "the treasury")
	if err != nil {
		return t, err
	}
	if len(b) != tokenAccountSize || b[108] != 1 {
		return t, fmt.Errorf("approve: the treasury %s is not a usable token account: it has %d bytes, or is frozen", account, len(b))
	}
	t = Treasury{Account: account, Mint: solana.PublicKey(b[:32]), Owner: solana.PublicKey(b[32:64]), Balance: binary.LittleEndian.Uint64(b[64:])}
	if binary.LittleEndian.Uint32(b[72:]) == 1 {
		t.Delegate, t.Allowance = solana.PublicKey(b[76:108]), binary.LittleEndian.Uint64(b[121:])
	}
	m, err := tokenData(ctx, c, t.Mint, "the mint")
	if err != nil {
		return t, err
	}
	if len(m) != mintSize {
		return t, fmt.Errorf("approve: %s is not a plain SPL Token mint", t.Mint)
	}
	t.Decimals = m[44]
	t.Multisig, err = readMultisig(ctx, c, t.Owner)
	return t, err
}

// tokenData reads an account of the SPL Token program.
func tokenData(ctx context.Context, c *rpc.Client, account solana.PublicKey, what string) ([]byte, error) {
	res, err := c.GetAccountInfoWithOpts(ctx, account, &rpc.GetAccountInfoOpts{Encoding: solana.EncodingBase64, Commitment: rpc.CommitmentFinalized})
	if errors.Is(err, rpc.ErrNotFound) {
		return nil, fmt.Errorf("approve: %s %s does not exist on this cluster", what, account)
	}
	if err != nil {
		return nil, fmt.Errorf("approve: read %s: %w", what, err)
	}
	if res == nil || res.Value == nil || res.Value.Owner != solana.TokenProgramID {
		return nil, fmt.Errorf("approve: %s %s is not an account of the SPL Token program", what, account)
	}
	return res.GetBinary(), nil
}

// readMultisig returns nil for an owner that is not a multisig.
func readMultisig(ctx context.Context, c *rpc.Client, owner solana.PublicKey) (*Multisig, error) {
	res, err := c.GetAccountInfoWithOpts(ctx, owner, &rpc.GetAccountInfoOpts{Encoding: solana.EncodingBase64, Commitment: rpc.CommitmentFinalized})
	if errors.Is(err, rpc.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("approve: read the treasury's owner: %w", err)
	}
	if res.Value == nil || res.Value.Owner != solana.TokenProgramID {
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
