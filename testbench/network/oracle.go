package network

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/gagliardetto/solana-go"

	"heliograph/oracle/node"
	"heliograph/oracle/router"
	"heliograph/provisioning/identity"
	"heliograph/provisioning/settings"
)

const (
	emission    = 1_000_00000000 // tokens of an epoch: 1000
	creditPrice = 100_0000       // of a data credit: a hundredth of a token
	// readyPatience is how long oracled may take to open its books.
	readyPatience = 60 * time.Second
)

// oracle is the oracled program and the ways to it.
type oracle struct {
	child    *child
	config   string // its configuration file
	page     string // address of the explorer
	hotspots oracleAddr
	explorer *explorer
}

// startOracle starts oracled. A port that was free may be taken by somebody else
// before oracled has it: then others are tried.
func (c Config) startOracle(ctx context.Context, ch *chain, server string) (*oracle, error) {
	for try := 1; ; try++ {
		o, err := c.tryOracle(ctx, ch, server)
		if err == nil || try == 3 || !strings.Contains(err.Error(), "in use") {
			return o, err
		}
		c.Log.Warn("oracled lost a port to another program, trying others", "err", err)
	}
}

// tryOracle writes a configuration, starts the program and waits until it
// answers.
func (c Config) tryOracle(ctx context.Context, ch *chain, server string) (*oracle, error) {
	path, err := program(c.Bin, "oracled")
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(c.Dir, "oracle")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("network: %w", err)
	}
	key, err := fileKey(filepath.Join(dir, "oracle.key"))
	if err != nil {
		return nil, err
	}
	cfg, err := c.oracleConfig(dir, ch, server)
	if err != nil {
		return nil, err
	}
	o := &oracle{
		config: filepath.Join(c.Dir, "oracled.toml"), page: "http://" + cfg.Explorer.Listen + "/",
		hotspots: oracleAddr{cfg.Listen, key.ID()}, explorer: newExplorer("http://" + cfg.Explorer.Listen),
	}
	var text bytes.Buffer
	if err := toml.NewEncoder(&text).Encode(cfg); err != nil {
		return nil, fmt.Errorf("network: oracled's configuration: %w", err)
	}
	if err := writeOnce(o.config, text.Bytes(), 0o600); err != nil {
		return nil, err
	}
	if o.child, err = startChild(filepath.Join(c.Dir, "oracled.log"), path, "--config", o.config); err != nil {
		return nil, err
	}
	if err := o.ready(ctx, key.ID()); err != nil {
		select {
		case <-o.child.done: // err says so already
			return nil, err
		default:
			return nil, errors.Join(err, o.child.stop())
		}
	}
	return o, nil
}

// oracleConfig is what oracled is told. Epochs here are minutes, not days, so
// what a day leaves time for is made quicker.
func (c Config) oracleConfig(dir string, ch *chain, server string) (node.Config, error) {
	cfg := node.Defaults()
	ports, err := freePorts(2)
	if err != nil {
		return cfg, err
	}
	page, err := c.pageAddr()
	if err != nil {
		return cfg, err
	}
	routes := filepath.Join(c.Dir, "routes.json")
	table, err := json.MarshalIndent(map[string]any{"routes": []router.Route{
		{Number: 1, Name: "testbench network server", Server: server, Default: true, MaxCopies: 3},
	}}, "", "  ")
	if err != nil {
		return cfg, fmt.Errorf("network: routes: %w", err)
	}
	if err := writeOnce(routes, append(table, '\n'), 0o600); err != nil {
		return cfg, err
	}
	cfg.Data, cfg.Key, cfg.Network = filepath.Join(dir, "data"), filepath.Join(dir, "oracle.key"), "Heliograph testbench"
	cfg.Listen, cfg.Admin.Listen, cfg.Explorer.Listen = ports[0], ports[1], page
	cfg.MinFree = 64 << 20
	cfg.Log.Level = settings.Level(slog.LevelDebug)
	cfg.Epoch.Length, cfg.Epoch.Grace, cfg.Epoch.Challenges = c.EpochLength, c.Grace, c.Beacons
	cfg.Epoch.Guard, cfg.Epoch.MinLead = 2*time.Second, 4*time.Second
	cfg.Epoch.Deliver, cfg.Epoch.Poll = 6*time.Second, 200*time.Millisecond
	cfg.Reward.Emission, cfg.Reward.CreditPrice, cfg.Reward.Operator = emission, creditPrice, ch.operator().String()
	cfg.Router.Routes = routes
	cfg.Solana.RPC, cfg.Solana.Genesis = ch.vm.URL(), ch.vm.Genesis().String()
	cfg.Solana.Key, cfg.Solana.Mint, cfg.Solana.Treasury = ch.hotFile, ch.stage.Mint.String(), ch.stage.Treasury.String()
	cfg.Solana.Poll = 300 * time.Millisecond
	return cfg, cfg.Check()
}

// ready waits until the explorer answers, and that it is this oracle's.
func (o *oracle) ready(ctx context.Context, id identity.HotspotID) error {
	ctx, cancel := context.WithTimeout(ctx, readyPatience)
	defer cancel()
	for {
		s, err := o.explorer.status(ctx)
		if err == nil && s.Oracle == id {
			return nil
		}
		if err == nil {
			err = fmt.Errorf("another oracle, %s, answers", s.Oracle)
		}
		select {
		case <-o.child.done:
			return o.child.ended()
		case <-ctx.Done():
			return fmt.Errorf("network: oracled did not answer: %w; the end of %s:\n%s", err, o.child.log, tail(o.child.log, 8))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// pageAddr is the wanted address of the explorer, or a free port beside it. Port 0 is
// any free one.
func (c Config) pageAddr() (string, error) {
	l, err := net.Listen("tcp", c.Page)
	if err == nil {
		host, port, serr := net.SplitHostPort(c.Page)
		if serr == nil && port == "0" {
			_, port, serr = net.SplitHostPort(l.Addr().String())
		}
		return net.JoinHostPort(host, port), errors.Join(serr, l.Close())
	}
	ports, err := freePorts(1)
	if err != nil {
		return "", err
	}
	return ports[0], nil
}

// freePorts finds addresses on the loopback interface that nobody listens on.
func freePorts(n int) ([]string, error) {
	var out []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("network: find a free port: %w", err)
		}
		defer l.Close() // at the end, so that no port is found twice
		out = append(out, l.Addr().String())
	}
	return out, nil
}

// wallet reads a wallet from the ledger: what was paid, and what is still owed or
// held.
func (o *oracle) wallet(ctx context.Context, address solana.PublicKey) (paid, owed uint64, err error) {
	w, err := o.explorer.wallet(ctx, address.String())
	if err != nil {
		return 0, 0, err
	}
	var n [3]uint64
	for i, text := range []string{w.Paid, w.Owed, w.Held} {
		if n[i], err = strconv.ParseUint(text, 10, 64); err != nil {
			return 0, 0, fmt.Errorf("network: ledger: wallet %s: %w", address, err)
		}
	}
	return n[0], n[1] + n[2], nil
}
