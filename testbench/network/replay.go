package network

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"

	"heliograph/oracle/audit"
	hsolana "heliograph/oracle/settle/solana"
)

// replayZone is a time zone that differs from most people's by an odd amount.
const replayZone = "Pacific/Chatham"

// replay recomputes an epoch in a fresh process in another time zone, and says
// whether its root is the one that the oracle published and that the memo on the
// chain holds as the root of the rewards.
func (c *city) replay(ctx context.Context, n uint32, log io.Writer) (bool, error) {
	path, err := program(c.cfg.Bin, "oraclectl")
	if err != nil {
		return false, err
	}
	e, err := c.oracle.explorer.epoch(ctx, n)
	if err != nil {
		return false, err
	}
	root := e.Root.String()
	memo, err := c.memo(ctx, e.Settlement.CommitSignature)
	if err != nil {
		return false, err
	}
	if !slices.Contains(strings.Fields(memo), "w="+root) {
		fmt.Fprintf(log, "the memo on chain is %q, the oracle's root %s\n", memo, root)
		return false, nil
	}
	cmd := exec.CommandContext(ctx, path, replayArgs(c, n)...)
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "TZ=") }), "TZ="+replayZone)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return false, fmt.Errorf("network: run oraclectl: %w", err)
	}
	var found audit.Report
	if jsonErr := json.Unmarshal(out, &found); jsonErr != nil {
		return false, fmt.Errorf("network: oraclectl epoch verify %d: %v: %s%s", n, jsonErr, out, stderr.String())
	}
	computed := ""
	for _, x := range found.Comparisons {
		if x.What == rootComparison {
			computed = x.Computed
		}
		if !x.OK {
			fmt.Fprintf(log, "oraclectl: %s: computed %s, claimed %s %s\n", x.What, x.Computed, x.Claimed, x.Note)
		}
	}
	if computed != root {
		fmt.Fprintf(log, "oraclectl computed root %q, the oracle published %s\n", computed, root)
	}
	return err == nil && found.OK && found.OnChain && computed == root, nil
}

// rootComparison is how oraclectl names the comparison of the epoch's root.
const rootComparison = "root"

// memo is the text of a transaction, read from the chain.
func (c *city) memo(ctx context.Context, signature string) (string, error) {
	tx, err := hsolana.NewReader(c.chain.vm.URL()).Transaction(ctx, signature)
	if err != nil {
		return "", err
	}
	if tx.Failed != "" || len(tx.Memos) != 1 || tx.Payer != c.chain.hot {
		return "", fmt.Errorf("network: transaction %s is no memo of the oracle: payer %s, %d memos, %s", signature, tx.Payer, len(tx.Memos), tx.Failed)
	}
	return tx.Memos[0], nil
}

func replayArgs(c *city, n uint32) []string {
	return []string{
		"epoch", "verify", fmt.Sprint(n), "--url", c.oracle.explorer.base, "--rpc", c.chain.vm.URL(),
		"--oracle", c.oracle.hotspots.key.String(), "--payer", c.chain.hot.String(), "--json",
	}
}
