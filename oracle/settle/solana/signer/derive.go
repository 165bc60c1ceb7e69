package signer

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/mr-tron/base58"

	"heliograph/oracle/settle"
	"heliograph/poc"
)

// Programs that a message may call, and that addresses are derived under.
var (
	systemProgram  = account{}
	splToken       = known("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")
	token2022      = known("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb")
	memoProgram    = known("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr")
	budgetProgram  = known("ComputeBudget111111111111111111111111111111")
	ataProgram     = known("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL")
	derivedAddress = []byte("ProgramDerivedAddress")
)

// known reads an address that stands in this file.
func known(text string) account {
	a, err := ParseAddress(text)
	if err != nil {
		panic(err) // a typing mistake above; every test meets it
	}
	return a
}

// TokenPrograms are the names of the token programs whose mints can be paid out.
func TokenPrograms() map[string][32]byte {
	return map[string][32]byte{"spl-token": splToken, "token-2022": token2022}
}

// ParseAddress reads the base58 text of an address.
func ParseAddress(text string) (a [32]byte, err error) {
	b, err := base58.Decode(text)
	if err != nil || len(b) != len(a) || base58.Encode(b) != text {
		return a, fmt.Errorf("%q is not a Solana address", text)
	}
	return [32]byte(b), nil
}

func (a account) String() string { return base58.Encode(a[:]) }

// markerSeed names a batch's marker.
func markerSeed(m settle.Marker) string { return fmt.Sprintf("hs/%d/%d", m.Epoch, m.Batch) }

// markerOf derives a marker: SHA-256 of base, seed and owning program.
func (p Policy) markerOf(hot account, m settle.Marker) account {
	program := p.program()
	h := sha256.New()
	h.Write(hot[:])
	h.Write([]byte(markerSeed(m)))
	h.Write(program[:])
	return account(h.Sum(nil))
}

// tokenAccountOf derives a wallet's associated token account: the first of the
// addresses with bump 255, 254... that is no point of the curve.
func (p Policy) tokenAccountOf(w poc.Wallet) (account, error) {
	program := p.program()
	for bump := 255; bump >= 0; bump-- {
		h := sha256.New()
		for _, part := range [][]byte{w[:], program[:], p.Mint[:], {byte(bump)}, ataProgram[:], derivedAddress} {
			h.Write(part)
		}
		if a := account(h.Sum(nil)); !onCurve(a) {
			return a, nil
		}
	}
	return account{}, errors.New("the wallet has no associated token account")
}

// Constants of edwards25519 (RFC 8032 5.1): the field 2^255-19 and the curve's d.
var (
	fieldP = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	one    = big.NewInt(1)
	curveD = edwardsD()
)

func edwardsD() *big.Int { // -121665/121666
	d := new(big.Int).ModInverse(big.NewInt(121666), fieldP)
	d.Mul(d, big.NewInt(-121665))
	return d.Mod(d, fieldP)
}

// onCurve says whether 32 bytes encode a point. A y outside the field is reduced,
// as the cluster's library does. x² = (y²-1)/(dy²+1) has a root exactly when the
// product of numerator and denominator is a square or zero.
func onCurve(a account) bool {
	le := a
	le[31] &= 0x7f // the sign of x
	slices.Reverse(le[:])
	y := new(big.Int).SetBytes(le[:])
	yy := y.Mul(y, y)
	yy.Mod(yy, fieldP)
	v := new(big.Int).Mul(curveD, yy)
	v.Add(v, one)
	u := yy.Sub(yy, one)
	u.Mul(u, v)
	return big.Jacobi(u.Mod(u, fieldP), fieldP) >= 0
}

// AddressText is the base58 text of an address.
func AddressText(a [32]byte) string { return base58.Encode(a[:]) }
