package audit

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mr-tron/base58"

	"heliograph/oracle/epoch"
	"heliograph/oracle/ledger"
	"heliograph/oracle/reward"
	"heliograph/oracle/settle"
	"heliograph/oracle/settle/payment"
	"heliograph/poc"
)

// Trail finds payouts on chain.
type Trail interface {
	// Marked are the transactions that touched a batch's marker, oldest first.
	Marked(ctx context.Context, hot, mint string, m settle.Marker) ([]payment.Payment, error)
	// Spent are the transactions of a token account from a slot on, oldest first.
	Spent(ctx context.Context, account string, from uint64) ([]payment.Payment, error)
	// Committed looks for the final commit memos of epochs by the hot key, each before a
	// slot, and returns their signatures; epochs without one are not in it.
	Committed(ctx context.Context, hot string, before map[poc.Epoch]uint64) (map[poc.Epoch]string, error)
	// Claims is what wallets have claimed from a distributor, and what it still holds.
	Claims(ctx context.Context, d payment.Distributor, wallets []poc.Wallet) (payment.Claims, error)
	// Account is the token account that a wallet is paid into.
	Account(ctx context.Context, w poc.Wallet, mint string) (string, error)
}

// Paid is what an audit found of an epoch's payouts.
type Paid struct {
	Batches int           `json:"batches"` // transactions that paid
	Wallets int           `json:"wallets"`
	Sum     ledger.Amount `json:"sum"`
	Left    ledger.Amount `json:"left"` // of the list: held, or still to be paid
	// Distributor is the account that wallets claim from; "": they are sent their payouts.
	Distributor string `json:"distributor,omitempty"`
	// Others are the other epochs that the treasury has paid for meanwhile.
	Others []Other `json:"other_epochs,omitempty"`
}

// maxBatches bounds the markers that are looked for: more than a list of a
// recipient each needs.
const maxBatches = 1 << 24

// beyond is how many markers behind the last one that is known of are looked at.
const beyond = 3

// Search says which payouts are looked for.
type Search struct {
	Epoch          poc.Epoch
	List           []reward.Payout // what is to be paid
	Hot            string          // key that the markers are derived from
	Treasury, Mint string
	From           uint64 // slot of the commit memo: nothing is paid before it
	Batches        uint32 // a hint: markers that are known to exist
	Closed         string // the close memo as it is on chain; "": it is not there
	Program        string // that makes distributors; "": [payment.KnownProgram]
}

// Payments finds every payout of an epoch, by the markers and by the history of
// the treasury, and compares both with the list, with the treasury's balance and
// with the close memo.
func Payments(ctx context.Context, t Trail, s Search) (Paid, []Comparison, error) {
	spent, err := t.Spent(ctx, s.Treasury, s.From)
	if err != nil {
		return Paid{}, nil, fmt.Errorf("audit: transactions of the treasury: %w", err)
	}
	f := finder{trail: t, Search: s, bySignature: map[string]bool{}, later: map[uint32]bool{}, others: map[poc.Epoch]*Other{}}
	if err := f.index(ctx); err != nil {
		return Paid{}, nil, err
	}
	last := max(f.follow(spent), s.Batches)
	if err := f.markers(ctx, min(last, maxBatches)); err != nil {
		return Paid{}, nil, err
	}
	if err := f.claims(ctx, spent); err != nil {
		return Paid{}, nil, err
	}
	if err := f.laterMarkers(ctx); err != nil {
		return Paid{}, nil, err
	}
	if err := f.published(ctx); err != nil {
		return Paid{}, nil, err
	}
	return f.paid, f.report(), nil
}

// payments looks for the payouts of the audited epoch.
func (a *audit) payments(ctx context.Context, list []reward.Payout, hot string, from uint64) error {
	s := Search{Epoch: a.b.Epoch, List: list, Hot: hot, From: from, Closed: a.closed, Treasury: a.o.Treasury, Mint: a.o.Mint, Program: a.o.Program}
	id := identityOf(a.b.Payments)
	if id["hot"] != "" {
		a.compare("hot key of the payouts", hot, id["hot"], "the bundle names another key than the one that sent the memos")
	}
	if s.Treasury == "" {
		s.Treasury = id["treasury"]
	}
	if s.Mint == "" {
		s.Mint = id["mint"]
	}
	if s.Treasury == "" || s.Mint == "" {
		a.compare("treasury and mint", "known", "not in the bundle", "name them with --treasury and --mint: the payouts were not looked for")
		return nil
	}
	if p := a.b.Payments; p != nil {
		s.Batches = p.Batches
	}
	paid, found, err := Payments(ctx, a.o.Trail, s)
	a.Paid, a.Comparisons = &paid, append(a.Comparisons, found...)
	if err == nil && a.b.Memos.Commit != "" {
		a.mode(paid)
	}
	return err
}

// mode holds how payouts were made against the commit memo.
func (a *audit) mode(paid Paid) {
	sent, claimed := "they are sent", "wallets claim them"
	said := map[bool]string{false: sent, true: claimed}[a.claims]
	did := said
	switch {
	case paid.Distributor != "":
		did = claimed
	case paid.Batches > 0:
		did = sent
	}
	a.compare("way of the payouts", said, did, "the commit memo says otherwise: in two ways an epoch could be paid twice")
}

// identityOf reads "hot=... mint=... treasury=...".
func identityOf(p *epoch.Payments) map[string]string {
	out := map[string]string{}
	if p == nil {
		return out
	}
	for _, word := range strings.Fields(p.Identity) {
		if k, v, ok := strings.Cut(word, "="); ok {
			out[k] = v
		}
	}
	return out
}

// finder collects what it finds about one epoch's payouts.
type finder struct {
	Search
	trail       Trail
	due         map[string]reward.Payout // token account -> what it is to get
	got         map[string]ledger.Amount
	bySignature map[string]bool // transactions that were seen through a marker
	ours        []string        // transactions of the treasury with a marker of this epoch
	later       map[uint32]bool // later batches that the treasury shows
	others      map[poc.Epoch]*Other
	outside     []string             // what was paid and should not have been
	made        *payment.Distributor // that the wallets of the list claim from
	paid        Paid
}

func (f *finder) index(ctx context.Context) error {
	f.due, f.got = make(map[string]reward.Payout, len(f.List)), map[string]ledger.Amount{}
	for _, p := range f.List {
		account, err := f.trail.Account(ctx, p.Wallet, f.Mint)
		if err != nil {
			return fmt.Errorf("audit: token account of %s: %w", base58.Encode(p.Wallet[:]), err)
		}
		f.due[account] = p
	}
	return nil
}

// batchOf is this epoch's batch that a transaction paid.
func (f *finder) batchOf(p payment.Payment) (n uint32, ours, marked bool) {
	for _, m := range p.Markers {
		if m.Base != f.Hot {
			continue
		}
		marked = true
		if m.Marker.Epoch == f.Epoch {
			return m.Marker.Batch, true, true
		}
	}
	return 0, false, marked
}

// follow looks at everything that the treasury did. What leaves it must
// leave in a transaction with a marker, and be the sum of that transaction's
// transfers. It returns one more than the highest planned batch that it saw.
func (f *finder) follow(spent []payment.Payment) (batches uint32) {
	for i, p := range spent {
		out, in := ledger.Amount(0), ledger.Amount(0)
		for _, t := range p.Transfers { // wrap-around only makes a difference show
			if t.Source == f.Treasury {
				out += t.Amount
			}
			if t.Destination == f.Treasury {
				in += t.Amount
			}
		}
		n, ours, marked := f.batchOf(p)
		switch {
		case marked && p.Before+in-out != p.After:
			f.outside = append(f.outside, fmt.Sprintf("%s moved the treasury from %d to %d, its transfers are %d", p.Signature, p.Before, p.After, out))
		case !marked && p.After < p.Before:
			f.outside = append(f.outside, fmt.Sprintf("%s took %d from the treasury without a marker", p.Signature, p.Before-p.After))
		}
		if i > 0 && spent[i-1].After != p.Before {
			f.outside = append(f.outside, fmt.Sprintf("between %s and %s the treasury went from %d to %d: the endpoint hides a transaction", spent[i-1].Signature, p.Signature, spent[i-1].After, p.Before))
		}
		if !ours {
			f.other(p, out)
			continue
		}
		f.ours = append(f.ours, p.Signature)
		if _, later := settle.LaterPosition(n); later {
			f.later[n] = true
		} else {
			batches = max(batches, n+1)
		}
	}
	return batches
}

// markers follows the markers from the first on, some beyond the last that
// anything is known of.
func (f *finder) markers(ctx context.Context, known uint32) error {
	for n, empty := uint32(0), 0; n < known || empty < beyond; n++ {
		touched, err := f.marker(ctx, n)
		if err != nil {
			return err
		}
		if touched == 0 && n >= known {
			empty++
		}
	}
	return nil
}

// maxLater bounds the later batches that are looked for without a sign of them in the
// treasury's history.
const maxLater = 10_000

// laterMarkers follows the markers of later batches: those that the treasury shows,
// and those of recipients whom no planned batch has paid.
func (f *finder) laterMarkers(ctx context.Context) error {
	account := make([]string, len(f.List))
	position := make(map[poc.Wallet]int, len(f.List))
	for i, p := range f.List {
		position[p.Wallet] = i
	}
	for a, p := range f.due {
		account[position[p.Wallet]] = a
	}
	for i, n := 0, 0; i < len(account) && n < maxLater; i++ {
		if f.got[account[i]] == 0 {
			f.later[settle.LaterBatch(i)] = true
			n++
		}
	}
	for _, n := range slices.Sorted(maps.Keys(f.later)) {
		if _, err := f.marker(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

// marker takes what was paid under one marker. It says how many transactions touched it.
func (f *finder) marker(ctx context.Context, n uint32) (touched int, err error) {
	found, err := f.trail.Marked(ctx, f.Hot, f.Mint, settle.Marker{Epoch: f.Epoch, Batch: n})
	if err != nil {
		return 0, fmt.Errorf("audit: marker of batch %d: %w", n, err)
	}
	for _, p := range found {
		if batch, ours, _ := f.batchOf(p); ours && batch == n && p.Failed == "" && !f.bySignature[p.Signature] {
			f.bySignature[p.Signature] = true
			f.take(p, n)
		}
	}
	return len(found), nil
}

// take books a payout transaction against the list.
func (f *finder) take(p payment.Payment, batch uint32) {
	f.paid.Batches++
	if len(p.Distributors) > 0 {
		f.distributed(p, batch)
		return
	}
	for _, t := range p.Transfers {
		due, listed := f.due[t.Destination]
		switch {
		case t.Source != f.Treasury || t.Mint != f.Mint:
			f.outside = append(f.outside, fmt.Sprintf("%s moves tokens of mint %s from %s", p.Signature, t.Mint, t.Source))
			continue
		case !listed:
			f.outside = append(f.outside, fmt.Sprintf("%s pays %d to %s, which is not on the list", p.Signature, t.Amount, t.Destination))
		case f.got[t.Destination] != 0:
			f.outside = append(f.outside, fmt.Sprintf("%s pays %s a second time", p.Signature, base58.Encode(due.Wallet[:])))
		case t.Amount != due.Amount:
			f.outside = append(f.outside, fmt.Sprintf("%s pays %d to %s, the list says %d", p.Signature, t.Amount, base58.Encode(due.Wallet[:]), due.Amount))
		}
		f.got[t.Destination] += t.Amount
		f.paid.Sum += t.Amount
	}
}

// shown bounds the findings that are spelled out.
const shown = 20

func (f *finder) report() []Comparison {
	var total ledger.Amount
	for _, p := range f.List {
		total += p.Amount // checked when the list was made
	}
	f.paid.Wallets = len(f.got)
	for _, sig := range f.ours {
		if !f.bySignature[sig] {
			f.outside = append(f.outside, sig+" has a marker of this epoch, but the marker's own history does not show it")
		}
	}
	f.paid.Left, _ = total.Sub(min(f.paid.Sum, total))
	note := strings.Join(f.outside[:min(len(f.outside), shown)], "; ")
	out := []Comparison{
		compared("payments that are wrong or outside the list", "0", fmt.Sprint(len(f.outside)), note),
		compared("payouts in the treasury's own history", fmt.Sprint(len(f.bySignature)), fmt.Sprint(len(f.ours)), "the treasury's history and the markers show different payouts"),
		f.reportOthers(),
	}
	if f.Closed == "" {
		return out
	}
	want := fmt.Sprintf("p=%d h=%d", f.paid.Sum, f.paid.Left)
	_, got, _ := strings.Cut(f.Closed, " p=")
	if open := fmt.Sprintf("p=0 h=%d", total); f.made != nil && "p="+got == open {
		want = open // sent when the distributor was made
	}
	return append(out, compared("paid and held, by the close memo", want, "p="+got, "the chain shows other payouts than the close memo says"))
}
