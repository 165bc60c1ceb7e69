package settle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"heliograph/oracle/ledger"
	"heliograph/oracle/reward"
	"heliograph/poc"
)

// Claiming makes new epochs ones that wallets claim, instead of being sent their
// payouts.
type Claiming struct {
	// For is how long wallets can claim, at least MinClaim: what nobody has claimed
	// is taken back afterwards.
	For    time.Duration
	Random io.Reader // of which versions are drawn, so that nobody can take them first
}

// UsualClaim is how long wallets can claim where nothing else is said.
const UsualClaim = 30 * 24 * time.Hour

// MinClaim is the shortest time to claim in. The program wants a day between an
// end that lies ahead and the moment from which it gives back.
const MinClaim = 48 * time.Hour

// Distribution is a merkle distributor: an account on chain that pays each wallet of
// a list once, when that wallet asks. Times are Unix seconds.
type Distribution struct {
	Version  uint64        `json:"version"` // with the mint its name
	Root     [32]byte      `json:"root"`
	Total    ledger.Amount `json:"total"`
	Count    int           `json:"count"`
	Start    int64         `json:"start"`
	End      int64         `json:"end"`
	Clawback int64         `json:"clawback"` // from then on it gives back
}

// Distributed is how far the claims of a distributor have come.
type Distributed struct {
	Exists  bool
	Claimed ledger.Amount
	Back    bool // it gave back what was left, and pays nobody any more
}

// ClaimChain is a [Chain] that can read distributors. Everything it says is final.
type ClaimChain interface {
	Chain
	// Now is the cluster's clock in Unix seconds.
	Now(ctx context.Context) (int64, error)
	// Funded reads a transaction that has created the marker and says which
	// distributor it made and funded with its total. The errors are those of
	// Landed; [ErrForeign]: it did something else.
	Funded(ctx context.Context, signature string, m Marker) (Distribution, error)
	Distributor(ctx context.Context, d Distribution) (Distributed, error)
	// Claims says for each wallet, at most 100, what it has claimed; 0: nothing, or
	// not enough endpoints say so.
	Claims(ctx context.Context, d Distribution, wallets []poc.Wallet) ([]ledger.Amount, error)
}

// ClaimSigner is a [Signer] for epochs that wallets claim.
type ClaimSigner interface {
	Signer
	// Program is the distributor program's address, "" when none is configured.
	Program() string
	// Distribute makes a distributor and gives it its total, in one transaction that
	// is guarded by the marker.
	Distribute(ctx context.Context, m Marker, d Distribution, b Blockhash, attempt int) (Tx, error)
	// TakeBack asks a distributor for what nobody has claimed. It goes to the treasury.
	TakeBack(ctx context.Context, m Marker, d Distribution, b Blockhash) (Tx, error)
}

// Claims is the part of an epoch's record that epochs have which wallets claim.
type Claims struct {
	Program  string        `json:"program"`
	For      time.Duration `json:"for"`
	Attempts []FundAttempt `json:"attempts,omitempty"`
	Expiry   uint64        `json:"expiry,omitempty"` // greatest last valid height of all variants ever signed
	// Made is the distributor that exists for good, and Signature the transaction
	// that made it.
	Made      *Distribution `json:"made,omitempty"`
	Signature string        `json:"signature,omitempty"`
	Claimed   ledger.Amount `json:"claimed"` // and booked as paid
	Back      Memo          `json:"back"`    // the transaction that takes back
}

// FundAttempt is one signed variant of the transaction that makes a distributor.
// Each has a version of its own.
type FundAttempt struct {
	Tx
	Distribution Distribution `json:"distribution"`
}

// ClaimStage is where a batch of an epoch stands which wallets claim.
type ClaimStage string

// The stages. A batch that is sent has none.
const (
	ClaimPlanned  ClaimStage = "planned"
	ClaimOpen     ClaimStage = "claimable" // in the distributor
	ClaimReturned ClaimStage = "unclaimed" // back in the treasury, and owed
)

const (
	// claimBatch is how many wallets share a record: a booking of all of them fits
	// ledger.MaxEntries.
	claimBatch = ledger.MaxEntries / 2
	// startDelay is how far ahead a distributor begins, and more than a variant lives.
	startDelay = 600
	day        = 24 * 3600
	// fundReserve covers the rent of distributor, vault and marker, and the fee.
	fundReserve = 12_000_000
)

// errNoClaims: chain or signer know nothing of distributors.
var errNoClaims = errors.New("settle: wallets are to claim, but no distributor program is configured: name its address with payout.program, or choose payout.mode = \"direct\"")

// claimParts are chain and signer as claims need them.
func (s *Settler) claimParts() (ClaimChain, ClaimSigner, error) {
	chain, ok := s.chain.(ClaimChain)
	signer, ok2 := s.signer.(ClaimSigner)
	if !ok || !ok2 || signer.Program() == "" {
		return nil, nil, errNoClaims
	}
	return chain, signer, nil
}

// planClaims makes the record of an epoch that wallets claim, nil when payouts are sent.
func (s *Settler) planClaims(l List) (*Claims, error) {
	if s.cfg.Claim == nil || len(l.Payouts) == 0 {
		return nil, nil
	}
	_, signer, err := s.claimParts()
	if err != nil {
		return nil, err
	}
	if s.cfg.Claim.For < MinClaim {
		return nil, fmt.Errorf("settle: wallets can claim for %v, want at least %v: raise payout.claim_for", s.cfg.Claim.For, MinClaim)
	}
	return &Claims{Program: signer.Program(), For: s.cfg.Claim.For}, nil
}

// stepClaims moves an epoch on that wallets claim, from its commit memo to its last
// close memo.
func (s *Settler) stepClaims(ctx context.Context, e *Epoch, height uint64, save func() error) error {
	chain, signer, err := s.claimParts()
	if err != nil || signer.Program() != e.Claims.Program {
		return s.stall(e, fmt.Sprintf("its payouts are claimed from the program %s, which is not the one that is configured: name it with payout.program to finish this epoch", e.Claims.Program), save)
	}
	if e.State != Committed && !strings.HasPrefix(e.Stalled, signerStalled) {
		if err := s.stall(e, "", save); err != nil {
			return err
		}
	}
	c := &claims{pass: pass{Settler: s, epoch: *e, height: height}, chain: chain, signer: signer}
	switch e.State {
	case Committed:
		was := *e
		err := c.fund(ctx, e)
		e.Stalled, e.Refused = c.stalled, c.refused
		if was.Stalled != e.Stalled || was.Refused != e.Refused {
			s.complain(*e)
			err = errors.Join(err, save())
		}
		if err == nil && e.Claims.Made != nil {
			e.State = Funded
			err = save()
		}
		return err
	case Funded:
		return c.announce(ctx, e, save)
	case Claimable:
		return c.watch(ctx, e, save)
	}
	return nil
}

// claims is one look at an epoch that wallets claim.
type claims struct {
	pass
	chain  ClaimChain
	signer ClaimSigner
}

// guard is the marker of the transaction that makes an epoch's distributor.
func guard(e poc.Epoch) Marker { return Marker{Epoch: e} }

// asBatch shows the making of a distributor to [decide]: it is guarded as a batch is.
func (c *claims) asBatch(e *Epoch) Batch {
	b := Batch{Epoch: e.Epoch, Payouts: make([]reward.Payout, 1), Expiry: e.Claims.Expiry}
	for _, a := range e.Claims.Attempts {
		b.Attempts = append(b.Attempts, Attempt{Tx: a.Tx, Recipients: []int{0}})
	}
	return b
}
