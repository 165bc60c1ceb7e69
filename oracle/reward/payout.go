package reward

import (
	"heliograph/oracle/ledger"
	"heliograph/poc"
)

// Payout is what one wallet is to be paid for one epoch, over all its hotspots.
type Payout struct {
	Wallet poc.Wallet    `json:"wallet"`
	Amount ledger.Amount `json:"amount"`
}
