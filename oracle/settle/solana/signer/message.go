package signer

import (
	"errors"
	"fmt"
)

// Limits of a legacy message. A transaction is one packet of 1,232 bytes, of which
// a signature and its count take 65.
const (
	maxMessage = 1232 - 65
	keySize    = 32
)

// account is an address.
type account [keySize]byte

// instruction is one call of a program, with its accounts looked up.
type instruction struct {
	program  account
	accounts []account
	data     []byte
}

// message is a decoded legacy message with one signer.
type message struct {
	payer        account
	instructions []instruction
}

// errMessage: bytes are not a legacy message.
var errMessage = errors.New("not a legacy message")

// parseMessage decodes a legacy message: header (signers, read-only signers,
// read-only others), keys, blockhash, instructions; lists begin with a compact
// u16. It takes messages that one key signs, and no byte more than they need.
func parseMessage(b []byte) (m message, err error) {
	if len(b) > maxMessage {
		return m, fmt.Errorf("%w: %d bytes, at most %d", errMessage, len(b), maxMessage)
	}
	r := &reader{b: b}
	signers, roSigners, roOthers := r.byte(), r.byte(), r.byte()
	if signers&0x80 != 0 {
		return m, fmt.Errorf("%w: it is a versioned message, whose accounts may come from tables", errMessage)
	}
	keys := make([]account, 0, 40)
	seen := make(map[account]bool, 40)
	for range r.compact() {
		k := account(r.take(keySize))
		if r.bad {
			break
		}
		if seen[k] {
			return m, fmt.Errorf("%w: an account is listed twice", errMessage)
		}
		seen[k] = true
		keys = append(keys, k)
	}
	r.take(keySize) // blockhash: any will do, the cluster judges it
	for range r.compact() {
		ix, ok := r.instruction(keys)
		if !ok {
			break
		}
		m.instructions = append(m.instructions, ix)
	}
	switch {
	case r.bad:
		return m, fmt.Errorf("%w: it is cut short or names an account that it does not have", errMessage)
	case len(r.b) > 0:
		return m, fmt.Errorf("%w: %d bytes follow its end", errMessage, len(r.b))
	case signers != 1 || roSigners != 0 || len(keys) < 1 || int(roOthers) > len(keys)-1:
		return m, fmt.Errorf("%w: it wants %d signatures (%d read-only); this signer gives one, as the fee payer", errMessage, signers, roSigners)
	}
	m.payer = keys[0]
	return m, nil
}

// reader takes bytes from the front; once it has failed, everything is zero.
type reader struct {
	b   []byte
	bad bool
}

var zeros [keySize]byte

// take returns n bytes; n is at most what is left, or keySize zeros stand in.
func (r *reader) take(n int) []byte {
	if r.bad || n > len(r.b) {
		r.bad = true
		return zeros[:min(n, keySize)]
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) byte() byte { return r.take(1)[0] }

// compact reads a length of one or two bytes, seven bits each, the lower ones
// first. Three bytes, which the format knows, are longer than any packet.
func (r *reader) compact() int {
	lo := r.byte()
	if lo < 0x80 {
		return r.bounded(int(lo))
	}
	hi := r.byte()
	if hi == 0 || hi >= 0x80 { // written too long, or too long
		r.bad = true
	}
	return r.bounded(int(lo&0x7f) | int(hi)<<7)
}

// bounded refuses a count of things that cannot be there.
func (r *reader) bounded(n int) int {
	if r.bad || n > len(r.b) {
		r.bad = true
		return 0
	}
	return n
}

func (r *reader) instruction(keys []account) (ix instruction, ok bool) {
	program := int(r.byte())
	if program == 0 || program >= len(keys) {
		r.bad = true
		return ix, false
	}
	ix.program = keys[program]
	for _, i := range r.take(r.compact()) {
		if int(i) >= len(keys) {
			r.bad = true
			return ix, false
		}
		ix.accounts = append(ix.accounts, keys[i])
	}
	ix.data = r.take(r.compact())
	return ix, !r.bad
}
