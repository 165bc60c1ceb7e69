// Package payment is a payout as it is found on chain: the words that those who
// read it from a cluster and those who judge it have in common.
package payment

import (
	"heliograph/oracle/ledger"
	"heliograph/oracle/settle"
)

// Transfer is one transfer of tokens. Accounts are base58.
type Transfer struct {
	Source, Mint, Destination string
	Amount                    ledger.Amount
}

// Marker is a marker that a transaction allocated, with the key that its address
// is derived from.
type Marker struct {
	Base   string
	Marker settle.Marker
}

// Payment is a final transaction that moved tokens or touched a marker.
type Payment struct {
	Signature     string
	Slot          uint64
	Payer         string
	Failed        string // why it failed, "" when it succeeded
	Markers       []Marker
	Memos         []string
	Transfers     []Transfer
	Distributors  []Distributor // that it made
	Before, After ledger.Amount // of the account whose transactions were asked for
}
