package settings

import (
	"fmt"
	"strconv"
	"strings"
)

// suggest names the known key nearest to a wrong one.
func suggest(wrong string, known []string) string {
	best, distance := "", len(wrong)/3+2
	for _, k := range known {
		d := editDistance(wrong, k)
		// A key without its table is the commonest slip.
		if i := strings.LastIndexByte(k, '.'); i >= 0 {
			d = min(d, editDistance(wrong, k[i+1:])+1)
		}
		if d < distance {
			best, distance = k, d
		}
	}
	if best == "" {
		return "no known key resembles it, see --help for the list"
	}
	return fmt.Sprintf("did you mean %q?", best)
}

// editDistance counts insertions, deletions, substitutions and swaps of
// neighbours (optimal string alignment). Arguments are cut at 64 bytes.
func editDistance(a, b string) int {
	a, b = a[:min(len(a), 64)], b[:min(len(b), 64)]
	before, prev, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, prev, row = prev, row, before
	}
	return prev[len(b)]
}

// at finds the line on which a file sets a key: " line 3", or "" when the key is
// written in a way that this simple search does not see.
func at(text, key string) string {
	table := ""
	for n, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if t, ok := strings.CutPrefix(line, "["); ok {
			t, _, _ = strings.Cut(strings.TrimPrefix(t, "["), "]")
			table = plain(t)
			if table == key {
				return " line " + strconv.Itoa(n+1)
			}
			continue
		}
		name, _, ok := strings.Cut(line, "=")
		if !ok {
			continue
		}
		full := plain(name)
		if table != "" {
			full = table + "." + full
		}
		// An inline table sets all that is below it on one line.
		if full == key || strings.HasPrefix(key, full+".") {
			return " line " + strconv.Itoa(n+1)
		}
	}
	return ""
}

// plain takes quotes and blanks out of a TOML key.
func plain(key string) string {
	return strings.NewReplacer(" ", "", "\t", "", `"`, "", "'", "").Replace(key)
}
