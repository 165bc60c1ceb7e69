package settle

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"

	"heliograph/oracle/ledger"
	"heliograph/oracle/reward"
	"heliograph/poc"
)

// cluster is a small model of a cluster at the RPC boundary: transactions land
// late or never, replies are lost, statuses are hidden, markers let one variant
// of a batch through. It is driven by a seed.
type cluster struct {
	mu      sync.Mutex
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

	treasuryFrozen bool

	firstBlock uint64 // slot from which on history is kept

	pending []wireTx
	landed  map[string]landed
	markers map[Marker]string
	closed  map[Marker]bool
	// strangers are transactions of others that touched a marker's address.
	strangers map[Marker][]string
	paid      map[poc.Wallet]ledger.Amount
	times     map[string]int // "wallet/epoch" -> how often paid
	// vaults are the distributors, by version; clock is the cluster's.
	vaults map[uint64]*vault
	clock  int64
	memos  []string
}

// vault is a distributor, with what it holds and who has claimed.
type vault struct {
	Distribution
	height  uint64
	left    ledger.Amount
	claimed map[poc.Wallet]ledger.Amount
	back    bool
}

type landed struct {
	height uint64
	failed string
	fund   *Distribution
	memo   string
	blames int
	to     []reward.Payout
}

// wireTx is what a signed transaction of the model looks like inside.
type wireTx struct {
	Sig       string
	Memo      string
	Marker    *Marker
	Close     []Marker
	Fund      *Distribution
	Back      uint64 // version of a distributor
	To        []reward.Payout
	LastValid uint64
}

func newCluster(seed uint64) *cluster {
	return &cluster{
		rnd: rand.New(rand.NewPCG(seed, 1)), genesis: "model", tokens: 1 << 40, sol: 1 << 40,
		frozen: map[poc.Wallet]bool{}, quietly: map[poc.Wallet]bool{}, landed: map[string]landed{},
		markers: map[Marker]string{}, closed: map[Marker]bool{}, vaults: map[uint64]*vault{}, clock: 1_800_000_000, strangers: map[Marker][]string{}, paid: map[poc.Wallet]ledger.Amount{}, times: map[string]int{},
	}
}

const finalDepth = 32

var errNet = errors.New("connection reset")

func (c *cluster) flaky(percent int) bool { return c.faults && c.rnd.IntN(100) < percent }

// advance lets time pass: pending transactions land, or die of old age.
func (c *cluster) advance(n uint64) {
	for range n {
		c.height++
		c.clock++
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
	l := landed{height: c.height}
	if r := c.check(tx); r != nil {
		l.failed = r.Detail
		if r.Cause == CauseRecipient {
			l.blames = r.Recipient + 1
		}
	} else if tx.Fund != nil {
		l.fund = tx.Fund
		c.markers[*tx.Marker] = tx.Sig
		c.tokens -= tx.Fund.Total
		c.vaults[tx.Fund.Version] = &vault{Distribution: *tx.Fund, height: c.height, left: tx.Fund.Total, claimed: map[poc.Wallet]ledger.Amount{}}
	} else if tx.Back != 0 {
		v := c.vaults[tx.Back]
		c.tokens += v.left
		v.left, v.back = 0, true
	} else if tx.Close != nil {
		for _, m := range tx.Close {
			c.closed[m] = true
		}
	} else if tx.Marker != nil {
		c.markers[*tx.Marker], l.to = tx.Sig, tx.To
		for _, p := range tx.To {
			c.paid[p.Wallet] += p.Amount
			c.tokens -= p.Amount
			c.times[fmt.Sprintf("%x/%d", p.Wallet[:4], tx.Marker.Epoch)]++
		}
	} else {
		l.memo = tx.Memo
		c.memos = append(c.memos, tx.Memo)
	}
	c.landed[tx.Sig] = l
}

// check is what execution, and therefore simulation, would say.
func (c *cluster) check(tx wireTx) *Rejected {
	for _, m := range tx.Close {
		if c.markers[m] == "" || c.closed[m] {
			return &Rejected{Cause: CauseOther, Detail: "InvalidAccountData"}
		}
	}
	if v := c.vaults[tx.Back]; tx.Back != 0 && (v == nil || v.back || c.clock < v.Clawback) {
		return &Rejected{Cause: CauseOther, Detail: "ClawbackBeforeStart"}
	}
	if tx.Marker == nil {
		return nil
	}
	if _, used := c.markers[*tx.Marker]; used && !c.closed[*tx.Marker] {
		return &Rejected{Cause: CauseMarker, Detail: "instruction 1: Custom 0"}
	}
	left := c.tokens
	if d := tx.Fund; d != nil {
		switch {
		case c.vaults[d.Version] != nil:
			return &Rejected{Cause: CauseOther, Detail: "instruction 5: Custom 0"}
		case left < d.Total:
			return &Rejected{Cause: CauseFunds, Detail: "Custom 1"}
		case d.Start <= c.clock || d.End <= d.Start || d.Clawback-day < d.End:
			return &Rejected{Cause: CauseOther, Detail: "TimestampsNotInFuture"}
		}
	}
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
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flaky(8) {
		return Blockhash{}, errNet
	}
	c.serial++
	var h [32]byte
	binary.BigEndian.PutUint64(h[:], c.serial)
	return Blockhash{Hash: h, Slot: c.height, LastValid: c.height + 150}, nil
}

func (c *cluster) BlockFrom(_ context.Context, slot uint64) (Block, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if slot+finalDepth > c.height {
		return Block{}, false, nil
	}
	return Block{Slot: slot, Hash: [32]byte{byte(slot)}}, true, nil
}

func (c *cluster) Height(context.Context) (uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flaky(8) {
		return 0, errNet
	}
	return c.height - min(c.height, finalDepth), nil
}

func (c *cluster) Send(_ context.Context, tx Tx) error {
	c.mu.Lock()
	defer c.mu.Unlock()
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
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flaky(8) {
		return nil, errNet
	}
	out := make([]Status, len(sigs))
	for i, s := range sigs {
		l, ok := c.landed[s]
		if !ok || c.hide || c.flaky(20) {
			continue
		}
		out[i] = Status{Known: true, Final: c.height >= l.height+finalDepth, Err: l.failed, Slot: l.height, Blames: l.blames}
	}
	return out, nil
}

func (c *cluster) Marks(_ context.Context, ms []Marker) ([]Mark, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flaky(8) {
		return nil, errNet
	}
	out := make([]Mark, len(ms))
	for i, m := range ms {
		out[i].Exists = c.markers[m] != "" && !c.closed[m]
	}
	return out, nil
}

func (c *cluster) History(_ context.Context, m Marker, _ uint64) ([]string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flaky(8) {
		return nil, errNet
	}
	out := slices.Clone(c.strangers[m])
	if sig, ok := c.markers[m]; ok && c.height >= c.landed[sig].height+finalDepth && c.landed[sig].height >= c.firstBlock {
		out = append(out, sig)
	}
	return out, nil
}

func (c *cluster) Memos(_ context.Context, from uint64, texts ...string) ([]Sent, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flaky(8) {
		return nil, errNet
	}
	out := make([]Sent, len(texts))
	for sig, l := range c.landed {
		i := slices.Index(texts, l.memo)
		if i >= 0 && l.height >= max(from, c.firstBlock) && c.height >= l.height+finalDepth && (out[i].Signature == "" || l.height < out[i].Slot) {
			out[i] = Sent{Signature: sig, Slot: l.height}
		}
	}
	return out, nil
}

func (c *cluster) FirstBlock(context.Context) (uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flaky(8) {
		return 0, errNet
	}
	return c.firstBlock, nil
}

func (c *cluster) Landed(_ context.Context, sig string, m Marker, list []reward.Payout) (paid []int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flaky(8) {
		return nil, errNet
	}
	if slices.Contains(c.strangers[m], sig) {
		return nil, ErrStranger
	}
	if c.markers[m] != sig || c.height < c.landed[sig].height+finalDepth {
		return nil, ErrNotFinal
	}
	if c.landed[sig].fund != nil {
		return nil, ErrForeign
	}
	for _, p := range c.landed[sig].to {
		i := slices.Index(list, p)
		if i < 0 {
			return nil, ErrForeign
		}
		paid = append(paid, i)
	}
	slices.Sort(paid)
	return paid, nil
}

func (c *cluster) Told(_ context.Context, sig, text string) (uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flaky(8) {
		return 0, errNet
	}
	l, ok := c.landed[sig]
	switch {
	case !ok || l.failed != "" || c.height < l.height+finalDepth:
		return 0, ErrNotFinal
	case l.memo != "" && l.memo != text:
		return 0, ErrForeign
	}
	return l.height, nil
}

func (c *cluster) Units(context.Context, Marker, []reward.Payout) (uint32, error) { return 0, nil }

func (c *cluster) Payable(_ context.Context, wallets []poc.Wallet) ([]string, error) {
	out := make([]string, len(wallets))
	for i, w := range wallets {
		if c.frozen[w] {
			out[i] = "token account is frozen"
		}
	}
	return out, nil
}

func (c *cluster) Funds(context.Context) (ledger.Amount, uint64, error) {
	if c.treasuryFrozen {
		return 0, c.sol, &TreasuryTrouble{"the treasury is frozen: thaw it"}
	}
	return c.tokens, c.sol, nil
}

// signer makes transactions of the model.
type signer struct {
	id  string
	n   *atomic.Uint64
	err error
}

func (s signer) Identity() string   { return s.id }
func (s signer) MaxRecipients() int { return 3 }

func (s signer) Memo(_ context.Context, text string, b Blockhash) (Tx, error) {
	return s.sign(wireTx{Memo: text, LastValid: b.LastValid})
}

func (s signer) Payout(_ context.Context, m Marker, to []reward.Payout, b Blockhash, _ int) (Tx, error) {
	return s.sign(wireTx{Marker: &m, To: to, LastValid: b.LastValid})
}

func (s signer) MaxReclaim() int { return 2 }

func (s signer) Reclaim(_ context.Context, ms []Marker, _ []Mark, b Blockhash) (Tx, error) {
	return s.sign(wireTx{Close: ms, LastValid: b.LastValid})
}

func (s signer) sign(w wireTx) (Tx, error) {
	if s.err != nil {
		return Tx{}, s.err
	}
	w.Sig = fmt.Sprintf("sig%d", s.n.Add(1))
	raw, err := json.Marshal(w)
	return Tx{Signature: w.Sig, Raw: raw, LastValid: w.LastValid}, err
}
