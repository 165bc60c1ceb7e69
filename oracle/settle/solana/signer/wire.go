package signer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"heliograph/oracle/settle"
	"heliograph/poc"
)

// The protocol on the socket: a frame is its length as u32, big-endian, and that
// many bytes. A connection carries requests and answers in turn.
//
//	request   op u8, then
//	          identity   nothing; the answer holds key, mint, treasury
//	                     and token program
//	          sign       kind u8, markers u8, wallets u8, (epoch u32, batch u32)*,
//	                     wallet 32*, message; the answer is the signature
//	          has        epoch u32, SHA-256 of a list; the answer is 1 or 0
//	          register   epoch u32, list
//	answer    status u8, then the answer or a text
const (
	opIdentity = 1
	opSign     = 2
	opHas      = 3
	opRegister = 4

	statusOK      = 0
	statusRefused = 1 // the policy says no
	statusBusy    = 2 // later
	statusFailed  = 3

	maxFrame  = 256 << 20 // a list of two million wallets
	maxAnswer = 8 << 10
	maxSmall  = 64 << 10 // every request but a list
	// maxMarkers is how many a reclaim can hold.
	maxMarkers = 64
)

var errFrame = errors.New("signer: bad frame")

// readFrame takes memory as the bytes come, not as the length promises.
func readFrame(r io.Reader, limit uint32) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n == 0 || n > limit {
		return nil, fmt.Errorf("%w: %d bytes, want 1..%d", errFrame, n, limit)
	}
	b, err := io.ReadAll(io.LimitReader(r, int64(n)))
	if err == nil && len(b) != int(n) {
		err = io.ErrUnexpectedEOF
	}
	return b, err
}

func writeFrame(w io.Writer, kind byte, body []byte) error {
	b := binary.BigEndian.AppendUint32(make([]byte, 0, len(body)+5), uint32(len(body)+1))
	_, err := w.Write(append(append(b, kind), body...))
	return err
}

// appendSign is the body of a request to sign.
func appendSign(b []byte, msg []byte, p Purpose) ([]byte, error) {
	if len(p.Markers) > maxMarkers || len(p.Wallets) > 255 {
		return nil, fmt.Errorf("%w: %d markers and %d wallets", errFrame, len(p.Markers), len(p.Wallets))
	}
	b = append(b, byte(p.Kind), byte(len(p.Markers)), byte(len(p.Wallets)))
	for _, m := range p.Markers {
		b = binary.BigEndian.AppendUint32(b, uint32(m.Epoch))
		b = binary.BigEndian.AppendUint32(b, m.Batch)
	}
	for _, w := range p.Wallets {
		b = append(b, w[:]...)
	}
	return append(b, msg...), nil
}

// parseSign is the inverse of appendSign.
func parseSign(b []byte) (msg []byte, p Purpose, err error) {
	if len(b) < 3 {
		return nil, p, fmt.Errorf("%w: cut short", errFrame)
	}
	p.Kind = Kind(b[0])
	markers, wallets := int(b[1]), int(b[2])
	b = b[3:]
	if markers > maxMarkers || len(b) < 8*markers+keySize*wallets {
		return nil, p, fmt.Errorf("%w: %d markers and %d wallets do not fit", errFrame, markers, wallets)
	}
	for range markers {
		p.Markers = append(p.Markers, settle.Marker{Epoch: poc.Epoch(binary.BigEndian.Uint32(b)), Batch: binary.BigEndian.Uint32(b[4:])})
		b = b[8:]
	}
	for range wallets {
		p.Wallets = append(p.Wallets, poc.Wallet(b[:keySize]))
		b = b[keySize:]
	}
	return append([]byte(nil), b...), p, nil
}
