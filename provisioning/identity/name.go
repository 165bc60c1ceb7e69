package identity

import (
	"crypto/sha256"
	_ "embed"
	"strings"
)

// The lists are part of the names: changing a word or the order renames
// hotspots. Each has 256 distinct words, sorted, one a line.
var (
	//go:embed words/first.txt
	firstText string
	//go:embed words/second.txt
	secondText string
	//go:embed words/third.txt
	thirdText string

	words = [3][]string{strings.Fields(firstText), strings.Fields(secondText), strings.Fields(thirdText)}
)

// Name is a name of three words for people to talk about the hotspot, such as
// "patient-copper-heron". The first three bytes of the binary key's SHA-256 pick
// one word from each of three lists of 256. There are 16.8 million names, so
// among many hotspots two will share one: always show the key beside it, and
// never look a hotspot up by name alone.
func (id HotspotID) Name() string {
	h := sha256.Sum256(id[:])
	return words[0][h[0]] + "-" + words[1][h[1]] + "-" + words[2][h[2]]
}
