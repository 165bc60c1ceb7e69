package router

import "testing"

func TestDataCredits(t *testing.T) {
	for _, c := range []struct {
		bytes int
		want  uint64
	}{{0, 1}, {-5, 1}, {1, 1}, {24, 1}, {25, 2}, {48, 2}, {49, 3}, {255, 11}} {
		if got := DataCredits(c.bytes); got != c.want {
			t.Errorf("DataCredits(%d) = %d, want %d", c.bytes, got, c.want)
		}
	}
}
