// Command hotspotctl asks a running hotspotd how it is, and looks at its key.
//
// Exit codes: 0 when all is well, 1 when something is wrong (doctor) or cannot be
// asked, 2 when the command line is wrong, 130 when a radio command was interrupted.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"heliograph/firmware/hotspot"
	"heliograph/provisioning/identity"
	"heliograph/provisioning/settings"
)

const usage = `Usage: hotspotctl [flags] status     how the hotspot is
       hotspotctl [flags] doctor     what is wrong, and what to do about it
       hotspotctl [flags] key show   who the hotspot is, from its key file
       hotspotctl radio COMMAND      the concentrator: probe, listen, send, spectrum, selftest,
                                     firmware import, import-conf (see hotspotctl radio --help)
       hotspotctl [flags] rewards prove --epoch N --url ORACLE
                                     what it earned, proven against the root on chain

Exit codes: 0 all is well; 1 something is wrong or differs, or it cannot be asked; 2
wrong usage; 130 a radio command was interrupted.`

const examples = `  hotspotctl status
  hotspotctl --json status | jq .outbox
  hotspotctl --url http://192.168.1.20:8080 doctor
  hotspotctl --key-file /var/lib/hotspotd/hotspot.key key show
  hotspotctl radio probe --reset-pin GPIO17
  hotspotctl rewards prove --epoch 20778 --url https://oracle.example --rpc https://api.mainnet-beta.solana.com`

type config struct {
	URL     string        `toml:"url" help:"address of the hotspot's page; for rewards, of an oracle's explorer"`
	KeyFile string        `toml:"key_file" help:"file of the hotspot's key"`
	JSON    bool          `toml:"json" help:"print JSON"`
	Timeout time.Duration `toml:"timeout" help:"how long to wait for an answer"`
	Epoch   string        `toml:"epoch" help:"rewards: number of the epoch"`
	Hotspot string        `toml:"hotspot" help:"rewards: the hotspot's key as text; empty: that of the key file"`
	RPC     string        `toml:"rpc" help:"rewards: URL of a Solana JSON-RPC endpoint to compare the root with; empty: the chain is not asked"`
	Payer   string        `toml:"payer" help:"rewards: account that must have written the root on chain; empty: it is shown"`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	if _, ok := radioWords(os.Args[1:]); ok {
		// Whoever reads the output may go away; the chip is put at rest all the same.
		signal.Ignore(syscall.SIGPIPE)
	}
	code := run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args, env []string, stdout, stderr io.Writer) int {
	if rest, ok := radioWords(args); ok {
		return runRadio(ctx, rest, env, stdout, stderr)
	}
	cfg := config{URL: "http://127.0.0.1:8080", KeyFile: "/var/lib/hotspotd/hotspot.key", Timeout: 5 * time.Second}
	var words []string
	err := settings.Load(&cfg, settings.Source{
		Prefix: "HOTSPOTCTL", Args: args, Env: env, Usage: usage, Examples: examples, Out: stdout, Positional: &words,
	})
	if errors.Is(err, settings.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintf(stderr, "hotspotctl: %v\n", err)
		return 2
	}
	switch command := strings.Join(words, " "); command {
	case "status":
		err = status(ctx, cfg, stdout)
	case "doctor":
		err = doctor(ctx, cfg, stdout)
	case "key show":
		err = keyShow(cfg, stdout)
	case "rewards prove":
		err = rewardsProve(ctx, cfg, stdout)
	case "":
		fmt.Fprintln(stderr, "hotspotctl: no command: try hotspotctl status, or --help")
		return 2
	default:
		fmt.Fprintf(stderr, "hotspotctl: command %q is not known: want status, doctor, key show, radio or rewards prove\n", command)
		return 2
	}
	if err != nil {
		fmt.Fprintf(stderr, "hotspotctl: %v\n", err)
		if errors.As(err, new(usageError)) {
			return 2
		}
		return 1
	}
	return 0
}

// maxStatus bounds what is read of an answer.
const maxStatus = 1 << 20

func fetch(ctx context.Context, cfg config) (s hotspot.Status, err error) {
	ctx, cancel := context.WithTimeout(ctx, cfg.Timeout)
	defer cancel()
	url := strings.TrimSuffix(cfg.URL, "/") + "/status.json"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return s, fmt.Errorf("%w: correct --url", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return s, fmt.Errorf("%w: is hotspotd running there, with web.listen set?", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return s, fmt.Errorf("%s answers %s: is that a hotspot? correct --url", url, resp.Status)
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxStatus)).Decode(&s); err != nil {
		return s, fmt.Errorf("%s does not answer with a status: %w: correct --url", url, err)
	}
	return s, nil
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func status(ctx context.Context, cfg config, w io.Writer) error {
	s, err := fetch(ctx, cfg)
	if err != nil {
		return err
	}
	if cfg.JSON {
		return printJSON(w, s)
	}
	session := "not connected"
	if s.Session.Connected {
		session = "connected"
	}
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-10s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("hotspot", "%s (%s)", s.Hotspot, s.Name)
	line("region", "%s", s.Region)
	line("oracle", "%s, %s", s.Oracle, session)
	line("time", "%s", s.Time)
	line("reports", "%d delivered, %d waiting, %d lost", s.Session.Delivered, s.Outbox.Entries, s.Outbox.Expired+s.Outbox.Displaced)
	line("heard", "%d packets, %d beacons", s.Received.Packets, s.Received.Witnesses)
	line("beacons", "%s", counts(s.Beacons))
	line("downlinks", "%s", counts(s.Downlinks))
	line("verdicts", "%s", counts(s.Verdicts))
	for _, u := range s.Airtime {
		line("airtime", "%s: %.1f of %.1f s left", u.Band, u.Remains.Duration().Seconds(), u.Budget.Duration().Seconds())
	}
	for _, p := range s.Problems {
		line("problem", "%s", p)
	}
	_, err = io.WriteString(w, b.String())
	return err
}

func counts(m map[string]uint64) string {
	if len(m) == 0 {
		return "none"
	}
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, fmt.Sprintf("%s %d", k, m[k]))
	}
	return strings.Join(out, ", ")
}

// finding is one line of the doctor's.
type finding struct {
	OK   bool   `json:"ok"`
	Text string `json:"text"`
}

// errSick makes the exit code 1 after the findings have been printed.
var errSick = errors.New("something is wrong, see above")

func doctor(ctx context.Context, cfg config, w io.Writer) error {
	var out []finding
	s, err := fetch(ctx, cfg)
	if err != nil {
		out = append(out, finding{false, err.Error()})
	} else {
		out = append(out, finding{true, "hotspotd answers"})
		for _, p := range s.Problems {
			out = append(out, finding{false, p})
		}
	}
	key, kerr := identity.LoadFile(cfg.KeyFile)
	switch {
	case errors.Is(kerr, os.ErrPermission):
		out = append(out, finding{false, kerr.Error() + ": run hotspotctl as the user of hotspotd"})
	case kerr != nil:
		out = append(out, finding{false, kerr.Error() + ": name the right file with --key-file"})
	case err == nil && key.ID().String() != s.Hotspot:
		out = append(out, finding{false, fmt.Sprintf("%s is the key of %s, but hotspotd runs as %s", cfg.KeyFile, key.ID(), s.Hotspot)})
	default:
		out = append(out, finding{true, "the key file is sound"})
	}
	sick := slices.ContainsFunc(out, func(f finding) bool { return !f.OK })
	if cfg.JSON {
		err = printJSON(w, out)
	} else {
		for _, f := range out {
			mark := "ok "
			if !f.OK {
				mark = "BAD"
			}
			if _, err = fmt.Fprintf(w, "%s  %s\n", mark, f.Text); err != nil {
				break
			}
		}
	}
	if err == nil && sick {
		err = errSick
	}
	return err
}

func keyShow(cfg config, w io.Writer) error {
	key, err := identity.LoadFile(cfg.KeyFile)
	if err != nil {
		return fmt.Errorf("%w: name the right file with --key-file", err)
	}
	id := key.ID()
	if cfg.JSON {
		return printJSON(w, map[string]string{"hotspot": id.String(), "name": id.Name(), "type": id.Type().String(), "network": id.Network().String()})
	}
	_, err = fmt.Fprintf(w, "%-8s %s\n%-8s %s\n%-8s %s, %s\n", "hotspot", id, "name", id.Name(), "type", id.Type(), id.Network())
	return err
}
