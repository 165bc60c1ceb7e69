package epoch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"heliograph/oracle/ledger"
	"heliograph/oracle/reward"
	"heliograph/oracle/store"
	"heliograph/poc"
)

// Owing is what wallets are owed at an epoch's end: who is paid, and who is owed
// less than the payout threshold and waits. Both are sorted by wallet, and no
// wallet is in both.
type Owing struct {
	Payouts []reward.Payout
	Carried []reward.Payout
}

// ListHash is the SHA-256 of a published list; see [reward.AppendList]. That of
// the payouts is on chain, in the memo that precedes the first of them.
func ListHash(list []reward.Payout) Hash { return sha256.Sum256(reward.AppendList(nil, list)) }

// total adds a list up, with an error when no ledger holds the sum.
func total(list []reward.Payout) (sum ledger.Amount, err error) {
	for _, p := range list {
		if sum, err = sum.Add(p.Amount); err != nil {
			return 0, err
		}
	}
	return sum, nil
}

// owing adds what is carried from the epoch before to the new rewards, and parts
// the sums at the threshold. A wallet that earned nothing new is looked at again:
// the threshold may be lower now.
func owing(carried, earned []reward.Payout, threshold ledger.Amount) (o Owing, err error) {
	for len(carried)+len(earned) > 0 {
		p := first(carried, earned)
		for _, from := range []*[]reward.Payout{&carried, &earned} {
			if len(*from) == 0 || (*from)[0].Wallet != p.Wallet {
				continue
			}
			if p.Amount, err = p.Amount.Add((*from)[0].Amount); err != nil {
				return Owing{}, err
			}
			*from = (*from)[1:]
		}
		if p.Amount >= threshold {
			o.Payouts = append(o.Payouts, p)
		} else {
			o.Carried = append(o.Carried, p)
		}
	}
	return o, nil
}

// first is the lower of two lists' first wallets, without an amount.
func first(a, b []reward.Payout) reward.Payout {
	if len(a) == 0 || len(b) > 0 && bytes.Compare(b[0].Wallet[:], a[0].Wallet[:]) < 0 {
		a = b
	}
	return reward.Payout{Wallet: a[0].Wallet}
}

// carryWrites are the keys that keep what is carried over.
func carryWrites(e poc.Epoch, carried []reward.Payout) (out []write) {
	for _, p := range carried {
		out = append(out, write{carryKey(e, p.Wallet), binary.BigEndian.AppendUint64(nil, uint64(p.Amount))})
	}
	return out
}

func parseCarry(k, v []byte) (ledger.Amount, error) {
	if len(v) != 8 {
		return 0, fmt.Errorf("epoch: stored value of %q is damaged", k)
	}
	return ledger.Amount(binary.BigEndian.Uint64(v)), nil
}

// Carried is what a judged epoch carries over to the next one, by wallet.
func (m *Reader) Carried(ctx context.Context, e poc.Epoch) (out []reward.Payout, err error) {
	err = m.KV.View(ctx, func(tx store.Tx) error {
		out = nil
		var bad error
		err := tx.Scan(epochKey(carryPrefix, e), nil, func(k, v []byte) bool {
			var p reward.Payout
			if p.Amount, bad = parseCarry(k, v); bad != nil {
				return false
			}
			copy(p.Wallet[:], k[len(k)-len(p.Wallet):])
			out = append(out, p)
			return true
		})
		return errors.Join(bad, err)
	})
	return out, err
}

// Waiting is what a wallet is owed below the payout threshold since the newest
// judged epoch, and that threshold; an amount of 0: nothing waits for that reason.
func (m *Reader) Waiting(ctx context.Context, w poc.Wallet) (amount, threshold ledger.Amount, err error) {
	recs, err := m.Records(ctx, 1)
	if err != nil || len(recs) == 0 {
		return 0, 0, err
	}
	key := carryKey(recs[0].Epoch, w)
	err = m.KV.View(ctx, func(tx store.Tx) error {
		v, err := tx.Get(key)
		if err != nil {
			return ignoreNotFound(err)
		}
		amount, err = parseCarry(key, v)
		return err
	})
	return amount, recs[0].Threshold, err
}

// before is the newest epoch that was opened before e.
func (m *Reader) before(e poc.Epoch) (p poc.Epoch, found bool) {
	for _, o := range m.Journal.Openings() {
		if o < e && (!found || o > p) {
			p, found = o, true
		}
	}
	return p, found
}

// takenOver reads what the epoch before e left. It must be judged: epochs are
// judged in order.
func (m *Reader) takenOver(ctx context.Context, e poc.Epoch) (*Previous, error) {
	p, found := m.before(e)
	if !found {
		return nil, nil
	}
	rec, judged, err := m.record(ctx, p)
	if err != nil {
		return nil, err
	}
	if !judged {
		return nil, fmt.Errorf("epoch %d was opened before epoch %d and is not judged: what it carries over is not known", p, e)
	}
	if rec.Evidence == (Hash{}) {
		return nil, nil // judged by an oracle of before there were thresholds
	}
	carried, err := m.Carried(ctx, p)
	if err != nil {
		return nil, err
	}
	if h := ListHash(carried); h != rec.Carried {
		return nil, fmt.Errorf("epoch: what is stored as carried over from epoch %d has hash %v, the record says %v: the store is damaged; restore it from the backup", p, h, rec.Carried)
	}
	return &Previous{Epoch: p, Evidence: rec.Evidence, Carried: carried}, nil
}
