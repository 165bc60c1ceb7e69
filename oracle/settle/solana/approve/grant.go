package approve

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/gagliardetto/solana-go"

	"heliograph/oracle/ledger"
	"heliograph/poc"
)

// Grant is what is approved, for one hot key: one epoch's list, and what the lists of
// older epochs still have to pay. An approval replaces the one before, so what is
// still open must be part of it, and each epoch's part is exact.
type Grant struct {
	Epoch poc.Epoch
	Total ledger.Amount // of the epoch's list
	Paid  ledger.Amount // of Total: on chain already, paid with an older allowance
	List  [32]byte      // SHA-256 of the published list
	Older []Part        // oldest first; their open sums are above zero
	Hot   solana.PublicKey
}

// Part is what an older epoch's list still has to pay.
type Part struct {
	Epoch poc.Epoch
	Open  ledger.Amount // owed or held
	List  [32]byte
}

// Allowance is the sum that is approved: what is open of all epochs. It refuses a
// grant that does not hold together.
func (g Grant) Allowance() (ledger.Amount, error) {
	sum, err := g.Total.Sub(g.Paid)
	if err != nil || g.Total > ledger.MaxAmount {
		return 0, fmt.Errorf("approve: epoch %d: %d of a total of %d cannot be paid", g.Epoch, g.Paid, g.Total)
	}
	for i, p := range g.Older {
		if p.Open == 0 || p.Epoch >= g.Epoch || i > 0 && p.Epoch <= g.Older[i-1].Epoch {
			return 0, fmt.Errorf("approve: epoch %d with %d open is out of order: older epochs come oldest first, each once", p.Epoch, p.Open)
		}
		if sum, err = sum.Add(p.Open); err != nil {
			return 0, fmt.Errorf("approve: what is open: %w", err)
		}
	}
	if sum == 0 || sum > ledger.MaxAmount {
		return 0, fmt.Errorf("approve: an allowance of %d cannot be approved: is anything left to pay?", sum)
	}
	return sum, nil
}

// Text is the memo in the transaction. Only a grant that is not just one epoch's
// total names the allowance a, what was paid p, and number and hash of the older
// epochs o: SHA-256 of a line "epoch open list" for each.
func (g Grant) Text() string {
	text := fmt.Sprintf("hsa1 e=%d t=%d l=%s", g.Epoch, g.Total, hex.EncodeToString(g.List[:]))
	if g.Paid == 0 && len(g.Older) == 0 {
		return text
	}
	a, err := g.Allowance()
	if err != nil {
		return text // never built into a message
	}
	return fmt.Sprintf("%s a=%d p=%d o=%d:%s", text, a, g.Paid, len(g.Older), hex.EncodeToString(g.olderHash()))
}

func (g Grant) olderHash() []byte {
	var lines []byte
	for _, p := range g.Older {
		lines = fmt.Appendf(lines, "%d %d %x\n", p.Epoch, p.Open, p.List)
	}
	h := sha256.Sum256(lines)
	return slices.Clone(h[:])
}
