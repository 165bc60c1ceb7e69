package settle

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"

	"heliograph/oracle/ledger"
	"heliograph/oracle/reward"
	"heliograph/poc"
)

// cluster is a small model of a cluster at the RPC boundary: transactions land
// late or never, replies are lost, statuses are hidden, markers let one variant
// of a batch through. It is driven by a seed.
type cluster struct {
	rnd     *rand.Rand
	genesis string
	height  uint64
	serial  uint64
	faults  bool
	hide    bool // statuses of landed transactions are hidden for ever
	frozen  map[poc.Wallet]bool
	quietly map[poc.Wallet]bool // frozen, but Payable does not see it
	tokens  ledger.Amount
	sol     uint64

	pending []wireTx
	landed  map[string]landing
	markers map[Marker]string
	paid    map[poc.Wallet]ledger.Amount
	times   map[string]int // "wallet/epoch" -> how often paid
	memos   []string
}

type landing struct {
	height uint64
	failed string
}

// wireTx is what a signed transaction of the model looks like inside.
type wireTx struct {
	Sig       string
	Memo      string
	Marker    *Marker
	To        []reward.Payout
	LastValid uint64
}

func newCluster(seed uint64) *cluster {
	return &cluster{
		rnd: rand.New(rand.NewPCG(seed, 1)), genesis: "model", tokens: 1 << 40, sol: 1 << 40,
		frozen: map[poc.Wallet]bool{}, quietly: map[poc.Wallet]bool{}, landed: map[string]landing{},
		markers: map[Marker]string{}, paid: map[poc.Wallet]ledger.Amount{}, times: map[string]int{},
	}
}

const finalDepth = 32

var errNet = errors.New("connection reset")

func (c *cluster) flaky(percent int) bool { return c.faults && c.rnd.IntN(100) < percent }

// advance lets time pass: pending transactions land, or die of old age.
func (c *cluster) advance(n uint64) {
	for range n {
		c.height++
		keep := c.pending[:0]
		for _, tx := range c.pending {
			switch {
			case c.height > tx.LastValid:
			case c.faults && c.rnd.IntN(100) < 60:
				keep = append(keep, tx)
			default:
				c.land(tx)
			}
		}
		c.pending = keep
	}
}

func (c *cluster) land(tx wireTx) {
	if _, done := c.landed[tx.Sig]; done {
		return
	}
	l := landing{height: c.height}
	if r := c.check(tx); r != nil {
		l.failed = r.Detail
	} else if tx.Marker != nil {
		c.markers[*tx.Marker] = tx.Sig
		for _, p := range tx.To {
			c.paid[p.Wallet] += p.Amount
			c.tokens -= p.Amount
			c.times[fmt.Sprintf("%x/%d", p.Wallet[:4], tx.Marker.Epoch)]++
		}
	} else {
		c.memos = append(c.memos, tx.Memo)
	}
	c.landed[tx.Sig] = l
}

// check is what execution, and therefore simulation, would say.
func (c *cluster) check(tx wireTx) *Rejected {
	if tx.Marker == nil {
		return nil
	}
	if _, used := c.markers[*tx.Marker]; used {
		return &Rejected{Cause: CauseMarker, Detail: "instruction 1: Custom 0"}
	}
	left := c.tokens
	for i, p := range tx.To {
		if c.frozen[p.Wallet] || c.quietly[p.Wallet] {
			return &Rejected{Cause: CauseRecipient, Recipient: i, Detail: "Custom 17"}
		}
		if left < p.Amount {
			return &Rejected{Cause: CauseFunds, Detail: "Custom 1"}
		}
		left -= p.Amount
	}
	return nil
}

func (c *cluster) Genesis(context.Context) (string, error) { return c.genesis, nil }

func (c *cluster) Blockhash(context.Context) (Blockhash, error) {
	if c.flaky(8) {
		return Blockhash{}, errNet
	}
	c.serial++
	var h [32]byte
	binary.BigEndian.PutUint64(h[:], c.serial)
	return Blockhash{Hash: h, Slot: c.height, LastValid: c.height + 150}, nil
}

func (c *cluster) BlockFrom(_ context.Context, slot uint64) (Block, bool, error) {
	if slot+finalDepth > c.height {
		return Block{}, false, nil
	}
	return Block{Slot: slot, Hash: [32]byte{byte(slot)}}, true, nil
}

func (c *cluster) Height(context.Context) (uint64, error) {
	if c.flaky(8) {
		return 0, errNet
	}
	return c.height - min(c.height, finalDepth), nil
}

func (c *cluster) Send(_ context.Context, tx Tx) error {
	if c.flaky(8) {
		return errNet
	}
	var w wireTx
	if err := json.Unmarshal(tx.Raw, &w); err != nil {
		return err
	}
	if c.height > w.LastValid {
		return &Rejected{Cause: CauseExpired, Detail: "BlockhashNotFound"}
	}
	if r := c.check(w); r != nil {
		return r
	}
	switch {
	case c.flaky(20): // acknowledged, and never seen again
		return nil
	case c.flaky(15): // executed, and the reply is lost
		c.land(w)
		return errNet
	}
	c.pending = append(c.pending, w)
	return nil
}

func (c *cluster) Statuses(_ context.Context, sigs []string) ([]Status, error) {
	if c.flaky(8) {
		return nil, errNet
	}
	out := make([]Status, len(sigs))
	for i, s := range sigs {
		l, ok := c.landed[s]
		if !ok || c.hide || c.flaky(20) {
			continue
		}
		out[i] = Status{Known: true, Final: c.height >= l.height+finalDepth, Err: l.failed, Slot: l.height}
	}
	return out, nil
}

func (c *cluster) Marked(_ context.Context, m Marker) (bool, []string, error) {
	if c.flaky(8) {
		return false, nil, errNet
	}
	sig, ok := c.markers[m]
	if !ok || c.height < c.landed[sig].height+finalDepth {
		return ok, nil, nil
	}
	return true, []string{sig}, nil
}

func (c *cluster) Payable(_ context.Context, wallets []poc.Wallet) ([]string, error) {
	out := make([]string, len(wallets))
	for i, w := range wallets {
		if c.frozen[w] {
			out[i] = "token account is frozen"
		}
	}
	return out, nil
}

func (c *cluster) Funds(context.Context) (ledger.Amount, uint64, error) { return c.tokens, c.sol, nil }

// signer makes transactions of the model.
type signer struct {
	id string
	n  *uint64
}

func (s signer) Identity() string   { return s.id }
func (s signer) MaxRecipients() int { return 3 }

func (s signer) Memo(_ context.Context, text string, b Blockhash) (Tx, error) {
	return s.sign(wireTx{Memo: text, LastValid: b.LastValid})
}

func (s signer) Payout(_ context.Context, m Marker, to []reward.Payout, b Blockhash, _ int) (Tx, error) {
	return s.sign(wireTx{Marker: &m, To: to, LastValid: b.LastValid})
}

func (s signer) sign(w wireTx) (Tx, error) {
	*s.n++
	w.Sig = fmt.Sprintf("sig%d", *s.n)
	raw, err := json.Marshal(w)
	return Tx{Signature: w.Sig, Raw: raw, LastValid: w.LastValid}, err
}
