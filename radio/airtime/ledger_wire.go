package airtime

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"heliograph/radio"
)

// The saved form: version 1, uvarint number of bands; for each band its name
// (uvarint length), window and budget (uvarint microseconds), zig-zag base slot,
// uvarint number of slots and one uvarint of microseconds for each; at the end
// the IEEE CRC-32 of all before it, little-endian.
const ledgerVersion = 1

// maxLedgerBytes bounds what [ParseLedger] looks at.
const maxLedgerBytes = 512 << 10

// AppendBinary appends the saved form to b.
func (l *Ledger) AppendBinary(b []byte) ([]byte, error) {
	start := len(b)
	b = append(b, ledgerVersion)
	b = binary.AppendUvarint(b, uint64(len(l.accounts)))
	for _, a := range l.accounts {
		a.trim() // of the copy: slices share, the account's own length stays
		b = binary.AppendUvarint(b, uint64(len(a.band.Name)))
		b = append(b, a.band.Name...)
		b = binary.AppendUvarint(b, uint64(a.band.Window))
		b = binary.AppendUvarint(b, uint64(a.band.Budget))
		if len(a.used) == 0 {
			a.base = 0
		}
		b = binary.AppendVarint(b, a.base)
		b = binary.AppendUvarint(b, uint64(len(a.used)))
		for _, t := range a.used {
			b = binary.AppendUvarint(b, uint64(t))
		}
	}
	return binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b[start:])), nil
}

var errLedger = errors.New("airtime: parse ledger")

// ParseLedger reads what [Ledger.AppendBinary] wrote. The instants are those of
// the clock that was running then: call [Ledger.Resume] before use. When it
// fails, the caller starts with a new ledger and [Ledger.Fill].
func ParseLedger(b []byte) (*Ledger, error) {
	if len(b) > maxLedgerBytes {
		return nil, fmt.Errorf("%w: %d bytes, more than %d", errLedger, len(b), maxLedgerBytes)
	}
	if len(b) < 6 {
		return nil, fmt.Errorf("%w: %d bytes are too few", errLedger, len(b))
	}
	body, tail := b[:len(b)-4], b[len(b)-4:]
	if crc32.ChecksumIEEE(body) != binary.LittleEndian.Uint32(tail) {
		return nil, fmt.Errorf("%w: checksum does not match", errLedger)
	}
	if body[0] != ledgerVersion {
		return nil, fmt.Errorf("%w: version %d, want %d", errLedger, body[0], ledgerVersion)
	}
	r := reader{b: body[1:]}
	accounts := make([]account, 0, min(r.count(maxBands), maxBands))
	bands := make([]Band, 0, cap(accounts))
	for range cap(accounts) {
		a := r.account()
		accounts, bands = append(accounts, a), append(bands, a.band)
	}
	if r.bad || len(r.b) != 0 {
		return nil, fmt.Errorf("%w: truncated, oversized or trailing data", errLedger)
	}
	l, err := NewLedger(bands...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errLedger, err)
	}
	l.accounts = accounts
	return l, nil
}

// reader takes varints off a slice; after the first fault everything is zero.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) count(limit uint64) uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > limit || n > 1 && r.b[n-1] == 0 { // not the shortest form
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

// slot reads a zig-zag number within what an instant can reach.
func (r *reader) slot() int64 {
	v := r.count(uint64(maxInstant))
	return int64(v>>1) ^ -int64(v&1)
}

func (r *reader) account() account {
	var a account
	name := r.count(maxBandName)
	if uint64(len(r.b)) < name {
		r.bad, r.b = true, nil
		return a
	}
	a.band.Name, r.b = string(r.b[:name]), r.b[name:]
	a.band.Window = radio.Micros(r.count(uint64(maxWindow)))
	a.band.Budget = radio.Micros(r.count(uint64(maxWindow)))
	a.base = r.slot()
	n := r.count(keepSlots)
	for range n {
		a.used = append(a.used, radio.Micros(r.count(uint64(maxWindow))))
	}
	if n == 0 && a.base != 0 || n > 0 && (a.used[0] == 0 || a.used[n-1] == 0) {
		r.bad = true // not what AppendBinary writes
	}
	return a
}
