package solana

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/gagliardetto/solana-go"
	"github.com/gagliardetto/solana-go/rpc"
	"github.com/gagliardetto/solana-go/rpc/jsonrpc"

	"heliograph/oracle/ledger"
	"heliograph/oracle/settle"
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
}

// Client is a cluster and a hot key. It implements settle.Chain and settle.Signer
// and is safe for concurrent use.
type Client struct {
	cfg      Config
	rpc      *rpc.Client
	hot      solana.PublicKey
	decimals uint8
	rent     uint64 // of a token account
}

// tokenAccountSize is the length of an SPL token account.
const tokenAccountSize = 165

// Dial makes a client and asks the cluster about the mint and the rent, until it
// answers or ctx ends. A mint that does not fit is an error at once.
func Dial(ctx context.Context, cfg Config) (*Client, error) {
	c := NewReader(cfg.Endpoint)
	c.cfg, c.hot = cfg, cfg.Hot.PublicKey()
	if c.cfg.Treasury.IsZero() {
		ata, _, err := solana.FindAssociatedTokenAddress(c.hot, cfg.Mint)
		if err != nil {
			return nil, fmt.Errorf("solana: derive the treasury account: %w", err)
		}
		c.cfg.Treasury = ata
	}
	pause := 200 * time.Millisecond
	for {
		fatal, err := c.learn(ctx)
		if err == nil {
			return c, nil
		}
		if fatal || ctx.Err() != nil {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w (last error: %v)", ctx.Err(), err)
		case <-time.After(pause):
			pause = min(2*pause, 10*time.Second)
		}
	}
}

// NewReader makes a client without keys, for auditors. Only the methods that
// read may be used.
func NewReader(endpoint string) *Client {
	transport := jsonrpc.NewClientWithOpts(endpoint, &jsonrpc.RPCClientOpts{HTTPClient: &http.Client{Timeout: callTimeout}})
	return &Client{cfg: Config{Endpoint: endpoint}, rpc: rpc.NewWithCustomRPCClient(transport)}
}

// learn reads the mint's decimals and the rent of a token account.
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
	data := acc.GetBinary()
	if acc.Value.Owner != solana.TokenProgramID || len(data) != 82 {
		return true, fmt.Errorf("solana: mint %s is owned by %s: only plain SPL Token mints are paid out (no Token-2022 extensions)", c.cfg.Mint, acc.Value.Owner)
	}
	c.decimals = data[44] // spl-token Mint: authority 36, supply 8, decimals 1
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
	return settle.Blockhash{Hash: b.Value.Blockhash, Slot: b.Context.Slot, LastValid: b.Value.LastValidBlockHeight}, nil
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
			out[i].Err = fmt.Sprint(v.Err)
		}
	}
	return out, nil
}

// markerAddress is where a batch's marker lies.
func (c *Client) markerAddress(m settle.Marker) (addr solana.PublicKey, seed string, err error) {
	return MarkerAddress(c.hot, m)
}

// MarkerAddress derives a marker from the hot key, so that an auditor can find
// the transaction of every batch.
func MarkerAddress(hot solana.PublicKey, m settle.Marker) (addr solana.PublicKey, seed string, err error) {
	seed = fmt.Sprintf("hs/%d/%d", m.Epoch, m.Batch)
	addr, err = solana.CreateWithSeed(hot, seed, solana.TokenProgramID)
	return addr, seed, err
}

// Marked looks for the marker and for the transactions that touched it.
func (c *Client) Marked(ctx context.Context, m settle.Marker) (bool, []string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	addr, _, err := c.markerAddress(m)
	if err != nil {
		return false, nil, fmt.Errorf("solana: derive marker: %w", err)
	}
	acc, err := c.rpc.GetAccountInfoWithOpts(ctx, addr, &rpc.GetAccountInfoOpts{Commitment: rpc.CommitmentFinalized, Encoding: solana.EncodingBase64})
	marked := err == nil && acc.Value != nil && acc.Value.Owner == solana.TokenProgramID
	if err != nil && err != rpc.ErrNotFound {
		return false, nil, err
	}
	touched, err := c.rpc.GetSignaturesForAddressWithOpts(ctx, addr, &rpc.GetSignaturesForAddressOpts{Commitment: rpc.CommitmentFinalized})
	if err != nil {
		return false, nil, err
	}
	var sigs []string
	for _, t := range touched {
		if t != nil && t.Err == nil {
			sigs = append(sigs, t.Signature.String())
		}
	}
	return marked, sigs, nil
}

// Payable checks the recipients' associated token accounts.
func (c *Client) Payable(ctx context.Context, wallets []poc.Wallet) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	out := make([]string, len(wallets))
	for from := 0; from < len(wallets); from += 100 {
		part := wallets[from:min(from+100, len(wallets))]
		accounts := make([]solana.PublicKey, len(part))
		for i, w := range part {
			ata, _, err := solana.FindAssociatedTokenAddress(solana.PublicKey(w), c.cfg.Mint)
			if err != nil {
				return nil, fmt.Errorf("solana: derive token account: %w", err)
			}
			accounts[i] = ata
		}
		res, err := c.rpc.GetMultipleAccounts(ctx, accounts...)
		if err != nil {
			return nil, err
		}
		if len(res.Value) != len(accounts) {
			return nil, fmt.Errorf("solana: %d accounts for %d asked", len(res.Value), len(accounts))
		}
		for i, acc := range res.Value {
			out[from+i] = c.problem(acc, part[i])
		}
	}
	return out, nil
}

// problem says why a recipient's token account cannot be paid into, "" if it can.
func (c *Client) problem(acc *rpc.Account, w poc.Wallet) string {
	if acc == nil {
		return "no token account: the owner must create one for the mint"
	}
	t, ok := parseTokenAccount(acc)
	switch {
	case !ok:
		return "token account is not one of the SPL Token program"
	case t.mint != c.cfg.Mint:
		return "token account is for another mint"
	case t.owner != solana.PublicKey(w):
		return "token account belongs to somebody else"
	case t.state == stateFrozen:
		return "token account is frozen"
	case t.state != stateInitialized:
		return "token account is not initialized"
	}
	return ""
}

// Funds reads the treasury and the fee payer.
func (c *Client) Funds(ctx context.Context) (ledger.Amount, uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	res, err := c.rpc.GetMultipleAccounts(ctx, c.cfg.Treasury, c.hot)
	if err != nil {
		return 0, 0, err
	}
	if len(res.Value) != 2 {
		return 0, 0, fmt.Errorf("solana: %d accounts for 2 asked", len(res.Value))
	}
	var tokens uint64
	if res.Value[0] != nil {
		if t, ok := parseTokenAccount(res.Value[0]); ok && t.mint == c.cfg.Mint && t.state == stateInitialized {
			tokens = t.spendable(c.hot)
		}
	}
	var lamports uint64
	if res.Value[1] != nil {
		lamports = res.Value[1].Lamports
	}
	return min(ledger.Amount(tokens), ledger.MaxAmount), lamports, nil
}

// TokenBalance is what a wallet's associated account holds, 0 if there is none.
func (c *Client) TokenBalance(ctx context.Context, w poc.Wallet) (ledger.Amount, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	ata, _, err := solana.FindAssociatedTokenAddress(solana.PublicKey(w), c.cfg.Mint)
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
	t, ok := parseTokenAccount(acc.Value)
	if !ok {
		return 0, fmt.Errorf("solana: %s is not a token account", ata)
	}
	return ledger.Amount(t.amount), nil
}
