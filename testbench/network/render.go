package network

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// screen draws a snapshot on lines of at most width characters. It fits a
// terminal of height lines by leaving out notes, then wallets.
func screen(s Snapshot, width, height int) string {
	lines := []string{
		fmt.Sprintf("Heliograph: a city of %d hotspots and %d devices       running %s", s.Hotspots, s.Devices, round(s.Elapsed)),
		"",
		"  page      " + s.Page,
		fmt.Sprintf("  epoch     %d, ends in %s        chain slot %d", s.Epoch, round(s.EpochEnds), s.Slot),
		fmt.Sprintf("  hotspots  %d of %d online, %d reports waiting", s.Online, s.Hotspots, s.Waiting),
		fmt.Sprintf("  beacons   %d sent, %d declined, %d times witnessed", s.Beacons, s.Declined, s.Witnesses),
		fmt.Sprintf("  packets   %d of %d devices joined, %d uplinks sent, %d delivered, %d acknowledged; %d copies heard",
			s.Joined, s.Devices, s.Uplinks, s.Delivered, s.Acked, s.Packets),
		"  verdicts  " + counts(s.Verdicts),
		"",
	}
	var tail []string
	if n := len(s.Epochs); n > 0 {
		tail = append(result(s.Epochs[n-1], width), "")
	}
	if room := height - len(lines) - len(tail) - 1; room > 1 {
		lines = append(lines, s.Notes[max(0, len(s.Notes)-room+1):]...)
		lines = append(lines, "")
	}
	lines = append(lines, tail...)
	if height > 0 && len(lines) > height {
		lines = append(lines[:height-1], "  (more lines than the terminal has)")
	}
	for i, l := range lines {
		if r := []rune(l); width > 0 && len(r) > width {
			lines[i] = string(r[:width])
		}
	}
	return strings.Join(lines, "\n")
}

// wide is how many characters a line with a wallet's address takes.
const wide = 140

// result lists an epoch's root, transactions and wallets. A width below wide,
// but for 0, leaves the addresses out.
func result(r EpochResult, width int) []string {
	lines := []string{fmt.Sprintf("epoch %d %s, root %s", r.Epoch, r.State, r.Root)}
	for _, s := range r.Signatures {
		lines = append(lines, fmt.Sprintf("  %-10s %s", s.What, s.ID))
	}
	row := func(name, wallet, paid, owed, chain, mark string) string {
		if width > 0 && width < wide {
			return fmt.Sprintf("  %-22.22s %16s %16s %16s %s", name, paid, owed, chain, mark)
		}
		return fmt.Sprintf("  %-27s %-44s %18s %18s %18s %s", name, wallet, paid, owed, chain, mark)
	}
	total := WalletLine{Name: fmt.Sprintf("all %d wallets", len(r.Wallets))}
	rows := make([]string, 0, len(r.Wallets))
	for _, w := range r.Wallets {
		rows = append(rows, row(w.Name, w.Wallet, tokens(w.Paid), tokens(w.Owed), tokens(w.Chain), equal(w.Paid == w.Chain)))
		total.Paid, total.Owed, total.Chain = total.Paid+w.Paid, total.Owed+w.Owed, total.Chain+w.Chain
	}
	lines = append(lines, row("owner of", "wallet", "paid by ledger", "owed", "on chain", ""),
		row(total.Name, "", tokens(total.Paid), tokens(total.Owed), tokens(total.Chain), equal(r.Equal())))
	return append(lines, rows...)
}

func equal(yes bool) string {
	if yes {
		return "="
	}
	return "DIFFERS"
}

// status is one line for logs.
func status(s Snapshot) string {
	return fmt.Sprintf("%s epoch %d ends in %s, slot %d, %d/%d online, beacons %d, witnesses %d, packets %d, devices %d/%d, uplinks %d, delivered %d, acked %d, verdicts %s",
		round(s.Elapsed), s.Epoch, round(s.EpochEnds), s.Slot, s.Online, s.Hotspots, s.Beacons, s.Witnesses, s.Packets,
		s.Joined, s.Devices, s.Uplinks, s.Delivered, s.Acked, counts(s.Verdicts))
}

// counts lists numbers by name, the largest first.
func counts(m map[string]int) string {
	if len(m) == 0 {
		return "none yet"
	}
	names := slices.Sorted(maps.Keys(m))
	slices.SortStableFunc(names, func(a, b string) int { return m[b] - m[a] })
	parts := make([]string, len(names))
	for i, n := range names {
		parts[i] = fmt.Sprintf("%s %d", n, m[n])
	}
	return strings.Join(parts, ", ")
}

// tokens prints an amount of the smallest unit in whole tokens.
func tokens(n uint64) string {
	unit := uint64(1)
	for range decimals {
		unit *= 10
	}
	return fmt.Sprintf("%d.%0*d", n/unit, decimals, n%unit)
}

func round(d time.Duration) time.Duration { return max(d, 0).Round(time.Second) }
