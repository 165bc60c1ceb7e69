package signer

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"heliograph/oracle/ledger"
	"heliograph/oracle/reward"
	"heliograph/oracle/settle"
	"heliograph/poc"
)

// payment is a guarded batch that a message makes.
type payment struct {
	marker  settle.Marker
	wallets []poc.Wallet
	amounts []uint64
}

// payment holds a payout message against its purpose: one marker, funded,
// allocated and opened once, and transfers from the treasury to the accounts of
// the wallets named.
func (p Policy) payment(hot account, e effects, c Purpose) (out payment, err error) {
	if len(e.memos)+len(e.closed)+len(e.calls) > 0 {
		return out, refuse("a payout does nothing besides paying")
	}
	if len(c.Markers) != 1 || len(e.allocated) != 1 || len(e.funded) != 1 || len(e.opened) != 1 {
		return out, refuse("a payout takes one marker: it is funded %d, allocated %d and opened %d times", len(e.funded), len(e.allocated), len(e.opened))
	}
	m := e.allocated[0]
	if at := p.markerOf(hot, m); m != c.Markers[0] || e.funded[0] != at || e.opened[0] != at {
		return out, refuse("the marker is not that of batch %d/%d", c.Markers[0].Epoch, c.Markers[0].Batch)
	}
	if len(e.transfers) == 0 || len(e.transfers) != len(c.Wallets) {
		return out, refuse("%d transfers for %d wallets", len(e.transfers), len(c.Wallets))
	}
	out = payment{marker: m, wallets: c.Wallets}
	for i, t := range e.transfers {
		if t.source != p.Treasury {
			return out, refuse("transfer %d is from %s, not from the treasury", i, t.source)
		}
		to, err := p.tokenAccountOf(c.Wallets[i])
		if err != nil || to != t.destination {
			return out, refuse("transfer %d goes to %s, which is not the token account of wallet %s", i, t.destination, account(c.Wallets[i]))
		}
		out.amounts = append(out.amounts, t.amount)
	}
	return out, nil
}

// reclaim holds a reclaim against its purpose: every account that is closed is
// the marker of a batch named. Tokens that somebody sent to a marker may go to
// the treasury.
func (p Policy) reclaim(hot account, e effects, c Purpose) error {
	if len(e.memos)+len(e.funded)+len(e.allocated)+len(e.opened)+len(e.calls) > 0 {
		return refuse("a reclaim does nothing besides closing markers")
	}
	if len(e.closed) == 0 || len(e.closed) != len(c.Markers) {
		return refuse("%d accounts are closed, %d batches named", len(e.closed), len(c.Markers))
	}
	for i, a := range e.closed {
		if m := c.Markers[i]; a != p.markerOf(hot, m) {
			return refuse("account %s is not the marker of batch %d/%d", a, m.Epoch, m.Batch)
		}
	}
	for i, t := range e.transfers {
		if t.destination != p.Treasury || !slices.Contains(e.closed, t.source) {
			return refuse("transfer %d does not go from a closed marker to the treasury", i)
		}
	}
	return nil
}

// memo is what a text says.
type memo struct {
	word  string // hsc1, hsr1 or hsx1
	epoch poc.Epoch
	text  string
	count int
	total ledger.Amount // hsr1: of the list; hsx1: paid and held
	roots settle.Roots  // of hsr1
}

// memoOf reads the only memo of a message; it takes the texts of package settle
// exactly as that writes them.
func memoOf(e effects) (m memo, err error) {
	if len(e.memos) != 1 || len(e.funded)+len(e.allocated)+len(e.opened)+len(e.closed)+len(e.transfers)+len(e.calls) > 0 {
		return m, refuse("a memo stands alone")
	}
	m.text = e.memos[0]
	m.word, _, _ = strings.Cut(m.text, " ")
	again := ""
	switch m.word {
	case "hsc1":
		var c hash
		_, err = fmt.Sscanf(m.text, "hsc1 e=%d c=%v", &m.epoch, &c)
		again = settle.SeedText(m.epoch, c)
	case "hsr1":
		var root, list, rewards hash
		text, claims := strings.CutSuffix(m.text, settle.ClaimMode)
		_, err = fmt.Sscanf(text, "hsr1 e=%d n=%d t=%d r=%v l=%v w=%v", &m.epoch, &m.count, &m.total, &root, &list, &rewards)
		m.roots = settle.Roots{Payouts: root, List: list, Rewards: rewards, Claim: claims}
		again = settle.CommitText(m.epoch, m.count, m.total, m.roots)
	case "hsx1":
		var secret hash
		var paid, held ledger.Amount
		_, err = fmt.Sscanf(m.text, "hsx1 e=%d s=%v p=%d h=%d", &m.epoch, &secret, &paid, &held)
		if err == nil {
			m.total, err = paid.Add(held)
		}
		again = settle.CloseText(m.epoch, poc.Secret(secret), paid, held)
	default:
		return m, refuse("memo %.80q is none of the known texts", m.text)
	}
	if err != nil || again != m.text {
		return m, refuse("memo %.80q is none of the known texts", m.text)
	}
	return m, nil
}

// hash is 32 bytes in hexadecimal.
type hash [32]byte

// Scan implements fmt.Scanner.
func (h *hash) Scan(s fmt.ScanState, _ rune) error {
	word, err := s.Token(true, func(r rune) bool { return r != ' ' })
	if err != nil {
		return err
	}
	if len(word) != 2*len(h) {
		return fmt.Errorf("%d digits", len(word))
	}
	_, err = hex.Decode(h[:], word)
	return err
}

// find looks a wallet up in a list that is sorted by wallet.
func find(list []reward.Payout, w poc.Wallet) (int, bool) {
	return slices.BinarySearchFunc(list, w, func(p reward.Payout, w poc.Wallet) int {
		return slices.Compare(p.Wallet[:], w[:])
	})
}
