package ledger

import (
	"context"

	"heliograph/oracle/store"
	"heliograph/poc"
	"heliograph/provisioning/identity"
)

// Lifetime is everything that ever happened to a wallet's money, in the token's
// smallest unit. Earned = Paid + Owed + Held.
type Lifetime struct {
	Earned Amount `json:"earned"`
	Paid   Amount `json:"paid"` // final on chain
	Owed   Amount `json:"owed"` // on its way, or below the payout threshold
	Held   Amount `json:"held"` // cannot be sent for now
}

// Lifetime reads a wallet's accounts at one moment; a wallet that never earned
// has nothing.
func (b *Book) Lifetime(ctx context.Context, w poc.Wallet) (l Lifetime, err error) {
	err = b.kv.View(ctx, func(tx store.Tx) error {
		l = Lifetime{}
		for _, part := range []struct {
			a  Account
			to *Amount
		}{{Paid(w), &l.Paid}, {Owed(w), &l.Owed}, {Held(w), &l.Held}} {
			bal, err := balance(tx, part.a)
			if err != nil {
				return err
			}
			*part.to = bal.Net()
			if l.Earned, err = l.Earned.Add(bal.Net()); err != nil {
				return err
			}
		}
		return nil
	})
	return l, err
}

// HotspotEarned is what a hotspot has earned since it was registered: what came
// into its account, through which everything passes on to its owner.
func (b *Book) HotspotEarned(ctx context.Context, id identity.HotspotID) (Amount, error) {
	bal, err := b.Balance(ctx, HotspotAccount(id))
	return bal.Credits, err
}
