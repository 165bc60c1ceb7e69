package signer

import (
	"heliograph/oracle/settle"
	"heliograph/poc"
)

// Kind sorts what is asked to be signed.
type Kind uint8

// The kinds. The numbers are part of the protocol.
const (
	Memo    Kind = 1 // one memo of an epoch
	Payout  Kind = 2 // one guarded batch
	Reclaim Kind = 3 // markers are closed, their rent returns to the hot key

	Distribute Kind = 4 // an epoch's distributor is made and gets the total
	TakeBack   Kind = 5 // a distributor returns to the treasury what nobody has claimed
)

func (k Kind) String() string {
	switch k {
	case Memo:
		return "memo"
	case Payout:
		return "payout"
	case Reclaim:
		return "reclaim"
	case Distribute:
		return "distribute"
	case TakeBack:
		return "take back"
	}
	return "unknown"
}

// Purpose is what the settler says about a message that it wants signed. It is a
// claim: a policy signer holds the message against it, and both against what it
// knows itself. It also saves the signer a search, since a message holds derived
// addresses only.
type Purpose struct {
	Kind    Kind
	Markers []settle.Marker // Payout: the batch; Reclaim: the markers that are closed; otherwise batch 0 of the epoch
	Wallets []poc.Wallet    // Payout: the recipients, in the order of the transfers
}
