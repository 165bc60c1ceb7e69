// Command oraclectl looks into an oracle and checks what it did.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

const usage = `oraclectl looks into a Heliograph oracle and checks what it did.

Usage:
  oraclectl epoch verify N   recompute an epoch and compare, line by line
  oraclectl epoch list       the newest epochs
  oraclectl epoch show N     one epoch with its settlement
  oraclectl epoch claims N   its payouts as a tree that wallets can claim from
  oraclectl audit BUNDLE     recompute a published epoch and find every payout on
                             chain: see oraclectl audit --help
  oraclectl policy ...       key, sign, show: the network's policy, signed: see
                             oraclectl policy --help
  oraclectl hotspot list     registered hotspots
  oraclectl settle ...       status, dry-run, approve, pause, resume, rebuild: see
                             oraclectl settle --help
  oraclectl ledger ...       totals, statement, export: see oraclectl ledger --help
  oraclectl doctor           check a data directory and this machine

Every command takes:
  --url URL    an oracle's explorer or admin address (default http://127.0.0.1:8443)
  --data DIR   a stopped oracle's data directory, instead of --url
  --json       print JSON
epoch verify also takes:
  --rpc URL    a Solana JSON-RPC endpoint: compare with the memos on chain too
  --oracle KEY the key that the oracle must have
  --payer ACC  the account that must have sent the memos
  --file FILE  a bundle that was saved before, instead of --url

Examples:
  oraclectl epoch verify 20778 --url https://oracle.example --rpc https://api.mainnet-beta.solana.com
  oraclectl epoch list --data /var/lib/oracled --json
  oraclectl doctor --data /var/lib/oracled

Exit codes: 0 all is well, 1 something differs or is wrong, 2 the command could not
be carried out.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// errWrong ends a command that worked and found something wrong.
var errWrong = errors.New("something is wrong")

// command is what the arguments say.
type command struct {
	words  []string
	url    string
	data   string
	json   bool
	rpc    string
	oracle string
	payer  string
	file   string
	out    io.Writer
	help   bool

	money
	proofs
}

func run(ctx context.Context, args []string, out, errOut io.Writer) int {
	c, err := parse(args, out)
	if errors.Is(err, flag.ErrHelp) {
		_, _ = io.WriteString(out, c.usage())
		return 0
	}
	if err == nil {
		err = c.dispatch(ctx)
	}
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errWrong):
		return 1
	}
	_, _ = fmt.Fprintln(errOut, "oraclectl:", strings.ReplaceAll(err.Error(), "\n", "; "))
	return 2
}

// parse takes flags anywhere among the words.
func parse(args []string, out io.Writer) (command, error) {
	c := command{out: out}
	f := flag.NewFlagSet("oraclectl", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&c.url, "url", "http://127.0.0.1:8443", "")
	f.StringVar(&c.data, "data", "", "")
	f.BoolVar(&c.json, "json", false, "")
	f.StringVar(&c.rpc, "rpc", "", "")
	f.StringVar(&c.oracle, "oracle", "", "")
	f.StringVar(&c.payer, "payer", "", "")
	f.StringVar(&c.file, "file", "", "")
	c.money.flags(f)
	c.proofs.flags(f)
	f.BoolVar(&c.help, "help", false, "")
	f.BoolVar(&c.help, "h", false, "")
	for len(args) > 0 {
		if err := f.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return c, err
			}
			return c, fmt.Errorf("%w: see oraclectl --help", err)
		}
		if args = f.Args(); len(args) > 0 {
			c.words, args = append(c.words, args[0]), args[1:]
		}
	}
	if len(c.words) == 0 || c.words[0] == "help" || c.help {
		return c, flag.ErrHelp
	}
	return c, nil
}

func (c command) dispatch(ctx context.Context) error {
	two := strings.Join(c.words[:min(len(c.words), 2)], " ")
	switch {
	case two == "epoch verify" && len(c.words) == 3:
		return c.verify(ctx, c.words[2])
	case two == "epoch list" && len(c.words) == 2:
		return c.epochs(ctx)
	case two == "epoch show" && len(c.words) == 3:
		return c.epoch(ctx, c.words[2])
	case two == "hotspot list" && len(c.words) == 2:
		return c.hotspots(ctx)
	case two == "doctor" && len(c.words) == 1:
		return c.doctor(ctx)
	case c.words[0] == "audit" || c.words[0] == "policy" || two == "epoch claims":
		return c.onProofs(ctx)
	case c.words[0] == "settle" || c.words[0] == "ledger":
		return c.onMoney(ctx)
	}
	return fmt.Errorf("command %q is not known or lacks its argument: see oraclectl --help", strings.Join(c.words, " "))
}
