package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/gagliardetto/solana-go"

	"heliograph/testbench/payday"
	solanavm "heliograph/testbench/solana"
)

type faultsOptions struct {
	Runs int    `toml:"runs" help:"number of runs"`
	Seed uint64 `toml:"seed" help:"seed of the first run; the others follow"`
}

// runPayoutFaults pays in every weather and ends with one line of JSON.
func runPayoutFaults(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	opt := faultsOptions{Runs: 1000, Seed: 1}
	err := load(&opt, args, stdout,
		"bench payout-faults [flags]\n\nPays epochs on the Solana VM while nodes fail and lie, chains fork, and the settler\ncrashes at its writes; then compares list, chain and ledger from outside. A naive payer\nmeets the same weather. Exit code 0 only when nobody was paid twice or left out, and the\nnaive payer did pay twice.",
		"  bench payout-faults\n  bench payout-faults --runs 1 --seed 4711   (a run that failed, again)")
	if err != nil {
		return err
	}
	if opt.Runs < 1 {
		return usageError{fmt.Errorf("--runs is %d, want 1 or more", opt.Runs)}
	}
	return withVM(ctx, stderr, func(vm *solanavm.VM) error {
		b, err := payday.New(ctx, payday.Config{VM: vm, Recipients: 10})
		if err != nil {
			return err
		}
		s, err := b.Sweep(ctx, opt.Runs, opt.Seed, stderr)
		if err != nil {
			return err
		}
		line, err := s.JSON()
		if err != nil {
			return err
		}
		fmt.Fprintln(stdout, line)
		return s.Check()
	})
}

// withVM runs f with a VM that makes blocks when it is told to.
func withVM(ctx context.Context, stderr io.Writer, f func(*solanavm.VM) error) error {
	vm, err := solanavm.Start(ctx, solanavm.Config{})
	if err != nil {
		return err
	}
	err = f(vm)
	if serr := vm.Stop(); serr != nil {
		fmt.Fprintln(stderr, "bench:", serr)
	}
	return err
}

type scaleOptions struct {
	Recipients int    `toml:"recipients" help:"wallets to pay on the VM; 0: none"`
	Plan       int    `toml:"plan" help:"wallets to plan for; 0: none"`
	Dir        string `toml:"dir" help:"folder for the stores; empty: a temporary one"`
}

// runPayoutScale pays, or plans, one large epoch.
func runPayoutScale(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	opt := scaleOptions{}
	err := load(&opt, args, stdout,
		"bench payout-scale [flags]\n\nPays one large epoch on the Solana VM and reads every balance afterwards, or plans one:\ntree, a proof for everybody, published list, batches on disk. Prints JSON.",
		"  bench payout-scale --recipients 100000\n  bench payout-scale --plan 1000000")
	if err != nil {
		return err
	}
	if opt.Recipients < 0 || opt.Plan < 0 || opt.Recipients+opt.Plan == 0 {
		return usageError{fmt.Errorf("give --recipients or --plan a number above 0")}
	}
	if opt.Dir == "" {
		if opt.Dir, err = os.MkdirTemp("", "heliograph-scale-"); err != nil {
			return err
		}
		defer os.RemoveAll(opt.Dir)
	}
	show := json.NewEncoder(stdout)
	if opt.Plan > 0 {
		planned, err := payday.Plan(ctx, opt.Plan, opt.Dir)
		if err != nil {
			return err
		}
		if err := show.Encode(planned); err != nil {
			return err
		}
	}
	if opt.Recipients == 0 {
		return nil
	}
	return withVM(ctx, stderr, func(vm *solanavm.VM) error {
		paid, err := payday.Scale(ctx, vm, opt.Recipients, opt.Dir, stderr)
		if err != nil {
			return err
		}
		if err := show.Encode(paid); err != nil {
			return err
		}
		if paid.Wrong > 0 || !paid.LedgerEquals {
			return fmt.Errorf("%d balances are wrong, ledger equals chain: %v", paid.Wrong, paid.LedgerEquals)
		}
		return nil
	})
}

type costsOptions struct {
	Out string `toml:"out" help:"file to write; empty: standard output"`
}

// runPayoutCosts measures what payouts cost and writes the table.
func runPayoutCosts(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	opt := costsOptions{}
	err := load(&opt, args, stdout,
		"bench payout-costs [flags]\n\nPays epochs of several sizes on the Solana VM and writes what they cost the fee payer.",
		"  bench payout-costs\n  bench payout-costs --out docs/settlement-costs.md")
	if err != nil {
		return err
	}
	return withVM(ctx, stderr, func(vm *solanavm.VM) error {
		costs, err := payday.Costs(ctx, vm, []int{14, 140, 1_400, 14_000}, stderr)
		if err != nil {
			return err
		}
		rent, err := payday.Rent(ctx, vm)
		if err != nil {
			return err
		}
		text := payday.Markdown(costs, rent)
		if opt.Out == "" {
			_, err = io.WriteString(stdout, text)
			return err
		}
		return os.WriteFile(opt.Out, []byte(text), 0o644)
	})
}

type solanaOptions struct {
	Port     int           `toml:"port" help:"TCP port on 127.0.0.1; 0: a free one"`
	Slot     time.Duration `toml:"slot" help:"a block every so often; 0s: only on x_tick"`
	State    string        `toml:"state" help:"file that keeps the chain from run to run; empty: in memory"`
	Genesis  string        `toml:"genesis" help:"genesis hash, base58; another one than your program expects makes a wrong cluster"`
	Node     string        `toml:"node" help:"name of the node that has the faults, at /node/NAME; empty: the one at /"`
	Seed     uint32        `toml:"seed" help:"seed of the faults"`
	Drop     float64       `toml:"drop" help:"share of calls whose connection is closed unanswered"`
	Delay    time.Duration `toml:"delay" help:"every answer comes that much later"`
	Limit    float64       `toml:"rate_limit" help:"share of calls answered with HTTP 429"`
	HTML     bool          `toml:"rate_limit_html" help:"the 429 is a page of HTML, as proxies send it, instead of JSON"`
	Retry    int           `toml:"retry_after" help:"Retry-After of a 429, seconds"`
	HangUp   float64       `toml:"hang_up" help:"share of sent transactions that land while the connection is closed"`
	Swallow  float64       `toml:"swallow" help:"share of sent transactions acknowledged and never landed"`
	Late     float64       `toml:"delay_landing" help:"share of sent transactions that land later"`
	LateMost int           `toml:"land_after_max" help:"that many blocks later at most"`
	Hide     float64       `toml:"hide_status" help:"share of signatures that are never shown"`
	Null     float64       `toml:"null_status" help:"share of statuses that are null this once"`
	Stale    int           `toml:"stale_blocks" help:"blocks that heights and blockhashes lag"`
	Wrong    string        `toml:"wrong_genesis" help:"genesis hash that the faulty node claims, base58"`
	Fork     time.Duration `toml:"fork_every" help:"the chain forks every so often; 0s: never"`
	Depth    int           `toml:"fork_depth" help:"blocks that a fork takes back, 1 to 30"`
	Reland   int           `toml:"fork_reland" help:"the transactions of those blocks land again that many blocks later; 0: they are gone"`
}

// runSolana serves the VM until Ctrl-C.
func runSolana(ctx context.Context, args []string, stdout io.Writer) error {
	opt := solanaOptions{Port: 8899, Slot: 400 * time.Millisecond, Seed: 1, Retry: 1, LateMost: 120, Depth: 8}
	err := load(&opt, args, stdout,
		"bench solana [flags]\n\nServes a Solana VM with JSON-RPC on the loopback interface until Ctrl-C, so that you can\ntry what pays out there. Every path /node/NAME is a node of the same chain with faults of\nits own. Faults while it runs, forks by hand, accounts and programs: the x_ methods of\ntestbench/solana/README.md.",
		"  bench solana\n  bench solana --swallow 0.2 --hide-status 0.2 --node liar\n  bench solana --drop 0.1 --hang-up 0.1 --delay 300ms --delay-landing 0.5\n"+
			"  bench solana --rate-limit 0.5 --rate-limit-html\n  bench solana --stale-blocks 200 --null-status 0.3 --node lagging\n"+
			"  bench solana --wrong-genesis 5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d --node other\n"+
			"  bench solana --fork-every 20s --fork-depth 12 --fork-reland 5\n  bench solana --state /tmp/chain --slot 50ms")
	if err != nil {
		return err
	}
	cfg := solanavm.Config{Port: opt.Port, SlotInterval: opt.Slot, StateFile: opt.State}
	if opt.Genesis != "" {
		if cfg.Genesis, err = solana.HashFromBase58(opt.Genesis); err != nil {
			return usageError{fmt.Errorf("--genesis: %w", err)}
		}
	}
	if err := opt.check(); err != nil {
		return usageError{err}
	}
	vm, err := solanavm.Start(ctx, cfg)
	if err != nil {
		return err
	}
	faults := solanavm.Faults{
		Seed: opt.Seed, Drop: opt.Drop, DelayMS: int(opt.Delay.Milliseconds()), RateLimit: opt.Limit, RateLimitHTML: opt.HTML, RetryAfterSec: opt.Retry,
		HangUp: opt.HangUp, Swallow: opt.Swallow, DelayLanding: opt.Late, LandAfterMin: 1, LandAfterMax: opt.LateMost,
		HideStatus: opt.Hide, NullStatus: opt.Null, StaleBlocks: opt.Stale, Genesis: opt.Wrong,
	}
	url, set := vm.URL(), vm.SetFaults
	if opt.Node != "" {
		node := vm.Node(opt.Node)
		url, set = node.URL(), node.SetFaults
	}
	if err := set(ctx, faults); err != nil {
		_ = vm.Stop()
		return usageError{err}
	}
	fmt.Fprintf(stdout, "honest node   %s\nfaulty node   %s\ngenesis hash  %s\n", honest(vm, opt.Node), url, vm.Genesis())
	if opt.Fork > 0 {
		err = opt.forks(ctx, vm, stdout)
	}
	select {
	case <-ctx.Done():
	case <-vm.Done():
	}
	return errors.Join(err, vm.Stop())
}

func (o solanaOptions) check() error {
	switch {
	case o.Port < 0 || o.Port > 65535:
		return fmt.Errorf("--port is %d, want 1 to 65535, or 0 for a free one", o.Port)
	case o.Slot < 0:
		return fmt.Errorf("--slot is %v, want a time, or 0s for blocks on x_tick only", o.Slot)
	case o.Fork < 0:
		return fmt.Errorf("--fork-every is %v, want a time, or 0s for never", o.Fork)
	case o.Fork > 0 && o.Slot == 0:
		return errors.New("--fork-every needs blocks that come by themselves: give --slot a time above 0s")
	case o.Fork > 0 && (o.Depth < 1 || o.Depth > 30 || o.Reland < 0):
		return fmt.Errorf("--fork-depth is %d, want 1 to 30: later blocks are final; --fork-reland 0 or more", o.Depth)
	}
	return nil
}

// forks lets the chain fork until ctx or the VM ends.
func (o solanaOptions) forks(ctx context.Context, vm *solanavm.VM, stdout io.Writer) error {
	wait := func(d time.Duration) bool {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
			return true
		case <-ctx.Done():
		case <-vm.Done():
		}
		return false
	}
	for wait(o.Fork) {
		cp, err := vm.Checkpoint(ctx)
		if err != nil {
			return unless(ctx, err)
		}
		if !wait(time.Duration(o.Depth) * o.Slot) {
			return nil
		}
		dropped, err := vm.Rollback(ctx, cp, solanavm.RollbackOptions{Reland: o.Reland})
		if err != nil {
			return unless(ctx, err)
		}
		fmt.Fprintf(stdout, "fork at height %d: %d transactions are taken back\n", cp.Height, len(dropped))
	}
	return nil
}

// unless is err, or nil when the context has ended.
func unless(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// honest is a node without faults.
func honest(vm *solanavm.VM, faulty string) string {
	if faulty == "" {
		return vm.Node("honest").URL()
	}
	return vm.URL()
}
