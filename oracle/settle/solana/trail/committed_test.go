package trail

import (
	"testing"

	"heliograph/oracle/settle"
	"heliograph/poc"
)

func TestCommitOf(t *testing.T) {
	text := settle.CommitText(4_000_000_000, 3, 5, settle.Roots{})
	for _, tt := range []struct {
		text string
		e    poc.Epoch
		ok   bool
	}{
		{text, 4_000_000_000, true},
		{"[236] " + text, 4_000_000_000, true},
		{"hsx1 e=7 s=00 p=1 h=2", 0, false},
		{"hsr1 e=99999999999 n=1", 0, false},
		{"hsr1 e=-1 n=1", 0, false},
		{"hsr1 e=", 0, false},
		{"", 0, false},
	} {
		if e, ok := commitOf(tt.text); ok != tt.ok || ok && e != tt.e {
			t.Errorf("%q: %d, %v", tt.text, e, ok)
		}
	}
}
