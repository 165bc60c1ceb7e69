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

	hsolana "heliograph/oracle/settle/solana"
)

// replayZone is a time zone that differs from most people's by an odd amount.
const replayZone = "Pacific/Chatham"

// replay recomputes an epoch in a fresh process in another time zone, and says
// whether its root is the one that the oracle published and that the memo on the
// chain holds.
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
	if !slices.Contains(strings.Fields(memo), "r="+root) {
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
	var found struct {
		Root string `json:"root"`
	}
	if jsonErr := json.Unmarshal(out, &found); jsonErr != nil {
		return false, fmt.Errorf("network: oraclectl epoch verify %d: %v: %s%s", n, jsonErr, out, stderr.String())
	}
	if err != nil || found.Root != root {
		fmt.Fprintf(log, "oraclectl found root %s, the oracle published %s (%v): %s\n", found.Root, root, err, stderr.String())
		return false, nil
	}
	return true, nil
}

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
	return []string{"epoch", "verify", fmt.Sprint(n), "--config", c.oracle.config, "--json"}
}
