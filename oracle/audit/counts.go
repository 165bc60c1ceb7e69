package audit

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Counts shows counts by name for people: "beacon 54, packet 536", sorted by name;
// "none" when there are none.
func Counts(m map[string]int) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, fmt.Sprintf("%s %d", k, m[k]))
	}
	if len(out) == 0 {
		return "none"
	}
	return strings.Join(out, ", ")
}
