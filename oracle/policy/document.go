package policy

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"unicode/utf8"

	"heliograph/oracle/ledger"
	"heliograph/oracle/reward"
	"heliograph/poc"
	"heliograph/provisioning/identity"
)

// Hash names a document: the SHA-256 of its canonical bytes.
type Hash [sha256.Size]byte

func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText is [Hash.String].
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads 64 hexadecimal digits.
func (h *Hash) UnmarshalText(b []byte) error {
	if len(b) != 2*len(h) {
		return fmt.Errorf("policy: hash of %d characters, want %d", len(b), 2*len(h))
	}
	_, err := hex.Decode(h[:], b)
	return err
}

// Document is one version of a network's policy.
type Document struct {
	Network   string    // which network it is for; at most MaxNetwork bytes
	Version   uint32    // 1, 2, 3...
	Previous  Hash      // of the version before; zero for version 1
	Announced poc.Epoch // the epoch in which it was signed
	From      poc.Epoch // the first epoch that it counts for; above Announced
	Schedule  Schedule
	// Shares is how an epoch's emission is shared out. Its Emission is not used: it
	// comes from the schedule.
	Shares reward.Policy
	// Threshold is the least sum that is paid out; smaller ones are carried over to
	// the wallet's next epoch. 0 and 1: everything is paid.
	Threshold ledger.Amount
	Operator  poc.Wallet // gets the operations share; zero: it stays in the remainder
	// Successor signs the versions after this one, which the key before it has signed;
	// zero: the same key goes on.
	Successor identity.HotspotID
}

// MaxNetwork bounds a network's name.
const MaxNetwork = 64

// ErrDocument: bytes are not a document.
var ErrDocument = errors.New("policy: bad document")

// magic begins a document and keeps its signature apart from every other.
const magic = "heliograph policy\x00"

// The forms: the second one has a successor behind what is in the first. A document
// without one is always written in the first.
const (
	form          = 1
	successorForm = 2
)

// size of a document of the first form without its network's name.
const size = len(magic) + 1 + 1 + 4 + sha256.Size + 4 + 4 + 1 + 8 + 8 + 4 + 4 + 8*8 + 8 + 32

// Check says whether the document holds together by itself.
func (d Document) Check() error {
	switch {
	case len(d.Network) > MaxNetwork || !utf8.ValidString(d.Network):
		return fmt.Errorf("%w: network's name of %d bytes, at most %d of UTF-8", ErrDocument, len(d.Network), MaxNetwork)
	case d.Version == 0:
		return fmt.Errorf("%w: version 0: the first is 1", ErrDocument)
	case (d.Version == 1) != (d.Previous == Hash{}):
		return fmt.Errorf("%w: version %d: all but the first name the hash of the version before", ErrDocument, d.Version)
	case d.Version > 1 && d.From <= d.Announced:
		return fmt.Errorf("%w: version %d counts from epoch %d, but it was announced in epoch %d: a change must not be retroactive", ErrDocument, d.Version, d.From, d.Announced)
	case d.Threshold > ledger.MaxAmount:
		return fmt.Errorf("%w: threshold is above %d", ErrDocument, ledger.MaxAmount)
	case d.Shares.Emission != 0:
		return fmt.Errorf("%w: the emission comes from the schedule", ErrDocument)
	}
	if err := d.Schedule.Check(); err != nil {
		return fmt.Errorf("%w: %w", ErrDocument, err)
	}
	if err := d.Shares.Validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrDocument, err)
	}
	return nil
}

// AppendBinary appends the canonical form: magic, form u8, length u8 and network,
// version u32, hash of the version before, announced u32, from u32; schedule kind
// u8, initial u64, final u64, start u32, span u32; the shares of beacons,
// witnesses, data, operations and of the data rest for beacons, credit price, cap
// ratio, cap floor, threshold u64 each; operator. All big-endian. Of form 2 the
// successor's key follows, in its canonical bytes.
func (d Document) AppendBinary(b []byte) ([]byte, error) {
	if err := d.Check(); err != nil {
		return b, err
	}
	be := binary.BigEndian
	kind := byte(form)
	if !d.Successor.IsZero() {
		kind = successorForm
	}
	b = append(append(b, magic...), kind, byte(len(d.Network)))
	b = append(b, d.Network...)
	b = append(be.AppendUint32(b, d.Version), d.Previous[:]...)
	b = be.AppendUint32(be.AppendUint32(b, uint32(d.Announced)), uint32(d.From))
	s := d.Schedule
	b = be.AppendUint64(be.AppendUint64(append(b, byte(s.Kind)), uint64(s.Initial)), uint64(s.Final))
	b = be.AppendUint32(be.AppendUint32(b, uint32(s.Start)), s.Span)
	p := d.Shares
	for _, n := range []uint64{p.Beacon, p.Witness, p.Data, p.Operations, p.DataRest, uint64(p.CreditPrice), p.CapRatio, uint64(p.CapFloor), uint64(d.Threshold)} {
		b = be.AppendUint64(b, n)
	}
	b = append(b, d.Operator[:]...)
	if !d.Successor.IsZero() {
		b = append(b, d.Successor[:]...)
	}
	return b, nil
}

// Parse is the inverse of AppendBinary; it refuses a document that [Document.Check]
// refuses.
func Parse(b []byte) (d Document, err error) {
	if len(b) < size || string(b[:len(magic)]) != magic || b[len(magic)] != form && b[len(magic)] != successorForm {
		return d, fmt.Errorf("%w: %d bytes that do not begin as one of form %d or %d", ErrDocument, len(b), form, successorForm)
	}
	rest, want := b[len(magic)+1:], size
	if b[len(magic)] == successorForm {
		want += identity.Size
	}
	if want += int(rest[0]); len(b) != want {
		return d, fmt.Errorf("%w: %d bytes, want %d", ErrDocument, len(b), want)
	}
	r := reader{rest[1:]}
	d.Network = string(r.take(int(rest[0])))
	d.Version = r.u32()
	d.Previous = Hash(r.take(sha256.Size))
	d.Announced, d.From = poc.Epoch(r.u32()), poc.Epoch(r.u32())
	d.Schedule.Kind = Kind(r.take(1)[0])
	d.Schedule.Initial, d.Schedule.Final = ledger.Amount(r.u64()), ledger.Amount(r.u64())
	d.Schedule.Start, d.Schedule.Span = poc.Epoch(r.u32()), r.u32()
	p := &d.Shares
	p.Beacon, p.Witness, p.Data, p.Operations, p.DataRest = r.u64(), r.u64(), r.u64(), r.u64(), r.u64()
	p.CreditPrice, p.CapRatio, p.CapFloor, d.Threshold = ledger.Amount(r.u64()), r.u64(), ledger.Amount(r.u64()), ledger.Amount(r.u64())
	d.Operator = poc.Wallet(r.take(32))
	if b[len(magic)] == successorForm {
		var err error
		if d.Successor, err = identity.ParseHotspotID(r.take(identity.Size)); err != nil {
			return Document{}, fmt.Errorf("%w: successor: %w", ErrDocument, err)
		}
	}
	if err := d.Check(); err != nil {
		return Document{}, err
	}
	return d, nil
}

// reader takes fields off bytes whose length was checked.
type reader struct{ b []byte }

func (r *reader) take(n int) []byte {
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}
func (r *reader) u32() uint32 { return binary.BigEndian.Uint32(r.take(4)) }
func (r *reader) u64() uint64 { return binary.BigEndian.Uint64(r.take(8)) }

// Hash names the document. The document must hold together.
func (d Document) Hash() (Hash, error) {
	b, err := d.AppendBinary(nil)
	if err != nil {
		return Hash{}, err
	}
	return sha256.Sum256(b), nil
}

// Reward is what counts for one epoch.
func (d Document) Reward(e poc.Epoch) reward.Policy {
	p := d.Shares
	p.Emission = d.Schedule.At(e)
	return p
}
