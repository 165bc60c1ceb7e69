package settle

import (
	"context"
	"errors"
	"fmt"

	"heliograph/oracle/ledger"
	"heliograph/oracle/reward"
	"heliograph/poc"
)

// Blockhash is a recent, finalized block by which a transaction is dated.
type Blockhash struct {
	Hash      [32]byte
	Slot      uint64 // slot at which it was read
	LastValid uint64 // block height after which a transaction with it is dead
	// UnitPrice is what recent blocks ask for, in micro-lamports a compute unit; 0
	// when it is not known. A first attempt bids at least that, up to the signer's limit.
	UnitPrice uint64
	// Units is the compute that the transaction may use; 0 leaves it to the signer.
	Units uint32
}

// Block is a finalized block.
type Block struct {
	Slot uint64
	Hash [32]byte
}

// SeedDelay is how many slots after an epoch's commitment the block lies whose
// hash goes into the seed: the first block from there on. It is far enough for
// the commitment to be final, and it leaves the oracle no choice of the hash.
const SeedDelay = 32

// Tx is a signed transaction.
type Tx struct {
	Signature string `json:"signature"` // base58
	Raw       []byte `json:"raw"`
	LastValid uint64 `json:"last_valid"` // block height
}

// Status is what the cluster says about a signature.
type Status struct {
	Known bool   // some node has seen it land
	Final bool   // finalized: no fork can undo it
	Err   string // why it failed on chain; "" when it succeeded
	Slot  uint64
	// Blames is one more than the index, among those that the transaction pays, of the
	// recipient at whom it failed; 0: nobody of them.
	Blames int
}

// Chain is a cluster as the settler sees it. Every call ends with its context;
// an error says that nothing is known, never that something did not happen.
type Chain interface {
	// Genesis is the cluster's genesis hash, base58.
	Genesis(ctx context.Context) (string, error)
	Blockhash(ctx context.Context) (Blockhash, error)
	// BlockFrom is the first finalized block at or after a slot; false while there
	// is none.
	BlockFrom(ctx context.Context, slot uint64) (Block, bool, error)
	// Height is the finalized block height.
	Height(ctx context.Context) (uint64, error)
	// Send hands a transaction to the cluster. A [*Rejected] says that the
	// cluster simulated it and refused: it did not land through this call.
	Send(ctx context.Context, tx Tx) error
	// Statuses are in the order of the signatures, at most 256.
	Statuses(ctx context.Context, signatures []string) ([]Status, error)
	// Marks reads the markers' accounts, in the order of the markers.
	Marks(ctx context.Context, ms []Marker) ([]Mark, error)
	// History lists the final, successful transactions that touched a marker, also
	// after the marker was closed. Strangers can add to it. When they are too many, what
	// is older than the slot from may be missing: nobody paid under the marker then. With
	// an error come those that are known all the same: somebody who may know more was not
	// heard, so that the list does not show that a batch was never paid.
	History(ctx context.Context, m Marker, from uint64) ([]string, error)
	// FirstBlock is the lowest slot from which on history is kept; of several
	// endpoints, by the one that keeps most. What was final before is not in History.
	FirstBlock(ctx context.Context) (uint64, error)
	// Landed reads a transaction that has created the marker and says which of the
	// payouts it made, as indices in increasing order. It does not believe a single
	// endpoint where there are several. [ErrNotFinal]: not now. [ErrStranger]: the
	// transaction did not create the marker. [ErrForeign]: it did, and paid
	// something that is not in the list.
	Landed(ctx context.Context, signature string, m Marker, list []reward.Payout) ([]int, error)
	// Told reads a final transaction of the hot key, which holds no memo but the text,
	// and says in which slot it is. It does not believe a single endpoint where there
	// are several. [ErrNotFinal]: not now. [ErrForeign]: it holds another memo.
	Told(ctx context.Context, signature, text string) (slot uint64, err error)
	// Units is how much compute a payout needs, with room to spare; 0: not known.
	Units(ctx context.Context, m Marker, to []reward.Payout) (uint32, error)
	// Payable says for each wallet why it cannot be paid now, "" if it can.
	Payable(ctx context.Context, wallets []poc.Wallet) ([]string, error)
	// Funds are the tokens that may be spent and the payer's lamports. A [*TreasuryTrouble]
	// says why there are none though the treasury may hold some.
	Funds(ctx context.Context) (tokens ledger.Amount, lamports uint64, err error)
}

// Signer makes and signs transactions. It does no I/O that can be lost.
type Signer interface {
	// Identity names what payouts depend on: hot key, mint, treasury. A settler
	// refuses to continue an epoch under another one.
	Identity() string
	Memo(ctx context.Context, text string, b Blockhash) (Tx, error)
	// Payout pays the recipients, guarded by the marker. attempt is 0, 1, 2...:
	// later attempts may bid a higher fee.
	Payout(ctx context.Context, m Marker, to []reward.Payout, b Blockhash, attempt int) (Tx, error)
	// MaxRecipients is how many recipients fit one transaction.
	MaxRecipients() int
}

// Marker names the one-shot account that guards a batch.
type Marker struct {
	Epoch poc.Epoch
	Batch uint32
}

// Mark is the state of a marker's account.
type Mark struct {
	Exists bool
	Dust   ledger.Amount // tokens of the mint that somebody sent to it
}

// Reclaimer closes markers and takes their rent back. A [Signer] may be one.
type Reclaimer interface {
	// MaxReclaim is how many markers fit one transaction.
	MaxReclaim() int
	// Reclaim closes the markers; marks has the same order. Dust goes to the
	// treasury first.
	Reclaim(ctx context.Context, ms []Marker, marks []Mark, b Blockhash) (Tx, error)
}

// Rejected is a refusal in simulation.
type Rejected struct {
	Cause     RejectCause
	Recipient int    // which recipient broke the batch; meaningful for CauseRecipient
	Detail    string // what the cluster said
}

func (r *Rejected) Error() string { return fmt.Sprintf("settle: rejected: %s", r.Detail) }

// TreasuryTrouble is why nothing can be spent, whatever the treasury holds.
type TreasuryTrouble struct{ Why string } // cause and remedy

func (t *TreasuryTrouble) Error() string { return "settle: " + t.Why }

// RejectCause sorts refusals by what is to be done.
type RejectCause uint8

// The causes.
const (
	CauseOther     RejectCause = 0 // try again later
	CauseMarker    RejectCause = 1 // the marker exists: some variant has landed
	CauseRecipient RejectCause = 2 // one recipient cannot be paid
	CauseFunds     RejectCause = 3 // treasury, allowance or fee payer is empty
	CauseExpired   RejectCause = 4 // the blockhash is too old or not known
)

// Errors that callers branch on.
var (
	ErrWrongCluster = errors.New("settle: wrong cluster")
	ErrUnknown      = errors.New("settle: no such epoch")
	ErrConflict     = errors.New("settle: epoch is frozen with another list")
	ErrNotFinal     = errors.New("settle: transaction is not final, or only one endpoint says so")
	ErrStranger     = errors.New("settle: transaction did not create the marker")
	ErrNoQuorum     = errors.New("settle: too few endpoints")
	ErrForeign      = errors.New("settle: transaction paid something else")
)
