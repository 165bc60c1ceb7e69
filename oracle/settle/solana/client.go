package solana

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gagliardetto/solana-go"
	"github.com/gagliardetto/solana-go/rpc"
	"github.com/gagliardetto/solana-go/rpc/jsonrpc"

	"heliograph/oracle/ledger"
	"heliograph/oracle/settle"
	"heliograph/oracle/settle/solana/distributor"
	"heliograph/poc"
)

// callTimeout bounds one RPC call; the library's own default is five minutes.
const callTimeout = 10 * time.Second

// Config is what a [Client] pays from and with.
type Config struct {
	Endpoint string // URL of a JSON-RPC endpoint
	Hot      Key
	Mint     solana.PublicKey
	Treasury solana.PublicKey // token account that payouts come from; zero = the hot key's associated account
	// UnitPrice is the priority fee of a first attempt in micro-lamports a compute
	// unit; each further attempt bids half as much again, up to MaxUnitPrice.
	UnitPrice, MaxUnitPrice uint64
	// BatchSize is how many recipients share a transaction; 0 = as many as fit. It
	// must stay the same while an epoch is open.
	BatchSize int
	// OffCurve pays wallets whose address no key can sign for, such as the vaults of
	// programs. Otherwise they are held.
	OffCurve bool
	// Distributor is the program that wallets claim from; zero: none.
	Distributor distributor.Program
	Limits      Limits // of the endpoint
}

// Client is a cluster and a hot key. It implements settle.Chain and settle.Signer
// and is safe for concurrent use.
type Client struct {
	cfg      Config
	rpc      *rpc.Client
	hot      solana.PublicKey
	program  solana.PublicKey // that the mint belongs to
	decimals uint8
	rent     uint64 // of a marker
	prices   prices
	atas     atas
	floor    floor
}

// tokenAccountSize is the length of an SPL token account.
const tokenAccountSize = 165

// Dial makes a client and asks the cluster about the mint and the rent, until it
// answers or ctx ends. A mint that does not fit is an error at once.
func Dial(ctx context.Context, cfg Config) (*Client, error) {
	for wait := newPause(); ; {
		c, fatal, err := dialOnce(ctx, cfg)
		if err == nil {
			return c, nil
		}
		if fatal {
			return nil, err
		}
		if werr := wait.next(ctx); werr != nil {
			return nil, fmt.Errorf("%w (last error: %v)", werr, err)
		}
	}
}

func dialOnce(ctx context.Context, cfg Config) (c *Client, fatal bool, err error) {
	if cfg.BatchSize < 0 || cfg.BatchSize > maxRecipients {
		return nil, true, fmt.Errorf("solana: batch size %d, want 1 to %d", cfg.BatchSize, maxRecipients)
	}
	c = newReader(cfg.Endpoint, cfg.Limits)
	c.cfg, c.hot = cfg, cfg.Hot.PublicKey()
	if fatal, err = c.learn(ctx); err != nil {
		return nil, fatal, err
	}
	if k, ok := cfg.Hot.(boundKey); ok && k.TokenProgram() != c.program {
		return nil, true, fmt.Errorf("solana: the signer is bound to the token program %s, the mint %s belongs to %s: correct token_program in oraclesigner's configuration",
			solana.PublicKey(k.TokenProgram()), cfg.Mint, c.program)
	}
	if c.cfg.Treasury.IsZero() {
		if c.cfg.Treasury, err = AssociatedAccount(poc.Wallet(c.hot), cfg.Mint, c.program); err != nil {
			return nil, true, fmt.Errorf("solana: the treasury: %w", err)
		}
	}
	return c, false, nil
}

// pause grows from try to try.
type pause struct{ d time.Duration }

func newPause() *pause { return &pause{200 * time.Millisecond} }

// next waits; it returns the context's error when that ends.
func (p *pause) next(ctx context.Context) error {
	t := time.NewTimer(p.d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
	}
	p.d = min(2*p.d, 10*time.Second)
	return nil
}

// NewReader makes a client without keys, for auditors. Only the methods that
// read may be used.
func NewReader(endpoint string) *Client { return newReader(endpoint, Limits{}) }

func newReader(endpoint string, l Limits) *Client {
	transport := jsonrpc.NewClientWithOpts(endpoint, &jsonrpc.RPCClientOpts{
		HTTPClient: &http.Client{Timeout: callTimeout, Transport: newGate(endpoint, l)},
	})
	return &Client{cfg: Config{Endpoint: endpoint}, rpc: rpc.NewWithCustomRPCClient(transport), program: solana.TokenProgramID}
}

// boundKey is a key that signs for mints of one token program only.
type boundKey interface{ TokenProgram() [32]byte }

// learn reads the mint and the rent of a marker.
func (c *Client) learn(ctx context.Context) (fatal bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	acc, err := c.rpc.GetAccountInfo(ctx, c.cfg.Mint)
	if err == rpc.ErrNotFound {
		return true, fmt.Errorf("solana: mint %s does not exist on this cluster: check solana.mint and solana.rpc", c.cfg.Mint)
	}
	if err != nil {
		return false, fmt.Errorf("solana: read mint: %w", err)
	}
	if acc == nil || acc.Value == nil {
		return false, errors.New("solana: empty answer for the mint")
	}
	var data []byte
	if acc.Value.Data != nil {
		data = acc.Value.Data.GetBinary()
	}
	mint, err := ParseMint(c.cfg.Mint, acc.Value.Owner, data)
	if err != nil {
		return true, err
	}
	c.program, c.decimals = mint.Program, mint.Decimals
	c.rent, err = c.rpc.GetMinimumBalanceForRentExemption(ctx, tokenAccountSize, rpc.CommitmentFinalized)
	if err != nil {
		return false, fmt.Errorf("solana: ask for the rent: %w", err)
	}
	return false, nil
}

// Decimals of the mint, for showing amounts.
func (c *Client) Decimals() uint8 { return c.decimals }

// Identity names hot key, mint and treasury.
func (c *Client) Identity() string {
	return fmt.Sprintf("hot=%s mint=%s treasury=%s", c.hot, c.cfg.Mint, c.cfg.Treasury)
}

// Genesis is the cluster's genesis hash.
func (c *Client) Genesis(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	h, err := c.rpc.GetGenesisHash(ctx)
	return h.String(), err
}

// Blockhash is a finalized one: a fork cannot take it away.
func (c *Client) Blockhash(ctx context.Context) (settle.Blockhash, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	b, err := c.rpc.GetLatestBlockhash(ctx, rpc.CommitmentFinalized)
	if err != nil {
		return settle.Blockhash{}, err
	}
	if b == nil || b.Value == nil {
		return settle.Blockhash{}, fmt.Errorf("solana: empty answer to getLatestBlockhash")
	}
	c.floor.see(rpc.CommitmentFinalized, b.Context.Slot)
	return settle.Blockhash{Hash: b.Value.Blockhash, Slot: b.Context.Slot, LastValid: b.Value.LastValidBlockHeight,
		UnitPrice: c.recentPrice(ctx, b.Context.Slot)}, nil
}

// BlockFrom asks for the first finalized block at or after a slot.
func (c *Client) BlockFrom(ctx context.Context, slot uint64) (settle.Block, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	top, err := c.rpc.GetSlot(ctx, rpc.CommitmentFinalized)
	if err != nil || top < slot {
		return settle.Block{}, false, err
	}
	slots, err := c.rpc.GetBlocksWithLimit(ctx, slot, 1, rpc.CommitmentFinalized)
	if err != nil || slots == nil || len(*slots) == 0 {
		return settle.Block{}, false, err
	}
	first := (*slots)[0]
	if first < slot {
		return settle.Block{}, false, fmt.Errorf("solana: asked for blocks from slot %d, got slot %d", slot, first)
	}
	noRewards, version := false, uint64(0)
	b, err := c.rpc.GetBlockWithOpts(ctx, first, &rpc.GetBlockOpts{
		TransactionDetails: rpc.TransactionDetailsNone, Rewards: &noRewards,
		Commitment: rpc.CommitmentFinalized, MaxSupportedTransactionVersion: &version,
	})
	if err != nil {
		return settle.Block{}, false, err
	}
	if b == nil {
		return settle.Block{}, false, fmt.Errorf("solana: empty answer for block %d", first)
	}
	return settle.Block{Slot: first, Hash: b.Blockhash}, true, nil
}

// Height is the finalized block height.
func (c *Client) Height(ctx context.Context) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return c.rpc.GetBlockHeight(ctx, rpc.CommitmentFinalized)
}

// Statuses looks the signatures up, in the history too.
func (c *Client) Statuses(ctx context.Context, signatures []string) ([]settle.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	sigs := make([]solana.Signature, len(signatures))
	for i, s := range signatures {
		var err error
		if sigs[i], err = solana.SignatureFromBase58(s); err != nil {
			return nil, fmt.Errorf("solana: signature %q: %w", s, err)
		}
	}
	res, err := c.rpc.GetSignatureStatuses(ctx, true, sigs...)
	if err == rpc.ErrNotFound { // the library's word for "none of them is known"
		return make([]settle.Status, len(sigs)), nil
	}
	if err != nil {
		return nil, err
	}
	if len(res.Value) != len(sigs) {
		return nil, fmt.Errorf("solana: %d statuses for %d signatures", len(res.Value), len(sigs))
	}
	out := make([]settle.Status, len(sigs))
	for i, v := range res.Value {
		if v == nil {
			continue
		}
		out[i] = settle.Status{Known: true, Final: v.ConfirmationStatus == rpc.ConfirmationStatusFinalized, Slot: v.Slot}
		if v.Err != nil {
			out[i].Err, out[i].Blames = failure(v.Err)
		}
		switch v.ConfirmationStatus { // what has landed there is in what is read next
		case rpc.ConfirmationStatusFinalized:
			c.floor.see(rpc.CommitmentFinalized, v.Slot)
		case rpc.ConfirmationStatusConfirmed:
			c.floor.see(rpc.CommitmentConfirmed, v.Slot)
		}
	}
	return out, nil
}

// Payable checks the recipients' associated token accounts.
func (c *Client) Payable(ctx context.Context, wallets []poc.Wallet) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	keys := make([]solana.PublicKey, len(wallets))
	for i, w := range wallets {
		var err error
		if keys[i], err = c.tokenAccount(w); err != nil {
			return nil, err
		}
	}
	accounts, err := c.accounts(ctx, keys, rpc.CommitmentConfirmed)
	if err != nil {
		return nil, err
	}
	out := make([]string, len(wallets))
	for i, acc := range accounts {
		out[i] = c.problem(acc, wallets[i])
	}
	return out, nil
}

// problem says why a recipient's token account cannot be paid into, "" if it can.
func (c *Client) problem(acc *rpc.Account, w poc.Wallet) string {
	if !c.cfg.OffCurve && !solana.PublicKey(w).IsOnCurve() {
		return "the wallet's address is off the curve, no key can sign for it: its owner must name another wallet, or the operator allows such with solana.off_curve"
	}
	if acc == nil {
		return "no token account: the owner must create one for the mint"
	}
	t, err := c.held(acc)
	switch {
	case err != nil:
		return fmt.Sprintf("token account cannot be used (%v): its owner must name another wallet", err)
	case t.Mint != c.cfg.Mint:
		return "token account is for another mint: its owner must name another wallet"
	case t.Owner != solana.PublicKey(w):
		return "token account belongs to somebody else: the wallet must get it back, or its owner names another wallet"
	case t.Frozen:
		return "token account is frozen: the mint's freeze authority must thaw it"
	}
	return t.Obstacle
}

// Funds reads the treasury and the fee payer.
func (c *Client) Funds(ctx context.Context) (ledger.Amount, uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	accounts, err := c.accounts(ctx, []solana.PublicKey{c.cfg.Treasury, c.hot}, rpc.CommitmentConfirmed)
	if err != nil {
		return 0, 0, err
	}
	var tokens, lamports uint64
	if accounts[1] != nil {
		lamports = accounts[1].Lamports
	}
	t, err := c.held(accounts[0])
	if why := c.treasuryTrouble(accounts[0], t, err); why != "" {
		return 0, lamports, &settle.TreasuryTrouble{Why: why}
	}
	tokens = t.spendable(c.hot)
	return min(ledger.Amount(tokens), ledger.MaxAmount), lamports, nil
}

// treasuryTrouble says why nothing can be paid from the treasury that was read as t,
// with err; "" when it depends on balance and allowance alone.
func (c *Client) treasuryTrouble(acc *rpc.Account, t TokenAccount, err error) string {
	switch {
	case acc == nil:
		return fmt.Sprintf("the treasury %s does not exist: create the token account and fund it, or correct solana.treasury", c.cfg.Treasury)
	case err != nil:
		return fmt.Sprintf("the treasury %s cannot be used (%v): correct solana.treasury", c.cfg.Treasury, err)
	case t.Mint != c.cfg.Mint:
		return fmt.Sprintf("the treasury %s holds the mint %s, solana.mint is %s: make both alike", c.cfg.Treasury, t.Mint, c.cfg.Mint)
	case t.Frozen:
		return fmt.Sprintf("the treasury %s is frozen: the mint's freeze authority must thaw it", c.cfg.Treasury)
	}
	return ""
}

// TokenBalance is what a wallet's associated account holds, 0 if there is none.
func (c *Client) TokenBalance(ctx context.Context, w poc.Wallet) (ledger.Amount, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	ata, err := AssociatedAccount(w, c.cfg.Mint, c.program)
	if err != nil {
		return 0, err
	}
	acc, err := c.rpc.GetAccountInfo(ctx, ata)
	if err == rpc.ErrNotFound {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	t, err := c.held(acc.Value)
	if err != nil {
		return 0, fmt.Errorf("solana: token account %s: %w", ata, err)
	}
	return ledger.Amount(t.Amount), nil
}
