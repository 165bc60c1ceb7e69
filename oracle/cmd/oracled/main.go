// Command oracled runs an oracle: the door for hotspots, the router, the epochs,
// settlement and the explorer. Its configuration is a TOML file, the environment
// (ORACLED_...) and flags, later ones winning.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"heliograph/oracle/node"
	"heliograph/provisioning/settings"
)

const usage = `oracled runs a Heliograph oracle.

It takes signed reports from hotspots, journals them, forwards packets to network
servers, judges each epoch, and pays on Solana.

Exit codes: 0 stopped on SIGINT or SIGTERM, 2 it cannot run; the line on standard
error names cause and remedy.`

const examples = `  oracled --data ./data --key ./data/oracle.key --network test
      run without a chain: reports are taken, no epoch is opened
  oracled --config /etc/oracled.toml
      run with a configuration file
  ORACLED_SOLANA_RPC=http://127.0.0.1:8899 oracled --config oracled.toml --log.level debug`

func main() { os.Exit(run(os.Args[1:], os.Environ())) }

func run(args, env []string) int {
	c := node.Defaults()
	err := settings.Load(&c, settings.Source{Prefix: "ORACLED", Args: args, Env: env, Usage: usage, Examples: examples, DefaultFile: "/etc/oracled.toml"})
	if errors.Is(err, settings.ErrHelp) {
		return 0
	}
	if err != nil {
		return fail(err)
	}
	log := c.Log.Logger(os.Stderr)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	n, err := node.New(ctx, c, node.Options{Logger: log})
	if err != nil {
		return fail(err)
	}
	if err := n.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return fail(err)
	}
	return 0
}

// fail prints one line.
func fail(err error) int {
	fmt.Fprintln(os.Stderr, "oracled:", strings.ReplaceAll(err.Error(), "\n", "; "))
	return 2
}
