package reward

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/mr-tron/base58"

	"heliograph/oracle/ledger"
	"heliograph/poc"
)

// ErrList: bytes are not a published list of payouts.
var ErrList = errors.New("reward: bad list")

// listLine is one line of a published list.
type listLine struct {
	Wallet string `json:"wallet"`
	Amount string `json:"amount"`
}

// AppendList appends the published list of payouts: one line of JSON each, with
// wallet and amount as text, in the order given, which is by wallet.
func AppendList(b []byte, list []Payout) []byte {
	for _, p := range list {
		line, _ := json.Marshal(listLine{base58.Encode(p.Wallet[:]), strconv.FormatUint(uint64(p.Amount), 10)}) // two texts always encode
		b = append(append(b, line...), '\n')
	}
	return b
}

// ParseList is the inverse of AppendList. It takes the canonical bytes only:
// sorted by wallet, each wallet once, no empty amount, and a total that a ledger
// can hold, which it returns.
func ParseList(b []byte) (list []Payout, total ledger.Amount, err error) {
	for n := 1; len(b) > 0; n++ {
		line, rest, found := bytes.Cut(b, []byte{'\n'})
		if !found {
			return nil, 0, fmt.Errorf("%w: line %d does not end", ErrList, n)
		}
		b = rest
		p, err := parseLine(line)
		if err != nil {
			return nil, 0, fmt.Errorf("%w: line %d: %v", ErrList, n, err)
		}
		if len(list) > 0 && bytes.Compare(list[len(list)-1].Wallet[:], p.Wallet[:]) >= 0 {
			return nil, 0, fmt.Errorf("%w: line %d is not in the order of wallets", ErrList, n)
		}
		if total, err = total.Add(p.Amount); err != nil {
			return nil, 0, fmt.Errorf("%w: line %d: %v", ErrList, n, err)
		}
		list = append(list, p)
	}
	return list, total, nil
}

// maxLine is above the longest line: 44 and 20 digits.
const maxLine = 128

func parseLine(line []byte) (p Payout, err error) {
	if len(line) > maxLine {
		return p, fmt.Errorf("%d bytes, at most %d", len(line), maxLine)
	}
	var l listLine
	if err := json.Unmarshal(line, &l); err != nil {
		return p, err
	}
	w, err := base58.Decode(l.Wallet)
	if err != nil || len(w) != len(p.Wallet) {
		return p, fmt.Errorf("%q is not a wallet", l.Wallet)
	}
	n, err := strconv.ParseUint(l.Amount, 10, 64)
	if err != nil || n == 0 || n > uint64(ledger.MaxAmount) {
		return p, fmt.Errorf("%q is not an amount", l.Amount)
	}
	p = Payout{Wallet: poc.Wallet(w), Amount: ledger.Amount(n)}
	if again := AppendList(nil, []Payout{p}); !bytes.Equal(again[:len(again)-1], line) {
		return p, errors.New("not written canonically")
	}
	return p, nil
}
