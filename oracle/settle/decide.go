package settle

import "slices"

// Facts are what the cluster says about one batch at one moment.
type Facts struct {
	Height     uint64   // finalized block height
	Statuses   []Status // one for each attempt
	Marked     bool     // the marker exists
	Signatures []string // final, successful transactions that touched the marker
	Unsure     bool     // there may be more of them
	Foreign    string   // one of them that is none of our variants and created the marker
}

// Action is what to do next about a batch.
type Action uint8

// The actions.
const (
	Wait     Action = iota // ask again later
	Sign                   // sign another variant, persist it, then send it
	Resend                 // send the newest variant again: always safe
	Finalize               // the variant with the returned index has landed for good
	HoldNow                // all variants are dead: hold the suspects, then plan anew
	Recover                // a transaction that we do not know paid the batch: book what it paid
)

// forgetAfter is how many finalized blocks after its last valid height a variant
// that is said to have landed is no longer waited for when it does not become
// final: the answer was a lie.
const forgetAfter = 150

// decide is the whole judgement about a batch. index is meaningful for Finalize.
//
// It is safe against every lie of omission: Sign is only ever a loss of a fee,
// since the marker lets one variant through. Where a marker may have been closed
// after it had done its work, its history takes its place.
func decide(b Batch, f Facts) (a Action, index int) {
	for i, s := range f.Statuses {
		if s.Final && s.Err == "" {
			return Finalize, i
		}
	}
	for i, at := range b.Attempts {
		if slices.Contains(f.Signatures, at.Signature) {
			return Finalize, i
		}
	}
	if f.Foreign != "" {
		return Recover, 0
	}
	waits := len(b.Attempts) == 0 || f.Height <= b.Attempts[len(b.Attempts)-1].LastValid+forgetAfter
	for _, s := range f.Statuses {
		if waits && s.Known && s.Err == "" {
			return Wait, 0 // landed, not final: a fork may still undo it
		}
	}
	if f.Marked {
		return Wait, 0 // a variant has landed; which one will be known when it is final
	}
	if len(b.Live()) == 0 && len(b.Attempts) == 0 {
		return Wait, 0
	}
	dead := expired(b, f)
	switch {
	case len(b.Suspect) > 0 && dead:
		return HoldNow, 0
	case len(b.Suspect) > 0:
		return Wait, 0 // an older variant might still land with the suspects in it
	case dead && f.Unsure:
		return Wait, 0 // if somebody has paid it, the marker may be closed since
	case dead:
		return Sign, 0
	}
	return Resend, 0
}

// expired says whether every variant has failed or is too old to land.
func expired(b Batch, f Facts) bool {
	for i, at := range b.Attempts {
		failed := at.Dead != "" || i < len(f.Statuses) && f.Statuses[i].Final && f.Statuses[i].Err != ""
		if !failed && f.Height <= at.LastValid {
			return false
		}
	}
	return true
}

// blame makes the recipient a suspect at whom an attempt failed on chain, so that he
// is held: his account was good when it was looked at, and would be again for ever.
func (b *Batch) blame(attempt int, s Status) {
	to := b.Attempts[attempt].Recipients
	if s.Blames > 0 && s.Blames <= len(to) && slices.Contains(b.Live(), to[s.Blames-1]) {
		b.Suspect = set(b.Suspect, to[s.Blames-1], "the payout failed on chain at this recipient: "+s.Err)
	}
}

// decideMemo is the same for a memo: there is no marker, and a duplicate is harmless.
// An answer by which it has landed is believed for as long as one about a batch.
func decideMemo(m Memo, height uint64, statuses []Status) (a Action, index int) {
	for i, s := range statuses {
		if s.Final && s.Err == "" {
			return Finalize, i
		}
	}
	n := len(m.Attempts)
	waits := n == 0 || height <= m.Attempts[n-1].LastValid+forgetAfter
	for _, s := range statuses {
		if waits && s.Known && s.Err == "" {
			return Wait, 0
		}
	}
	if n > 0 && height <= m.Attempts[n-1].LastValid {
		return Resend, 0
	}
	return Sign, 0
}
