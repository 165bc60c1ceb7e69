package network

import (
	"strings"
	"testing"
	"time"
)

func TestTokens(t *testing.T) {
	for n, want := range map[uint64]string{0: "0.00000000", 1: "0.00000001", 123_45678901: "123.45678901", 1<<64 - 1: "184467440737.09551615"} {
		if got := tokens(n); got != want {
			t.Errorf("tokens(%d) = %s, want %s", n, got, want)
		}
	}
}

func sample() Snapshot {
	s := Snapshot{
		Elapsed: 83 * time.Second, Page: "https://127.0.0.1:8443/", Slot: 771, Epoch: 9, EpochEnds: 37 * time.Second,
		Hotspots: 24, Online: 23, Beacons: 17, Witnesses: 212, Packets: 40, Devices: 6, Joined: 5,
		Verdicts: map[string]int{"too_far": 2, "ok": 230, "duplicate": 2},
	}
	for i := range 50 {
		s.Notes = append(s.Notes, "note "+strings.Repeat("x", i))
	}
	r := EpochResult{Epoch: 8, Root: "abcd", State: "closed", Signatures: []Signature{{"payout", "5sig"}}}
	for range 24 {
		r.Wallets = append(r.Wallets, WalletLine{Name: "Rathaus", Wallet: "w", Paid: 5, Chain: 5})
	}
	s.Epochs = []EpochResult{r}
	return s
}

func TestScreenFits(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {200, 60}, {40, 10}, {132, 43}} {
		lines := strings.Split(screen(sample(), size[0], size[1]), "\n")
		if len(lines) > size[1] {
			t.Errorf("%v: %d lines", size, len(lines))
		}
		for _, l := range lines {
			if len([]rune(l)) > size[0] {
				t.Errorf("%v: line of %d characters", size, len([]rune(l)))
			}
		}
	}
	text := screen(sample(), 0, 0)
	for _, want := range []string{"ends in 37s", "slot 771", "ok 230, duplicate 2, too_far 2", "https://127.0.0.1:8443/", "root abcd", "payout     5sig"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
}

func TestDifferenceIsShown(t *testing.T) {
	r := sample().Epochs[0]
	if !r.Equal() || strings.Contains(strings.Join(result(r, 0), "\n"), "DIFFERS") {
		t.Error("equal amounts differ")
	}
	r.Wallets[3].Chain--
	if r.Equal() || !strings.Contains(strings.Join(result(r, 0), "\n"), "DIFFERS") {
		t.Error("a difference goes unseen")
	}
	narrow := strings.Join(result(r, 80), "\n")
	for _, want := range []string{"all 24 wallets", "0.00000120", "0.00000119", "DIFFERS"} {
		if !strings.Contains(narrow, want) {
			t.Errorf("%q is missing in a narrow table:\n%s", want, narrow)
		}
	}
	for _, l := range strings.Split(narrow, "\n")[2:] { // below root and signature
		if len(l) > 85 {
			t.Errorf("line of %d characters: %s", len(l), l)
		}
	}
	if (EpochResult{}).Equal() {
		t.Error("no wallets count as equal")
	}
}
