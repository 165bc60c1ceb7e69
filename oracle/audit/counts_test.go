package audit_test

import (
	"testing"

	"heliograph/oracle/audit"
)

func TestCounts(t *testing.T) {
	for _, c := range []struct {
		m    map[string]int
		want string
	}{
		{nil, "none"},
		{map[string]int{}, "none"},
		{map[string]int{"beacon": 54}, "beacon 54"},
		{map[string]int{"witness": 795, "beacon": 54, "packet": 0}, "beacon 54, packet 0, witness 795"},
	} {
		if got := audit.Counts(c.m); got != c.want {
			t.Errorf("%v: %q, want %q", c.m, got, c.want)
		}
	}
}
