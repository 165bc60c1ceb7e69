package signer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"heliograph/oracle/ledger"
	"heliograph/oracle/settle"
)

// Policy is what a signer is bound to.
type Policy struct {
	Mint, Treasury [32]byte
	TokenProgram   [32]byte // that the mint belongs to; zero: SPL Token
	Distributor    [32]byte // program that wallets claim from; zero: none, and no call of it is signed
	Decimals       uint8
	MaxRent        uint64 // lamports that may be sent to one marker
	MaxPriorityFee uint64 // lamports of priority fee in one transaction
	MaxFees        uint64 // lamports of fees in a day, of all signatures; 0 = 1 SOL
	MaxEpoch       ledger.Amount
}

// program is the one token program that messages may call.
func (p Policy) program() account {
	if p.TokenProgram == ([32]byte{}) {
		return splToken
	}
	return p.TokenProgram
}

// distributor is the distributor program; without one it is an address that no
// instruction is left with when the other programs were looked at.
func (p Policy) distributor() account {
	if p.Distributor == ([32]byte{}) {
		return systemProgram
	}
	return p.Distributor
}

// refuse makes a refusal; its text is the reason.
func refuse(format string, args ...any) error { return &Refusal{fmt.Sprintf(format, args...)} }

// Refusal is a message that the policy does not allow.
type Refusal struct{ Reason string }

func (r *Refusal) Error() string { return "signer: refused: " + r.Reason }

// transfer is one TransferChecked.
type transfer struct {
	source, mint, destination, authority account
	amount                               uint64
	decimals                             uint8
}

// effects are what a message does, sorted. Everything else was refused.
type effects struct {
	memos     []string
	funded    []account // markers that got their rent
	allocated []settle.Marker
	opened    []account // markers made token accounts
	closed    []account
	transfers []transfer
	priority  uint64        // fee, lamports
	calls     []instruction // of the distributor program
}

const (
	markerSpace   = 165 // of an SPL token account
	maxUnits      = 1_400_000
	microLamports = 1_000_000
)

// effectsOf reads a message under the policy. Whether markers, recipients and
// texts are right is judged by the caller.
func (p Policy) effectsOf(hot account, b []byte) (e effects, err error) {
	m, err := parseMessage(b)
	if err != nil {
		return e, refuse("%v", err)
	}
	if m.payer != hot {
		return e, refuse("the fee payer is %s, not the hot key", m.payer)
	}
	f := &fee{}
	for i, ix := range m.instructions {
		switch ix.program {
		case budgetProgram:
			err = f.read(ix)
		case systemProgram:
			err = p.system(hot, ix, &e)
		case p.program():
			err = p.token(hot, ix, &e)
		case memoProgram:
			if len(ix.accounts) > 0 {
				err = errors.New("a memo names accounts")
			}
			e.memos = append(e.memos, string(ix.data))
		case p.distributor():
			e.calls = append(e.calls, ix)
		default:
			err = fmt.Errorf("program %s is not allowed", ix.program)
		}
		if err != nil {
			return e, refuse("instruction %d: %v", i, err)
		}
	}
	lamports, ok := f.lamports()
	if !ok || lamports > p.MaxPriorityFee {
		return e, refuse("the priority fee is above max_priority_fee, %d lamports", p.MaxPriorityFee)
	}
	e.priority = lamports
	return e, nil
}

// fee is what ComputeBudget instructions bid.
type fee struct {
	units, price       uint64
	hasUnits, hasPrice bool
}

func (f *fee) read(ix instruction) error {
	d := ix.data
	switch {
	case len(ix.accounts) > 0:
	case len(d) == 5 && d[0] == 2 && !f.hasUnits:
		f.units, f.hasUnits = uint64(binary.LittleEndian.Uint32(d[1:])), true
		if f.units <= maxUnits {
			return nil
		}
	case len(d) == 9 && d[0] == 3 && !f.hasPrice:
		f.price, f.hasPrice = binary.LittleEndian.Uint64(d[1:]), true
		return nil
	}
	return errors.New("a compute budget instruction other than one limit and one price")
}

// lamports is the bid, rounded up; without a limit the cluster's greatest counts.
func (f *fee) lamports() (uint64, bool) {
	units := f.units
	if !f.hasUnits {
		units = maxUnits
	}
	hi, lo := bits.Mul64(units, f.price)
	if hi >= microLamports {
		return 0, false
	}
	q, rem := bits.Div64(hi, lo, microLamports)
	if rem > 0 {
		q++
	}
	return q, true
}

// system takes Transfer (tag 2) from the hot key, and AllocateWithSeed (tag 9):
// base 32, length of the seed u64, seed, space u64, owner 32.
func (p Policy) system(hot account, ix instruction, e *effects) error {
	d := ix.data
	if len(d) < 4 || len(ix.accounts) != 2 {
		return errors.New("a system instruction that is not allowed")
	}
	switch tag := binary.LittleEndian.Uint32(d); tag {
	case 2:
		if len(d) != 12 || ix.accounts[0] != hot {
			return errors.New("a transfer of lamports that is not the hot key's")
		}
		if n := binary.LittleEndian.Uint64(d[4:]); n > p.MaxRent {
			return fmt.Errorf("%d lamports for a marker, at most %d (max_rent)", n, p.MaxRent)
		}
		e.funded = append(e.funded, ix.accounts[1])
	case 9:
		m, err := p.allocation(hot, ix)
		if err != nil {
			return err
		}
		e.allocated = append(e.allocated, m)
	default:
		return fmt.Errorf("system instruction %d is not allowed", tag)
	}
	return nil
}

// allocation reads AllocateWithSeed and checks everything but the epoch.
func (p Policy) allocation(hot account, ix instruction) (m settle.Marker, err error) {
	const head, tail = 4 + keySize + 8, 8 + keySize
	d := ix.data
	if len(d) < head+tail {
		return m, errors.New("AllocateWithSeed is cut short")
	}
	seed := d[head : len(d)-tail]
	rest := d[len(d)-tail:]
	switch {
	case account(d[4:4+keySize]) != hot || ix.accounts[1] != hot:
		return m, errors.New("the base of the marker is not the hot key")
	case binary.LittleEndian.Uint64(d[4+keySize:]) != uint64(len(seed)):
		return m, errors.New("the marker's seed has another length than stated")
	case binary.LittleEndian.Uint64(rest) != markerSpace || account(rest[8:]) != p.program():
		return m, errors.New("the marker is not a token account")
	}
	if n, err := fmt.Sscanf(string(seed), "hs/%d/%d", &m.Epoch, &m.Batch); n != 2 || err != nil || markerSeed(m) != string(seed) {
		return m, fmt.Errorf("the marker's seed %.40q is not hs/<epoch>/<batch>", seed)
	}
	if ix.accounts[0] != p.markerOf(hot, m) {
		return m, errors.New("the marker's address does not follow from its seed")
	}
	return m, nil
}

// token takes InitializeAccount3 (tag 18) for the hot key, TransferChecked (12)
// by it, and CloseAccount (9) to it.
func (p Policy) token(hot account, ix instruction, e *effects) error {
	d, a := ix.data, ix.accounts
	if len(d) == 0 {
		return errors.New("an empty token instruction")
	}
	switch {
	case d[0] == 18 && len(d) == 1+keySize && len(a) == 2:
		if a[1] != p.Mint || account(d[1:]) != hot {
			return errors.New("an account is opened for another mint or owner")
		}
		e.opened = append(e.opened, a[0])
	case d[0] == 12 && len(d) == 10 && len(a) == 4:
		t := transfer{a[0], a[1], a[2], a[3], binary.LittleEndian.Uint64(d[1:]), d[9]}
		switch {
		case t.mint != p.Mint:
			return fmt.Errorf("a transfer of the mint %s", t.mint)
		case t.decimals != p.Decimals:
			return fmt.Errorf("a transfer with %d decimals, the mint has %d", t.decimals, p.Decimals)
		case t.authority != hot:
			return errors.New("a transfer under another authority")
		}
		e.transfers = append(e.transfers, t)
	case d[0] == 9 && len(d) == 1 && len(a) == 3:
		if a[1] != hot || a[2] != hot {
			return errors.New("an account is closed to or by another than the hot key")
		}
		e.closed = append(e.closed, a[0])
	default:
		return fmt.Errorf("token instruction %d is not allowed in this form", d[0])
	}
	return nil
}
