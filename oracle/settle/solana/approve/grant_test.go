package approve

import (
	"strings"
	"testing"

	"heliograph/oracle/ledger"
)

func TestGrantIsExactForEveryEpoch(t *testing.T) {
	one := Grant{Epoch: 7, Total: 1000, List: [32]byte{3}}
	text := "hsa1 e=7 t=1000 l=03" + strings.Repeat("00", 31)
	if a, err := one.Allowance(); err != nil || a != 1000 || one.Text() != text {
		t.Errorf("one epoch: %d, %v, %q", a, err, one.Text())
	}
	more := one
	more.Paid = 100
	more.Older = []Part{{Epoch: 3, Open: 20, List: [32]byte{1}}, {Epoch: 5, Open: 7, List: [32]byte{2}}}
	if a, err := more.Allowance(); err != nil || a != 927 || !strings.HasPrefix(more.Text(), text+" a=927 p=100 o=2:") {
		t.Errorf("with older epochs: %d, %v, %q", a, err, more.Text())
	}
	if len(more.Text()) > 300 {
		t.Errorf("the memo has %d bytes", len(more.Text()))
	}
	moved := more // the same sum, but from another epoch
	moved.Older = []Part{{Epoch: 3, Open: 7, List: [32]byte{1}}, {Epoch: 5, Open: 20, List: [32]byte{2}}}
	if moved.Text() == more.Text() {
		t.Error("two grants with the same memo")
	}
}

func TestGrantRefusesWhatDoesNotAddUp(t *testing.T) {
	for name, g := range map[string]Grant{
		"nothing":            {Epoch: 7},
		"all is paid":        {Epoch: 7, Total: 5, Paid: 5},
		"more paid than due": {Epoch: 7, Total: 5, Paid: 6},
		"too much":           {Epoch: 7, Total: ledger.MaxAmount + 1},
		"overflow":           {Epoch: 7, Total: ledger.MaxAmount, Older: []Part{{Epoch: 6, Open: 1}}},
		"not older":          {Epoch: 7, Total: 5, Older: []Part{{Epoch: 7, Open: 1}}},
		"twice":              {Epoch: 7, Total: 5, Older: []Part{{Epoch: 6, Open: 1}, {Epoch: 6, Open: 1}}},
		"newest first":       {Epoch: 7, Total: 5, Older: []Part{{Epoch: 6, Open: 1}, {Epoch: 5, Open: 1}}},
		"nothing open":       {Epoch: 7, Total: 5, Older: []Part{{Epoch: 6}}},
	} {
		if a, err := g.Allowance(); err == nil {
			t.Errorf("%s: approves %d", name, a)
		}
	}
	if a, err := (Grant{Epoch: 7, Total: 5, Paid: 5, Older: []Part{{Epoch: 6, Open: 1}}}).Allowance(); err != nil || a != 1 {
		t.Errorf("only an older epoch is open: %d, %v", a, err)
	}
}
