package audit

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"heliograph/oracle/ledger"
	"heliograph/oracle/settle/payment"
	"heliograph/poc"
)

// Other is another epoch that the treasury has paid for since the commit memo of the
// audited one. This audit does not know its list: it must be audited, too.
type Other struct {
	Epoch    poc.Epoch     `json:"epoch"`
	Payments int           `json:"payments"`
	Sum      ledger.Amount `json:"sum"`    // that left the treasury
	Commit   string        `json:"commit"` // signature of its commit memo; "": none came before its first payment
	first    uint64        // slot of the first payment
}

// other books a payment under the marker of another epoch.
func (f *finder) other(p payment.Payment, out ledger.Amount) {
	for _, m := range p.Markers {
		if m.Base != f.Hot {
			continue
		}
		o, known := f.others[m.Marker.Epoch]
		if !known {
			o = &Other{Epoch: m.Marker.Epoch, first: p.Slot}
			f.others[m.Marker.Epoch] = o
		}
		o.Payments, o.Sum, o.first = o.Payments+1, o.Sum+out, min(o.first, p.Slot)
		return // the tokens are counted once
	}
}

// published looks for the commit memos of the other epochs. Whoever holds the hot key
// can make a marker for any epoch; without a list that was committed to before, what
// is paid under it is paid to nobody in particular.
func (f *finder) published(ctx context.Context) error {
	before := make(map[poc.Epoch]uint64, len(f.others))
	for e, o := range f.others {
		before[e] = o.first
	}
	if len(before) == 0 {
		return nil
	}
	found, err := f.trail.Committed(ctx, f.Hot, before)
	if err != nil {
		return fmt.Errorf("audit: commit memos of other epochs: %w", err)
	}
	for _, o := range slices.SortedFunc(maps.Values(f.others), func(a, b *Other) int { return cmp.Compare(a.Epoch, b.Epoch) }) {
		o.Commit = found[o.Epoch]
		f.paid.Others = append(f.paid.Others, *o)
	}
	return nil
}

// reportOthers compares the other epochs that were paid with those committed to.
func (f *finder) reportOthers() Comparison {
	var bad []string
	for _, o := range f.paid.Others {
		if o.Commit == "" {
			bad = append(bad, fmt.Sprintf("epoch %d: %d payments of %d in all", o.Epoch, o.Payments, o.Sum))
		}
	}
	note := "paid without a list that was committed to before: " + strings.Join(bad[:min(len(bad), shown)], "; ")
	n := len(f.paid.Others)
	return compared("other epochs that the treasury paid", fmt.Sprintf("%d with a commit memo", n), fmt.Sprintf("%d with a commit memo", n-len(bad)), note)
}

// AuditToo says which other epochs are to be audited before all that left the
// treasury is accounted for; "" when there is none.
func (p Paid) AuditToo() string {
	var out []string
	for _, o := range p.Others {
		if o.Commit != "" {
			out = append(out, fmt.Sprintf("%d (%d payments, %d)", o.Epoch, o.Payments, o.Sum))
		}
	}
	if len(out) == 0 {
		return ""
	}
	more := ""
	if len(out) > shown {
		more = fmt.Sprintf(" and %d more", len(out)-shown)
	}
	return "audit these epochs, too: " + strings.Join(out[:min(len(out), shown)], ", ") + more
}
