package ledger

import (
	"fmt"
	"testing"

	"heliograph/oracle/store/mem"
	"heliograph/poc"
)

// TestPlacesFollowTheBooking, whatever the causes are called, and a batch that is
// booked again keeps its place.
func TestPlacesFollowTheBooking(t *testing.T) {
	b := NewBook(mem.NewKV())
	w := poc.Wallet{1}
	causes := []string{"pay/9/0", "earn/10/a", "hold/9/0/1", "earn/10/a", "pay/10/0"}
	for _, c := range causes {
		if err := b.Post(t.Context(), Move(c, Issued, Owed(w), 5)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := b.Places(t.Context(), append(causes, "never")...)
	if want := "[1 2 3 2 4 0]"; err != nil || fmt.Sprint(got) != want {
		t.Errorf("places %v, %v, want %s", got, err, want)
	}
}
