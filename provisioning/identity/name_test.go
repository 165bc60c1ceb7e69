package identity

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
)

func TestWordLists(t *testing.T) {
	seen := map[string]int{}
	for n, list := range words {
		if len(list) != 256 {
			t.Errorf("list %d has %d words", n, len(list))
		}
		if !slices.IsSorted(list) {
			t.Errorf("list %d is not sorted", n)
		}
		for _, w := range list {
			if prev, dup := seen[w]; dup {
				t.Errorf("%q is in list %d and in list %d", w, prev, n)
			}
			seen[w] = n
			if len(w) < 2 || len(w) > 11 || strings.Trim(w, "abcdefghijklmnopqrstuvwxyz") != "" {
				t.Errorf("%q is not 2 to 11 lower-case letters", w)
			}
		}
	}
}

// Changing the lists would rename every hotspot; this stops it.
func TestNamesAreStable(t *testing.T) {
	sum := sha256.Sum256([]byte(firstText + secondText + thirdText))
	if got := hex.EncodeToString(sum[:8]); got != wordListSum {
		t.Errorf("word lists have the sum %s, want %s", got, wordListSum)
	}
	id, err := ParseText("14tCTJDdrecpCN29entF8btzNAoDP6qEAn8CxUiT9SdVwiyXji8")
	if err != nil {
		t.Fatal(err)
	}
	h := sha256.Sum256(id.Bytes())
	want := strings.Join([]string{words[0][h[0]], words[1][h[1]], words[2][h[2]]}, "-")
	if got := id.Name(); got != want || got != knownName {
		t.Errorf("name %q, want %q", got, knownName)
	}
}

func TestNamesSpread(t *testing.T) {
	names := map[string]bool{}
	for seed := range int64(300) {
		names[mustKey(t, Ed25519, seed).ID().Name()] = true
	}
	if len(names) < 298 { // expected collisions among 300 of 16.8 million: 0.003
		t.Errorf("300 keys have only %d names", len(names))
	}
}

const (
	wordListSum = "022cecd30d6184a8"
	knownName   = "solar-serge-grouse"
)
