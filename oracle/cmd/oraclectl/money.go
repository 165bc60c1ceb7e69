package main

import (
	"context"
	"flag"
	"fmt"
	"strings"
)

const settleUsage = `oraclectl settle shows how payouts stand, and steers them.

Usage:
  oraclectl settle status      every epoch that is not finished, and why it waits
                               (--all: finished ones, too)
  oraclectl settle dry-run     what the payouts that are left will cost (--epoch N: of one epoch)
  oraclectl settle approve --epoch N
                               make the transaction by which the treasury's owner lets
                               the hot key spend exactly the epoch's total, and what
                               older epochs still have to pay
  oraclectl settle pause --why TEXT
                               sign and send nothing until resume, over restarts too
  oraclectl settle resume
  oraclectl settle rebuild --data DIR --rpc URL --bundle BUNDLE
                               plan an epoch that the books of a STOPPED oracle lost,
                               from its published bundle and the markers on chain

status, dry-run, pause and resume take:
  --socket PATH   the operator's socket of a running oracle (default /var/lib/oracled/admin.sock)
  --data DIR      an oracle's data directory: its socket when it runs, its books when not
  --json          print JSON
dry-run also takes:
  --rpc URL       ask this endpoint for a marker's rent (default: 2039280 lamports), and
                  for recipients, treasury and fee payer as they are now
  --fee N         lamports of priority fee for each transaction (default 0)
approve takes (and --url, --data, --file, --oracle as epoch verify does):
  --rpc URL       a Solana JSON-RPC endpoint
  --treasury ACC  the token account that payouts come from
  --hot KEY       the hot key; the commit memo on chain must be its
  --older BUNDLE  an older epoch that is not paid out, a file or a URL, once for each
                  (default: those that the oracle lists; with --file: none)
  --only          approve this epoch alone: what is open of older ones cannot be paid
  --signers A,B   who signs, when the owner is a multisig (default: its first m)
  --fee-payer ACC who pays the fee (default: the first signer)
  --nonce ACC     a durable nonce account; without one the signers have about a minute
  --message B64   compare another operator's message with the one made here
  --signature KEY=SIG
                  a signature, once for each signer; with --message: combine and send
rebuild takes:
  --data DIR      the data directory, whose state.db does not hold the epoch
  --rpc URL,...   Solana JSON-RPC endpoints that keep history; several confirm each other
  --bundle BUNDLE the epoch's bundle, a file or a URL
  --oracle KEY    the key that the oracle must have
  --hot KEY, --mint ACC, --treasury ACC
                  what payouts are made with (default: what the bundle says)
  --program ACC   wallets were to claim from a distributor of this program; without it
                  that is seen from the chain once the distributor is made
  --json          print JSON
It recomputes the epoch, wants exactly its commit memo on chain, sent by the hot key,
books what was earned, and plans the batches. It signs and pays nothing: the oracle
goes on at its next start, and books what the markers show as paid. Rebuild the
oldest epoch first; a second time changes nothing.

Examples:
  oraclectl settle status --data /var/lib/oracled
  oraclectl settle dry-run --epoch 20778 --rpc https://rpc.example --json
  oraclectl settle approve --epoch 20778 --rpc https://rpc.example --treasury ACC --hot KEY
  oraclectl settle approve --epoch 20778 --rpc https://rpc.example --treasury ACC --hot KEY \
      --message BASE64 --signature KEY=SIG
  oraclectl settle pause --why "moving the treasury" --data /var/lib/oracled
  oraclectl settle rebuild --data /var/lib/oracled --rpc https://rpc.example,https://rpc2.example \
      --bundle epoch-20778.jsonl

Exit codes: 0 all is well; 1 an epoch is stalled, refused or paused, or the epoch to
approve or to rebuild does not verify; 2 the command could not be carried out.
`

const ledgerUsage = `oraclectl ledger reads the books.

Usage:
  oraclectl ledger totals             issued = paid + owed + held + remainder
  oraclectl ledger statement WALLET   everything that was booked for a wallet
  oraclectl ledger export --csv       every entry: cause, account, debit, credit

Every command takes:
  --socket PATH   the operator's socket of a running oracle (default /var/lib/oracled/admin.sock)
  --data DIR      an oracle's data directory: its socket when it runs, its books when not
  --json          print JSON (totals and statement)

Examples:
  oraclectl ledger totals --data /var/lib/oracled
  oraclectl ledger statement 7EqQdEULxWcraVx3mXKFjc84LhCkMGZCkRuDpvcMwJeK --json
  oraclectl ledger export --csv > books.csv

Exit codes: 0 all is well; 1 the books do not agree; 2 the command could not be
carried out.
`

// money are the arguments of settle and ledger.
type money struct {
	socket     string
	epochNo    string
	all        bool
	why        string
	csv        bool
	fee        uint64
	treasury   string
	hot        string
	signers    string
	feePayer   string
	nonce      string
	message    string
	signatures texts
	bundleAt   string
	older      texts
	only       bool
}

// texts is a flag that may be given several times.
type texts []string

func (t *texts) String() string     { return strings.Join(*t, ",") }
func (t *texts) Set(s string) error { *t = append(*t, s); return nil }

func (m *money) flags(f *flag.FlagSet) {
	f.StringVar(&m.socket, "socket", "", "")
	f.StringVar(&m.epochNo, "epoch", "", "")
	f.BoolVar(&m.all, "all", false, "")
	f.StringVar(&m.why, "why", "", "")
	f.BoolVar(&m.csv, "csv", false, "")
	f.Uint64Var(&m.fee, "fee", 0, "")
	f.StringVar(&m.treasury, "treasury", "", "")
	f.StringVar(&m.hot, "hot", "", "")
	f.StringVar(&m.signers, "signers", "", "")
	f.StringVar(&m.feePayer, "fee-payer", "", "")
	f.StringVar(&m.nonce, "nonce", "", "")
	f.StringVar(&m.message, "message", "", "")
	f.Var(&m.signatures, "signature", "")
	f.StringVar(&m.bundleAt, "bundle", "", "")
	f.Var(&m.older, "older", "")
	f.BoolVar(&m.only, "only", false, "")
}

// usage is the help that fits the words.
func (c command) usage() string {
	if len(c.words) > 0 {
		switch c.words[0] {
		case "settle":
			return settleUsage
		case "ledger":
			return ledgerUsage
		case "audit":
			return auditUsage
		case "policy":
			return policyUsage
		}
	}
	return usage
}

// onMoney carries out a command of settle or ledger.
func (c command) onMoney(ctx context.Context) error {
	words := strings.Join(c.words, " ")
	if words == "settle approve" {
		return c.approve(ctx)
	}
	if words == "settle rebuild" {
		return c.rebuild(ctx)
	}
	run := map[string]func(context.Context, *office) error{
		"settle status": c.settleStatus, "settle dry-run": c.dryRun, "settle pause": c.pause, "settle resume": c.resume,
		"ledger totals": c.totals, "ledger export": c.export,
	}[words]
	if run == nil && len(c.words) == 3 && c.words[0] == "ledger" && c.words[1] == "statement" {
		run = c.statement
	}
	if run == nil {
		return fmt.Errorf("command %q is not known or lacks its argument: see oraclectl %s --help", words, c.words[0])
	}
	o, err := c.office(ctx)
	if err != nil {
		return err
	}
	err = run(ctx, o)
	if cerr := o.close(); err == nil {
		err = cerr
	}
	return err
}
