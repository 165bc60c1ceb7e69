package reward

import (
	"bytes"
	"slices"

	"heliograph/oracle/ledger"
	"heliograph/poc"
)

// Payout is what one wallet is to be paid for one epoch, over all its hotspots.
type Payout struct {
	Wallet poc.Wallet    `json:"wallet"`
	Amount ledger.Amount `json:"amount"`
}

// Payouts adds the rows up by wallet, sorted by wallet.
func Payouts(rows []Row) ([]Payout, error) {
	sums := make(map[poc.Wallet]ledger.Amount)
	for _, r := range rows {
		one, err := r.Total()
		if err != nil {
			return nil, err
		}
		if sums[r.Owner], err = sums[r.Owner].Add(one); err != nil {
			return nil, err
		}
	}
	out := make([]Payout, 0, len(sums))
	for w, a := range sums {
		out = append(out, Payout{Wallet: w, Amount: a})
	}
	slices.SortFunc(out, func(a, b Payout) int { return bytes.Compare(a.Wallet[:], b.Wallet[:]) })
	return out, nil
}
