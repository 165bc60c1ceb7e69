package ledger

import (
	"fmt"
	"strings"

	"github.com/mr-tron/base58"

	"heliograph/poc"
	"heliograph/provisioning/identity"
)

// Account names a place where tokens can be, from the oracle's point of view.
// Credits are what came in, debits what went out; only [Issued] may go below zero.
//
//	issued             what the epochs' policy created (the only source)
//	remainder          rounding dust and shares that nobody earned
//	hotspot/<id>       what a hotspot earned, on its way to its owner: always ends at 0,
//	                   and its credits are the hotspot's lifetime earnings
//	owed/<wallet>      earned and not yet paid
//	held/<wallet>      owed, but cannot be paid for now (no token account, frozen...)
//	claimable/<wallet> held for the wallet by a distributor on chain, until it claims
//	paid/<wallet>      final on chain
type Account string

// The accounts that exist once.
const (
	Issued    Account = "issued"
	Remainder Account = "remainder"
)

// Prefixes of the accounts that exist per hotspot or wallet.
const (
	hotspotPrefix = "hotspot/"
	owedPrefix    = "owed/"
	heldPrefix    = "held/"
	claimPrefix   = "claimable/"
	paidPrefix    = "paid/"
)

// HotspotAccount is the account that a hotspot's earnings pass through.
func HotspotAccount(id identity.HotspotID) Account { return Account(hotspotPrefix + id.String()) }

// Owed is the account of what a wallet is owed.
func Owed(w poc.Wallet) Account { return Account(owedPrefix + base58.Encode(w[:])) }

// Held is the account of what a wallet is owed and cannot be sent for now.
func Held(w poc.Wallet) Account { return Account(heldPrefix + base58.Encode(w[:])) }

// Claimable is the account of what a distributor on chain holds for a wallet. It
// counts as held.
func Claimable(w poc.Wallet) Account { return Account(claimPrefix + base58.Encode(w[:])) }

// Paid is the account of what a wallet has received for good.
func Paid(w poc.Wallet) Account { return Account(paidPrefix + base58.Encode(w[:])) }

const maxAccount = 128

func (a Account) check() error {
	switch {
	case a == Issued || a == Remainder:
		return nil
	case len(a) > maxAccount:
		return fmt.Errorf("ledger: account name of %d bytes, at most %d", len(a), maxAccount)
	}
	for _, p := range []string{hotspotPrefix, owedPrefix, heldPrefix, claimPrefix, paidPrefix} {
		if rest, ok := strings.CutPrefix(string(a), p); ok && rest != "" {
			return nil
		}
	}
	return fmt.Errorf("ledger: account %q is of no known kind", string(a))
}
