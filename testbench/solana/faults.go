package solanavm

import (
	"context"

	"github.com/gagliardetto/solana-go/rpc"
)

// Faults says how a node misbehaves. The zero value is an honest node.
// Shares are probabilities from 0 to 1, drawn from a generator seeded with
// Seed: equal requests in equal order meet equal faults.
type Faults struct {
	// Seed of the generator; setting faults starts it anew.
	Seed uint32 `json:"seed"`
	// Methods that Drop, DelayMS and RateLimit concern; empty: all.
	Methods []string `json:"methods"`

	// Drop closes the connection without executing the request.
	Drop float64 `json:"drop"`
	// DelayMS holds each request back by that many milliseconds.
	DelayMS int `json:"delayMs"`
	// RateLimit answers HTTP 429 with Retry-After: RetryAfterSec.
	RateLimit     float64 `json:"rateLimit"`
	RetryAfterSec int     `json:"retryAfterSec"`
	// RateLimitHTML makes the 429 an HTML page, as a proxy writes it,
	// instead of a JSON-RPC error.
	RateLimitHTML bool `json:"-"`

	// HangUp executes sendTransaction and then closes the connection.
	HangUp float64 `json:"hangUp"`
	// Swallow acknowledges sendTransaction and forgets the transaction.
	Swallow float64 `json:"swallow"`
	// DelayLanding acknowledges sendTransaction and lands the transaction
	// LandAfterMin to LandAfterMax blocks later (0, 0: 1 to 120).
	DelayLanding float64 `json:"delayLanding"`
	LandAfterMin int     `json:"landAfterMin"`
	LandAfterMax int     `json:"landAfterMax"`

	// HideStatus is the share of signatures that this node never shows, in
	// statuses, transactions and histories. It depends on Seed and
	// signature only.
	HideStatus float64 `json:"hideStatus"`
	// NullStatus makes an entry of getSignatureStatuses null this once.
	NullStatus float64 `json:"nullStatus"`
	// KeepBlocks is how many blocks back the node keeps transactions and histories;
	// 0: all.
	KeepBlocks int `json:"keepBlocks"`
	// StaleBlocks lets slots, heights and blockhashes lag.
	StaleBlocks int `json:"staleBlocks"`
	// Genesis is what getGenesisHash answers, base58, as a node of another cluster
	// would; empty: the truth.
	Genesis string `json:"genesis"`
}

// Node is one endpoint of the server, with faults of its own.
type Node struct {
	control *Control
	path    string
}

// URL is the node's JSON-RPC endpoint.
func (n Node) URL() string { return n.control.base + n.path }

// Client returns a client of the node.
func (n Node) Client() *rpc.Client { return rpc.New(n.URL()) }

// SetFaults replaces all faults of the node.
func (n Node) SetFaults(ctx context.Context, f Faults) error {
	type fields Faults // without methods, to embed the JSON form
	wire := struct {
		fields
		RateLimitBody string `json:"rateLimitBody"`
	}{fields(f), "json"}
	if f.RateLimitHTML {
		wire.RateLimitBody = "html"
	}
	if wire.Methods == nil {
		wire.Methods = []string{}
	}
	if wire.LandAfterMin == 0 && wire.LandAfterMax == 0 {
		wire.LandAfterMin, wire.LandAfterMax = 1, 120
	}
	return n.control.call(ctx, n.path, nil, "x_setFaults", wire)
}

// ClearFaults makes the node honest and quick again.
func (n Node) ClearFaults(ctx context.Context) error {
	return n.control.call(ctx, n.path, nil, "x_clearFaults")
}

// Stats counts what the chain and a node have done since the server started.
type Stats struct {
	Slot            uint64 `json:"slot"`
	Height          uint64 `json:"height"`
	FinalizedHeight uint64 `json:"finalizedHeight"`
	// Transactions that landed on the present fork since genesis.
	Transactions uint64 `json:"transactions"`
	// Pending transactions have been acknowledged and land later.
	Pending int `json:"pending"`
	// Dropped counts transactions that never landed, by reason.
	Dropped map[string]int `json:"dropped"`
	// Faults counts what struck on this node, by name.
	Faults map[string]int `json:"faults"`
	// Requests counts executed calls by method, over all nodes.
	Requests map[string]int `json:"requests"`
	RSSBytes uint64         `json:"rssBytes"`
}

// Stats counts what the chain and this node have done.
func (n Node) Stats(ctx context.Context) (Stats, error) {
	var s Stats
	err := n.control.call(ctx, n.path, &s, "x_stats")
	return s, err
}
