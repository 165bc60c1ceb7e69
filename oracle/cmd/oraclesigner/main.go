// Command oraclesigner keeps an oracle's hot key and signs what its policy allows,
// for an oracled on the same machine that runs as another user.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"heliograph/provisioning/settings"
)

const usage = `oraclesigner keeps an oracle's hot key and signs what its policy allows.

It decodes every message itself. Of an epoch that is open it signs payouts from the
treasury to wallets of the registered list, with the listed amounts, each wallet in
one batch; the memos; and the closing of markers. Everything else it refuses with a
reason. What it has signed is on disk before a signature leaves.

Usage:
  oraclesigner [flags]                         serve on the socket
  oraclesigner [flags] release EPOCH WALLET    let another batch pay a wallet; stop the
                                               signer first, and be certain on chain that
                                               the wallet was not paid

Exit codes: 0 stopped on SIGINT or SIGTERM, or released; 2 it cannot run; the line
on standard error names cause and remedy.`

const examples = `  oraclesigner --config /etc/oraclesigner.toml
  oraclesigner --key hot.json --mint MINT --treasury ACCOUNT --max-epoch 1000000000 --state ./signer --socket ./signer.sock
  oraclesigner --config /etc/oraclesigner.toml release 20778 7EqQdEULxWcraVx3mXKFjc84LhCkMGZCkRuDpvcMwJeK`

func main() { os.Exit(run(os.Args[1:], os.Environ())) }

func run(args, env []string) int {
	c := defaults()
	var words []string
	err := settings.Load(&c, settings.Source{Prefix: "ORACLESIGNER", Args: args, Env: env, Usage: usage, Examples: examples,
		DefaultFile: "/etc/oraclesigner.toml", Positional: &words})
	if errors.Is(err, settings.ErrHelp) {
		return 0
	}
	if err != nil {
		return fail(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	switch {
	case len(words) == 0:
		err = serve(ctx, c, log)
	case len(words) == 3 && words[0] == "release":
		err = release(ctx, c, words[1], words[2])
	default:
		err = fmt.Errorf("command %q is not known or lacks its arguments: see oraclesigner --help", strings.Join(words, " "))
	}
	if err != nil {
		return fail(err)
	}
	return 0
}

// fail prints one line.
func fail(err error) int {
	fmt.Fprintln(os.Stderr, "oraclesigner:", strings.ReplaceAll(err.Error(), "\n", "; "))
	return 2
}
