package payday

import (
	"fmt"
	"io"
	"strings"
	"testing"

	solanavm "heliograph/testbench/solana"
)

// TestCosts: the table of the docs is that of epochs which were paid, and a line of it
// adds up.
func TestCosts(t *testing.T) {
	vm := solanavm.ForTest(t, solanavm.Config{})
	costs, err := Costs(t.Context(), vm, []int{1, 20}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	one, more := costs[0], costs[1]
	if one.Recipients != 1 || one.Batches != 1 || one.Memos < 10_000 || one.Total <= one.Memos {
		t.Errorf("one recipient: %+v", one)
	}
	if more.Recipients != 20 || more.Batches != 2 || more.Memos != one.Memos || more.PerRecipient() >= one.PerRecipient() {
		t.Errorf("20 recipients: %+v", more)
	}
	line := fmt.Sprintf("| 20 | 2 | %d | %d | %d | ", more.Memos, 2*7, more.Total)
	if table := Markdown(costs, 7); !strings.Contains(table, line) {
		t.Errorf("no %q in %s", line, table)
	}
}
