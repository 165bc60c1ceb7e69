// Package registry is who the hotspots are and what they assert: a sorted
// snapshot folded from the assertions in the journal. It is pure.
package registry

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"iter"
	"slices"

	"heliograph/oracle/journal"
	"heliograph/poc"
	"heliograph/poc/geo"
	"heliograph/poc/native"
	"heliograph/provisioning/identity"
)

// Hotspot is one registered hotspot.
type Hotspot struct {
	ID        identity.HotspotID
	Assertion poc.Assertion
	Area      native.Area // derived from the asserted place with integers only
}

// Site is the antenna as the rules see it.
func (h Hotspot) Site() native.Site { return native.SiteOf(h.Assertion) }

// Cell is the H3 cell of the asserted place, for display: it is computed in
// floating point and no rule may depend on it.
func (h Hotspot) Cell(resolution int) geo.Cell { return geo.CellOf(h.Site().Place, resolution) }

// Snapshot is the registry at one point of the journal, sorted by id. It is
// immutable and safe for concurrent use; the zero value is empty.
type Snapshot struct {
	hotspots []Hotspot
}

// Len is the number of hotspots.
func (s *Snapshot) Len() int { return len(s.hotspots) }

// At is the hotspot at a position of 0..Len()-1 in the order of ids.
func (s *Snapshot) At(i int) Hotspot { return s.hotspots[i] }

// Index finds the position of an id.
func (s *Snapshot) Index(id identity.HotspotID) (int, bool) {
	return slices.BinarySearchFunc(s.hotspots, id, func(h Hotspot, id identity.HotspotID) int {
		return bytes.Compare(h.ID[:], id[:])
	})
}

// Find looks a hotspot up.
func (s *Snapshot) Find(id identity.HotspotID) (Hotspot, bool) {
	i, ok := s.Index(id)
	if !ok {
		return Hotspot{}, false
	}
	return s.hotspots[i], true
}

// Owner is the wallet that a hotspot's rewards go to.
func (s *Snapshot) Owner(id identity.HotspotID) (poc.Wallet, bool) {
	h, ok := s.Find(id)
	return h.Assertion.Owner, ok
}

// All yields the hotspots in the order of their ids.
func (s *Snapshot) All() iter.Seq[Hotspot] { return slices.Values(s.hotspots) }

// Hash names the snapshot: SHA-256 over the bodies of the assertions in the order
// of ids, each behind its length.
func (s *Snapshot) Hash() [sha256.Size]byte {
	h := sha256.New()
	h.Write([]byte("heliograph/v1/registry\n"))
	var b []byte
	for i := range s.hotspots {
		body, _ := s.hotspots[i].Assertion.AppendBinary(b[:0]) // it was parsed, so it can be written
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(body))))
		h.Write(body)
		b = body
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// Fold makes the snapshot after some assertions, which must have been verified.
// Of each hotspot's the one with the highest sequence counts; of two with one
// sequence the first.
func Fold(assertions iter.Seq[poc.Assertion]) *Snapshot {
	current := make(map[identity.HotspotID]poc.Assertion)
	for a := range assertions {
		if old, known := current[a.Hotspot]; !known || a.Sequence > old.Sequence {
			current[a.Hotspot] = a
		}
	}
	s := &Snapshot{hotspots: make([]Hotspot, 0, len(current))}
	for id, a := range current {
		s.hotspots = append(s.hotspots, Hotspot{ID: id, Assertion: a, Area: native.AreaOf(native.SiteOf(a).Place)})
	}
	slices.SortFunc(s.hotspots, func(a, b Hotspot) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return s
}

// FromJournal folds the entries of the control shard, in their order. It verifies
// each assertion; an entry that is none, or whose signature does not fit, has no
// effect. Stop the sequence where the registry is to be frozen: the challenges of
// an epoch are fixed by the entries before its opening.
func FromJournal(entries iter.Seq2[journal.Position, journal.Entry]) *Snapshot {
	return Fold(func(yield func(poc.Assertion) bool) {
		for _, e := range entries {
			if e.Type != journal.TypeReport {
				continue
			}
			r, err := poc.ParseReport(e.Data)
			if err != nil || r.Kind != poc.KindAssertion || r.Verify() != nil {
				continue
			}
			if !yield(*r.Assertion) {
				return
			}
		}
	})
}
