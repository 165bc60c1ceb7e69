package ledger

import "fmt"

// Entry moves an amount out of (Debit) or into (Credit) one account. Exactly one
// of the two is set.
type Entry struct {
	Account Account `json:"account"`
	Debit   Amount  `json:"debit,omitempty"`
	Credit  Amount  `json:"credit,omitempty"`
}

// Batch is a set of entries that happen together. Cause names why, once and for
// ever: a second batch with the same cause is not booked again.
type Batch struct {
	Cause   string  `json:"cause"`
	Entries []Entry `json:"entries"`
}

// Limits of a batch.
const (
	MaxEntries = 100
	MaxCause   = 200
)

// Move is the batch that takes an amount from one account to another.
func Move(cause string, from, to Account, a Amount) Batch {
	return Batch{Cause: cause, Entries: []Entry{{Account: from, Debit: a}, {Account: to, Credit: a}}}
}

// Check says whether the batch may be booked: named, not empty, known accounts,
// no zero lines, and debits equal to credits.
func (b Batch) Check() error {
	if b.Cause == "" || len(b.Cause) > MaxCause {
		return fmt.Errorf("ledger: cause of %d bytes, want 1..%d", len(b.Cause), MaxCause)
	}
	if len(b.Entries) == 0 || len(b.Entries) > MaxEntries {
		return fmt.Errorf("ledger: batch %q has %d entries, want 1..%d", b.Cause, len(b.Entries), MaxEntries)
	}
	var debits, credits Amount
	for _, e := range b.Entries {
		if err := e.Account.check(); err != nil {
			return fmt.Errorf("ledger: batch %q: %w", b.Cause, err)
		}
		if (e.Debit == 0) == (e.Credit == 0) {
			return fmt.Errorf("ledger: batch %q: %s must be either debited or credited", b.Cause, e.Account)
		}
		var err error
		if debits, err = debits.Add(e.Debit); err != nil {
			return fmt.Errorf("ledger: batch %q: %w", b.Cause, err)
		}
		if credits, err = credits.Add(e.Credit); err != nil {
			return fmt.Errorf("ledger: batch %q: %w", b.Cause, err)
		}
	}
	if debits != credits {
		return fmt.Errorf("ledger: batch %q does not balance: %d debited, %d credited", b.Cause, debits, credits)
	}
	return nil
}
