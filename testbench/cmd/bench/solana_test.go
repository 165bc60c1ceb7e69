package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gagliardetto/solana-go"
	"github.com/gagliardetto/solana-go/rpc"

	"heliograph/provisioning/settings"
	solanavm "heliograph/testbench/solana"
)

// bench builds this program.
func bench(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bench")
	if out, err := exec.Command("go", "build", "-o", path, "heliograph/testbench/cmd/bench").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// served is a running bench solana.
type served struct {
	faulty, honest, genesis string
	lines                   *bufio.Scanner // what it prints later
}

// serve runs bench solana until the test ends.
func serve(t *testing.T, program string, args ...string) *served {
	t.Helper()
	cmd := exec.Command(program, append([]string{"solana", "--port", "0", "--slot", "10ms"}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_, _ = io.Copy(io.Discard, out)
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: it ends with %v", args, err)
		}
	})
	s := &served{lines: bufio.NewScanner(out)}
	for _, f := range []struct {
		name string
		to   *string
	}{{"honest node", &s.honest}, {"faulty node", &s.faulty}, {"genesis hash", &s.genesis}} {
		if !s.lines.Scan() || !strings.HasPrefix(s.lines.Text(), f.name) {
			t.Fatalf("%v: it says %q, want %s", args, s.lines.Text(), f.name)
		}
		*f.to = strings.TrimSpace(strings.TrimPrefix(s.lines.Text(), f.name))
	}
	return s
}

// reply is what a node makes of a request.
type reply struct {
	status     int // 0: the connection was closed
	retryAfter string
	kind       string // Content-Type
	text       string
	after      time.Duration
}

func ask(t *testing.T, url, method, params string) (r reply) {
	t.Helper()
	from := time.Now()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Post(url, "application/json", strings.NewReader(fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":%s}`, method, params)))
	if err != nil {
		return reply{text: err.Error(), after: time.Since(from)}
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return reply{text: err.Error(), after: time.Since(from)}
	}
	return reply{status: res.StatusCode, retryAfter: res.Header.Get("Retry-After"), kind: res.Header.Get("Content-Type"), text: string(b), after: time.Since(from)}
}

const wallet = "4Nd1mBQtrMJVYVfKf2PJy9NZUZdTAsp7D4xWLs4gDB4T"

const otherGenesis = "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d"

// airdrop sends the simplest transaction that there is; its signature is "" when no
// answer came.
func airdrop(t *testing.T, url string) string {
	t.Helper()
	r := ask(t, url, "requestAirdrop", `["`+wallet+`",1000000000]`)
	_, after, _ := strings.Cut(r.text, `"result":"`)
	sig, _, _ := strings.Cut(after, `"`)
	return sig
}

func funded(t *testing.T, url string) bool {
	t.Helper()
	r := ask(t, url, "getBalance", `["`+wallet+`",{"commitment":"processed"}]`)
	return r.status == 200 && !strings.Contains(r.text, `"value":0`)
}

// Every fault of the manual: by its flags, and by HTTP on a node that was honest.
func TestSolanaFaults(t *testing.T) {
	program := bench(t)
	honest := serve(t, program)
	shown := func(url, sig string) bool {
		r := ask(t, url, "getSignatureStatuses", `[["`+sig+`"],{"searchTransactionHistory":true}]`)
		return strings.Contains(r.text, "confirmationStatus")
	}
	for i, c := range []struct {
		name  string
		flags []string
		http  string
		check func(faulty, honest string) string // "" or what is wrong
	}{
		{"dropped", []string{"--drop", "1"}, `{"drop":1}`, func(f, _ string) string {
			return want(ask(t, f, "getHealth", "[]").status == 0, "a dropped call was answered")
		}},
		{"delayed", []string{"--delay", "300ms"}, `{"delayMs":300}`, func(f, _ string) string {
			return want(ask(t, f, "getHealth", "[]").after >= 300*time.Millisecond, "it answers at once")
		}},
		{"429 with JSON", []string{"--rate-limit", "1", "--retry-after", "7"}, `{"rateLimit":1,"retryAfterSec":7}`, func(f, _ string) string {
			r := ask(t, f, "getHealth", "[]")
			return want(r.status == 429 && r.retryAfter == "7" && strings.Contains(r.text, `"error"`), "%+v", r)
		}},
		{"429 without JSON", []string{"--rate-limit", "1", "--rate-limit-html"}, `{"rateLimit":1,"rateLimitBody":"html"}`, func(f, _ string) string {
			r := ask(t, f, "getHealth", "[]")
			return want(r.status == 429 && strings.Contains(r.kind, "html") && !strings.HasPrefix(strings.TrimSpace(r.text), "{"), "%+v", r)
		}},
		{"stale height", []string{"--stale-blocks", "50"}, `{"staleBlocks":50}`, func(f, h string) string {
			for range 200 {
				if number(ask(t, h, "getBlockHeight", `[{"commitment":"processed"}]`).text) > 60 {
					break
				}
				time.Sleep(10 * time.Millisecond)
			}
			a := number(ask(t, h, "getBlockHeight", `[{"commitment":"processed"}]`).text)
			b := number(ask(t, f, "getBlockHeight", `[{"commitment":"processed"}]`).text)
			return want(b+40 < a, "heights %d and %d", a, b)
		}},
		{"wrong genesis", []string{"--wrong-genesis", otherGenesis}, `{"genesis":"` + otherGenesis + `"}`, func(f, h string) string {
			return want(strings.Contains(ask(t, f, "getGenesisHash", "[]").text, otherGenesis) && !strings.Contains(ask(t, h, "getGenesisHash", "[]").text, otherGenesis), "the true one")
		}},
		{"hidden statuses", []string{"--hide-status", "1"}, `{"hideStatus":1}`, func(f, h string) string {
			sig := airdrop(t, h)
			return want(sig != "" && shown(h, sig) && !shown(f, sig), "the faulty node shows %q, or the honest one does not", sig)
		}},
		{"null statuses", []string{"--null-status", "1"}, `{"nullStatus":1}`, func(f, h string) string {
			sig := airdrop(t, h)
			return want(sig != "" && shown(h, sig) && !shown(f, sig), "the faulty node shows %q, or the honest one does not", sig)
		}},
	} {
		for _, by := range []string{"flags", "http"} {
			faulty, honestly := "", ""
			if by == "flags" {
				s := serve(t, program, append([]string{"--node", "liar"}, c.flags...)...)
				faulty, honestly = s.faulty, s.honest
			} else {
				faulty, honestly = fmt.Sprintf("%snode/liar-%d", honest.honest[:strings.Index(honest.honest, "node/")], i), honest.honest
				if r := ask(t, faulty, "x_setFaults", "["+c.http+"]"); r.status != 200 || strings.Contains(r.text, `"error"`) {
					t.Fatalf("%s: %+v", c.name, r)
				}
			}
			if wrong := c.check(faulty, honestly); wrong != "" {
				t.Errorf("%s by %s: %s", c.name, by, wrong)
			}
			if r := ask(t, faulty, "x_clearFaults", "[]"); r.status != 200 {
				t.Errorf("%s: %+v", c.name, r)
			}
			if r := ask(t, faulty, "getHealth", "[]"); r.status != 200 || r.after > 250*time.Millisecond && c.name == "delayed" {
				t.Errorf("%s by %s: still there after x_clearFaults: %+v", c.name, by, r)
			}
		}
	}
}

// What goes wrong with a transaction: the node hangs up after it landed, forgets
// it, or lands it later.
func TestSolanaSendingFaults(t *testing.T) {
	program := bench(t)
	for _, c := range []struct {
		flags              []string
		answered           bool
		landed, landsLater bool
	}{
		{[]string{"--hang-up", "1"}, false, true, false},
		{[]string{"--swallow", "1"}, true, false, false},
		{[]string{"--delay-landing", "1", "--land-after-max", "40", "--seed", "3"}, true, false, true},
	} {
		s := serve(t, program, append([]string{"--node", "liar"}, c.flags...)...)
		payer, err := solana.NewRandomPrivateKey()
		if err != nil {
			t.Fatal(err)
		}
		sender := solanavm.Sender{Client: rpc.New(s.honest), Payer: payer, Commitment: rpc.CommitmentProcessed}
		if err := sender.Fund(t.Context(), payer.PublicKey(), solana.LAMPORTS_PER_SOL); err != nil {
			t.Fatal(err)
		}
		tx, err := sender.Sign(t.Context(), []solana.Instruction{solana.NewInstruction(solana.MemoProgramID, nil, []byte("hello"))})
		if err != nil {
			t.Fatal(err)
		}
		sig, err := rpc.New(s.faulty).SendTransactionWithOpts(t.Context(), tx, rpc.TransactionOpts{SkipPreflight: true})
		if (err == nil) != c.answered {
			t.Errorf("%v: answered %v, %v", c.flags, sig, err)
		}
		shown := func() bool {
			out, err := rpc.New(s.honest).GetSignatureStatuses(t.Context(), true, tx.Signatures[0])
			return err == nil && out.Value[0] != nil
		}
		height := number(ask(t, s.honest, "getBlockHeight", `[{"commitment":"processed"}]`).text)
		if now := shown(); now && !c.landed && !c.landsLater || !now && c.landed {
			t.Errorf("%v: landed %v", c.flags, now)
		}
		for number(ask(t, s.honest, "getBlockHeight", `[{"commitment":"processed"}]`).text) < height+60 {
			time.Sleep(10 * time.Millisecond)
		}
		if later := shown(); later != (c.landed || c.landsLater) {
			t.Errorf("%v: landed in the end: %v", c.flags, later)
		}
	}
}

func want(ok bool, format string, args ...any) string {
	if ok {
		return ""
	}
	return fmt.Sprintf(format, args...)
}

func number(answer string) (n int) {
	_, after, _ := strings.Cut(answer, `"result":`)
	_, _ = fmt.Sscan(strings.TrimRight(after, "}\n ,"), &n)
	return n
}

// Forks, by flags and by HTTP: what was in the blocks is gone.
func TestSolanaForks(t *testing.T) {
	program := bench(t)
	s := serve(t, program, "--fork-every", "300ms", "--fork-depth", "20")
	taken := false
	for until := time.Now().Add(30 * time.Second); !taken && time.Now().Before(until); {
		airdrop(t, s.honest)
		if !s.lines.Scan() {
			t.Fatal("it has ended")
		}
		taken = strings.HasPrefix(s.lines.Text(), "fork at height ") && !strings.Contains(s.lines.Text(), ": 0 transactions")
		for range 30 {
			airdrop(t, s.honest) // so that some lie in the next fork
			time.Sleep(10 * time.Millisecond)
		}
	}
	if !taken {
		t.Error("no fork took a transaction back")
	}
	h := serve(t, program)
	if r := ask(t, h.honest, "x_checkpoint", "[]"); !strings.Contains(r.text, `"id":1`) {
		t.Fatalf("%+v", r)
	}
	sig := airdrop(t, h.honest)
	if sig == "" || !funded(t, h.honest) {
		t.Fatal("nothing was sent")
	}
	if r := ask(t, h.honest, "x_rollback", `[{"id":1,"force":true}]`); !strings.Contains(r.text, sig) {
		t.Errorf("the fork did not take %s back: %+v", sig, r)
	}
	if funded(t, h.honest) {
		t.Error("the balance is still there")
	}
}

func TestSolanaHelpAndRefusals(t *testing.T) {
	var out screen
	if err := runSolana(t.Context(), []string{"--help"}, &out); !errors.Is(err, settings.ErrHelp) {
		t.Fatal(err)
	}
	for _, flag := range []string{"--drop", "--delay", "--hang-up", "--swallow", "--delay-landing", "--rate-limit", "--rate-limit-html", "--hide-status", "--null-status",
		"--stale-blocks", "--wrong-genesis", "--genesis", "--fork-every"} {
		if strings.Count(strings.ReplaceAll(out.String(), "\n", " "), flag+" ") < 2 && flag != "--genesis" {
			t.Errorf("%s: no help, or no example", flag)
		}
	}
	for _, args := range [][]string{{"--fork-every", "1s", "--slot", "0s"}, {"--fork-every", "1s", "--fork-depth", "31"}, {"--genesis", "x"}, {"--drop", "2", "--port", "0"},
		{"--wrong-genesis", "x", "--port", "0"}, {"--port", "65536"}, {"--port=-1"}, {"--slot=-1s"}, {"--fork-every=-1s"}} {
		var wrong usageError
		if err := runSolana(t.Context(), args, &out); !errors.As(err, &wrong) {
			t.Errorf("%v: %v", args, err)
		}
	}
}
