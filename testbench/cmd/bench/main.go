// Command bench runs the testbench: a city of hotspots with everything they need
// on one machine.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"heliograph/provisioning/settings"
	"heliograph/testbench/network"
	solanavm "heliograph/testbench/solana"
)

const usage = `bench runs Heliograph's testbench.

  bench network        a city of hotspots, until Ctrl-C
  bench smoke          one short epoch without a screen, then one line of JSON
  bench chip           a simulated concentrator that any program can open
  bench bus-work       what a concentrator costs on its bus, beside the vendor's driver
  bench chip-faults    every fault of a concentrator, and what the hotspot makes of it
  bench solana         a Solana VM with JSON-RPC, and with faults if you want, until Ctrl-C
  bench payout-faults  payouts while everything fails, then one line of JSON
  bench payout-scale   one large epoch, paid or planned
  bench payout-costs   the table of docs/settlement-costs.md
  bench setup          install the Solana VM's npm packages, which the others do too

Each takes --help. Exit codes: 0 done, 1 failed, 2 wrong usage.

Examples:
  bench network
  bench network --fresh --epoch 1m
  bench smoke
`

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second Ctrl-C ends the program at once.
	context.AfterFunc(ctx, stop)
	var err error
	switch args[0] {
	case "network":
		err = runNetwork(ctx, args[1:], stdout)
	case "smoke":
		err = runSmoke(ctx, args[1:], stdout, stderr)
	case "chip":
		err = runChip(ctx, args[1:], stdout)
	case "bus-work":
		err = runBusWork(ctx, args[1:], stdout)
	case "chip-faults":
		err = runChipFaults(ctx, args[1:], stdout)
	case "solana":
		err = runSolana(ctx, args[1:], stdout)
	case "payout-faults":
		err = runPayoutFaults(ctx, args[1:], stdout, stderr)
	case "payout-scale":
		err = runPayoutScale(ctx, args[1:], stdout, stderr)
	case "payout-costs":
		err = runPayoutCosts(ctx, args[1:], stdout, stderr)
	case "setup":
		err = runSetup(ctx, args[1:], stdout)
	case "help", "--help", "-h":
		fmt.Fprint(stdout, usage)
		return 0
	default:
		err = usageError{fmt.Errorf("no command %q; see bench --help for the list", args[0])}
	}
	var wrong usageError
	switch {
	case err == nil || errors.Is(err, settings.ErrHelp):
		return 0
	case errors.As(err, &wrong):
		fmt.Fprintln(stderr, "bench:", err)
		return 2
	}
	fmt.Fprintln(stderr, "bench:", err)
	return 1
}

// usageError is a mistake in how the program was called.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// load fills v from the environment and the arguments.
func load(v any, args []string, out io.Writer, usage, examples string) error {
	err := settings.Load(v, settings.Source{
		Prefix: "BENCH", Args: args, Env: os.Environ(), Usage: usage, Examples: examples, Out: out,
	})
	if err != nil && !errors.Is(err, settings.ErrHelp) {
		return usageError{err}
	}
	return err
}

type networkOptions struct {
	Dir      string        `toml:"dir" help:"folder that keeps chain, ledger and keys from run to run"`
	Fresh    bool          `toml:"fresh" help:"forget what earlier runs left in the folder"`
	Epoch    time.Duration `toml:"epoch" help:"length of an epoch, whole seconds, 20s or more"`
	Beacons  int           `toml:"beacons" help:"beacons of a hotspot in an epoch, 1 to 60"`
	Hotspots int           `toml:"hotspots" help:"hotspots in the city, 1 to 24"`
	Devices  int           `toml:"devices" help:"end devices, 1 to 6; -1 for none"`
	Seed     uint64        `toml:"seed" help:"seed of the air and the devices, 1 or more"`
	Page     string        `toml:"page" help:"address of the explorer; a free port is taken when it is in use"`
	Plain    bool          `toml:"plain" help:"plain simulated radios instead of the real driver on simulated chips: less work for the machine"`
	Headless bool          `toml:"headless" help:"print lines instead of a screen, as when the output is no terminal"`
	Bin      string        `toml:"bin" help:"folder of oracled and oraclectl; empty: where bench is"`
	Log      string        `toml:"log" help:"file for what the parts in this process say; empty: nowhere"`
}

func runNetwork(ctx context.Context, args []string, stdout io.Writer) error {
	opt := networkOptions{
		Dir: ".run/network", Epoch: 2 * time.Minute, Beacons: 3, Hotspots: 24, Devices: 6, Seed: 1, Page: "127.0.0.1:8443",
	}
	err := load(&opt, args, stdout,
		"bench network [flags]\n\nRuns the city until Ctrl-C. The next run goes on where this one stopped.",
		"  bench network\n  bench network --fresh --epoch 1m\n  bench network --headless --dir /tmp/city")
	if err != nil {
		return err
	}
	log, err := logger(opt.Log)
	if err != nil {
		return err
	}
	cfg := network.Config{
		Dir: opt.Dir, Fresh: opt.Fresh, EpochLength: opt.Epoch, Beacons: opt.Beacons, Hotspots: opt.Hotspots,
		Devices: opt.Devices, Seed: opt.Seed, Page: opt.Page, PlainRadios: opt.Plain, Bin: opt.Bin, Log: log,
	}
	if err := cfg.Check(); err != nil {
		return usageError{err}
	}
	return network.Run(ctx, cfg, stdout, opt.Headless)
}

type smokeOptions struct {
	Dir     string        `toml:"dir" help:"folder to work in, emptied first; empty: a temporary one, deleted when all went well"`
	Epoch   time.Duration `toml:"epoch" help:"length of an epoch, whole seconds, 20s or more"`
	Beacons int           `toml:"beacons" help:"beacons of a hotspot in an epoch, 1 to 60"`
	Plain   bool          `toml:"plain" help:"plain simulated radios instead of the real driver on simulated chips"`
	Timeout time.Duration `toml:"timeout" help:"when to give up"`
	Bin     string        `toml:"bin" help:"folder of oracled and oraclectl; empty: where bench is"`
	Log     string        `toml:"log" help:"file for what the parts in this process say; empty: nowhere"`
}

func runSmoke(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	opt := smokeOptions{Epoch: 50 * time.Second, Beacons: 3, Timeout: 175 * time.Second}
	err := load(&opt, args, stdout,
		"bench smoke [flags]\n\nRuns the city for one short epoch, compares ledger, chain and replay, and prints one\nline of JSON. Exit code 0 only when rewards were paid and both comparisons hold.",
		"  bench smoke\n  bench smoke --epoch 30s --dir /tmp/smoke")
	if err != nil {
		return err
	}
	cfg := network.Config{Dir: opt.Dir, Fresh: true, EpochLength: opt.Epoch, Beacons: opt.Beacons, Uplinks: 10 * time.Second, PlainRadios: opt.Plain, Bin: opt.Bin}
	temporary := cfg.Dir == ""
	if temporary {
		if cfg.Dir, err = os.MkdirTemp("", "heliograph-smoke-"); err != nil {
			return err
		}
	}
	if cfg.Log, err = logger(opt.Log); err != nil {
		return err
	}
	if err := cfg.Check(); err != nil {
		return usageError{err}
	}
	ctx, cancel := context.WithTimeout(ctx, opt.Timeout)
	defer cancel()
	result, err := network.Smoke(ctx, cfg, stderr)
	if err != nil {
		return fmt.Errorf("%w\nlogs and state are in %s", err, cfg.Dir)
	}
	line, err := result.JSON()
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout, line)
	if err := result.Check(); err != nil {
		return fmt.Errorf("%w\nlogs and state are in %s", err, cfg.Dir)
	}
	if temporary {
		return os.RemoveAll(cfg.Dir)
	}
	return nil
}

func runSetup(ctx context.Context, args []string, stdout io.Writer) error {
	err := load(&struct{}{}, args, stdout,
		"bench setup\n\nInstalls what the Solana VM needs, from its lock file with integrity hashes. Quick when\nthat is done already. Needs Node.js 20 or later and npm.",
		"  bench setup")
	if err != nil {
		return err
	}
	return solanavm.Install(ctx, "")
}

// logger writes to a file, which stays open until the program ends.
func logger(name string) (*slog.Logger, error) {
	if name == "" {
		return slog.New(slog.DiscardHandler), nil
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, usageError{fmt.Errorf("log file: %w", err)}
	}
	return slog.New(slog.NewTextHandler(f, &slog.HandlerOptions{Level: slog.LevelDebug})), nil
}
