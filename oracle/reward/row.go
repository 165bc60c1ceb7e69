package reward

import (
	"encoding/binary"
	"errors"
	"fmt"

	"heliograph/oracle/ledger"
	"heliograph/poc"
	"heliograph/provisioning/identity"
)

// Row is one hotspot's reward in one epoch: a leaf of the epoch's tree.
type Row struct {
	Epoch   poc.Epoch
	Hotspot identity.HotspotID
	Owner   poc.Wallet
	Beacon  ledger.Amount
	Witness ledger.Amount
	Data    ledger.Amount
}

const (
	rowVersion = 1
	rowSize    = 1 + 4 + identity.Size + 32 + 3*8
)

// ErrRow: bytes are not a row.
var ErrRow = errors.New("reward: bad row")

// Total is the sum of the three amounts.
func (r Row) Total() (ledger.Amount, error) {
	sum, err := r.Beacon.Add(r.Witness)
	if err != nil {
		return 0, err
	}
	return sum.Add(r.Data)
}

// AppendBinary appends the canonical form: version u8, epoch u32, hotspot, owner,
// then the amounts for beacons, witnesses and data as u64, all big-endian.
func (r Row) AppendBinary(b []byte) ([]byte, error) {
	b = append(b, rowVersion)
	b = binary.BigEndian.AppendUint32(b, uint32(r.Epoch))
	b = append(append(b, r.Hotspot[:]...), r.Owner[:]...)
	for _, a := range []ledger.Amount{r.Beacon, r.Witness, r.Data} {
		b = binary.BigEndian.AppendUint64(b, uint64(a))
	}
	return b, nil
}

// ParseRow is the inverse of AppendBinary. It refuses empty rows and amounts that
// do not fit a ledger.
func ParseRow(b []byte) (r Row, err error) {
	if len(b) != rowSize || b[0] != rowVersion {
		return Row{}, fmt.Errorf("%w: %d bytes, want %d of version %d", ErrRow, len(b), rowSize, rowVersion)
	}
	r.Epoch = poc.Epoch(binary.BigEndian.Uint32(b[1:]))
	if r.Hotspot, err = identity.ParseHotspotID(b[5 : 5+identity.Size]); err != nil {
		return Row{}, fmt.Errorf("%w: %v", ErrRow, err)
	}
	rest := b[5+identity.Size:]
	copy(r.Owner[:], rest)
	for i, a := range []*ledger.Amount{&r.Beacon, &r.Witness, &r.Data} {
		*a = ledger.Amount(binary.BigEndian.Uint64(rest[32+8*i:]))
	}
	if sum, err := r.Total(); err != nil || sum == 0 {
		return Row{}, fmt.Errorf("%w: amounts are empty or too large", ErrRow)
	}
	return r, nil
}
