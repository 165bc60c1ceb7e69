package network

import (
	"time"
)

// Snapshot is the state of the city at one moment, as it is shown.
type Snapshot struct {
	Elapsed time.Duration // since start
	Page    string        // address of the explorer
	Slot    uint64        // of the chain

	Epoch     uint32
	EpochEnds time.Duration // until the present epoch ends

	Hotspots, Online   int
	Beacons, Witnesses uint64 // sent by hotspots in this run
	Declined           uint64
	Packets            uint64 // carried by hotspots, copies counted
	Waiting            int    // reports in the outboxes

	Devices, Joined int
	Uplinks, Acked  uint64 // by the devices
	Delivered       uint64 // uplinks that the network server took

	Verdicts map[string]int // by reason, over the epochs of this run
	Notes    []string       // the latest events, oldest first
	Epochs   []EpochResult  // settled in this run, oldest first
}

// EpochResult is an epoch whose rewards are on the chain.
type EpochResult struct {
	Epoch      uint32
	Root       string
	State      string
	Reports    map[string]int // judged, by kind
	Signatures []Signature
	Wallets    []WalletLine
}

// Signature is a transaction of an epoch.
type Signature struct {
	What string // commitment, memo, payout or close
	ID   string // base58
}

// WalletLine compares the ledger with the chain for one wallet. Amounts are of
// the token's smallest unit.
type WalletLine struct {
	Name   string
	Wallet string
	Paid   uint64 // by the ledger
	Owed   uint64 // by the ledger: earned and not yet paid
	Chain  uint64 // balance, read by RPC
}

// Equal says whether ledger and chain agree about every wallet.
func (r EpochResult) Equal() bool {
	for _, w := range r.Wallets {
		if w.Paid != w.Chain {
			return false
		}
	}
	return len(r.Wallets) > 0
}
