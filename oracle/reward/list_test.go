package reward

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"heliograph/oracle/ledger"
	"heliograph/poc"
)

func TestListIsCanonical(t *testing.T) {
	list := []Payout{{poc.Wallet{1}, 7}, {poc.Wallet{2}, 1 << 40}}
	text := AppendList(nil, list)
	got, total, err := ParseList(text)
	if err != nil || total != 7+1<<40 || len(got) != 2 || got[1] != list[1] {
		t.Fatalf("%v, %d, %v", got, total, err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	for name, bad := range map[string]string{
		"no end":        strings.TrimSuffix(string(text), "\n"),
		"wrong order":   lines[1] + lines[0],
		"twice":         lines[0] + lines[0],
		"empty line":    "\n" + string(text),
		"spaces":        strings.Replace(string(text), ":", ": ", 1),
		"zero amount":   strings.Replace(lines[0], `"7"`, `"0"`, 1),
		"leading zero":  strings.Replace(lines[0], `"7"`, `"07"`, 1),
		"negative":      strings.Replace(lines[0], `"7"`, `"-7"`, 1),
		"over a ledger": strings.Replace(lines[0], `"7"`, `"9223372036854775808"`, 1),
		"not a wallet":  strings.Replace(lines[0], `:"4`, `:"0`, 1),
		"other field":   strings.Replace(lines[0], `}`, `,"x":1}`, 1),
		"total too large": string(AppendList(nil, []Payout{
			{poc.Wallet{1}, ledger.MaxAmount}, {poc.Wallet{2}, 1}})),
		"long line": strings.Repeat("x", 200) + "\n",
	} {
		if _, _, err := ParseList([]byte(bad)); !errors.Is(err, ErrList) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseList(f *testing.F) {
	f.Add(AppendList(nil, []Payout{{poc.Wallet{1}, 7}, {poc.Wallet{2}, 9}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, _, err := ParseList(b)
		if err == nil && !bytes.Equal(AppendList(nil, list), b) {
			t.Errorf("%q is read as %v, which is written otherwise", b, list)
		}
	})
}
