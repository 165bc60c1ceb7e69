package solanavm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gagliardetto/solana-go"
	"github.com/gagliardetto/solana-go/programs/token"
	"github.com/gagliardetto/solana-go/rpc"

	"heliograph/oracle/epoch"
	"heliograph/oracle/epoch/epochtest"
	"heliograph/oracle/settle"
	hsolana "heliograph/oracle/settle/solana"
)

// nobody is an address that nobody listens on.
func nobody(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return "http://" + l.Addr().String()
}

// saved writes a bundle into a file.
func saved(t *testing.T, b epoch.Bundle) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bundle.jsonl")
	f, err := os.Create(path)
	if err == nil {
		_, err = b.WriteTo(f)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// final waits until a transaction is final.
func final(t *testing.T, vm *VM, sig string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	reader := hsolana.NewReader(vm.URL())
	for {
		_, err := reader.Transaction(ctx, sig)
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// markersGone waits until the rent of an epoch's markers was taken back.
func (d *town) markersGone(rec settle.Record) {
	d.t.Helper()
	for until := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		left := 0
		for i := range rec.Batches {
			exists, sigs, err := d.client.Marked(d.t.Context(), settle.Marker{Epoch: rec.Epoch.Epoch, Batch: i})
			if err != nil || len(sigs) == 0 {
				d.t.Fatal(err, sigs)
			}
			if exists {
				left++
			}
		}
		if left == 0 {
			return
		}
		if time.Now().After(until) {
			d.t.Fatalf("%d of %d markers are still there", left, rec.Batches)
		}
	}
}

// TestOraclectlAudit: the program itself, on the bundle that the explorer gives out
// and the chain's RPC, and nothing else. Whatever does not fit is one line that
// says what, with exit code 1; what could not be looked at is exit code 2.
func TestOraclectlAudit(t *testing.T) {
	oraclectl := program(t, "heliograph/oracle/cmd/oraclectl")
	d := newTown(t, 20)
	e := epochtest.First
	rec := d.play(e, closed)
	n, _ := d.node()
	url := explorerOf(n)
	awaitClosed(t, url, e)
	where := fmt.Sprintf("%s/api/epochs/%d/bundle", url, e)
	audit := func(bundle, rpc string, more ...string) (int, string) {
		return oraclectl(append([]string{"audit", bundle, "--rpc", rpc}, more...)...)
	}
	good := bundleFrom(t, url, e)
	list := listOf(t, good)
	if code, out := audit(where, d.vm.URL()); code != 0 || !strings.Contains(out, fmt.Sprintf("%d paid to %d wallets in %d transactions, 0 of", rec.Total, rec.Count, rec.Batches)) {
		t.Fatalf("the honest bundle: exit code %d\n%s", code, out)
	}
	d.markersGone(rec)
	if code, out := audit(where, d.vm.URL()); code != 0 || !strings.Contains(out, fmt.Sprintf("in %d transactions", rec.Batches)) {
		t.Fatalf("markers are closed: exit code %d\n%s", code, out)
	}

	other := ForTest(t, Config{Genesis: solana.Hash{7}})
	forged := func(change func(b *epoch.Bundle)) string {
		b, claim := good, *good.Claim
		b.Claim = &claim
		change(&b)
		return saved(t, b)
	}
	untrue, err := d.client.Memo(t.Context(), settle.CloseText(e, good.Secret, rec.Total+1, 0), d.blockhash())
	if err == nil {
		err = d.client.Send(t.Context(), untrue)
	}
	if err != nil {
		t.Fatal(err)
	}
	final(t, d.vm, untrue.Signature)
	for _, c := range []struct {
		name   string
		bundle string
		rpc    string
		args   []string
		code   int
		want   []string
	}{
		{name: "list changed", bundle: forged(func(b *epoch.Bundle) { b.Claim.List[0] ^= 1 }), code: 1, want: []string{"DIFFERS list of payouts", "wallets are paid other amounts"}},
		{name: "verdicts changed", bundle: forged(func(b *epoch.Bundle) { b.Claim.Verdicts[0] ^= 1 }), code: 1, want: []string{"DIFFERS verdicts", "the rules give other verdicts"}},
		{name: "a report left out", bundle: forged(func(b *epoch.Bundle) { b.Reports = b.Reports[1:] }), code: 1, want: []string{"DIFFERS reports", "DIFFERS digest of the evidence"}},
		{name: "seed wrong", bundle: forged(func(b *epoch.Bundle) { b.Claim.Seed[0] ^= 1 }), code: 1, want: []string{"DIFFERS seed ", "another seed"}},
		{name: "secret wrong", bundle: forged(func(b *epoch.Bundle) { b.Secret[0] ^= 1 }), code: 1, want: []string{"DIFFERS commitment to the secret"}},
		{name: "block chosen", bundle: forged(func(b *epoch.Bundle) { b.Opening.Blockhash[0] ^= 1 }), code: 1, want: []string{"DIFFERS block of the seed"}},
		{name: "checkpoint's signature", bundle: forged(func(b *epoch.Bundle) {
			b.Claim.Checkpoint.Signature = append([]byte{}, b.Claim.Checkpoint.Signature...)
			b.Claim.Checkpoint.Signature[0] ^= 1
		}), code: 1, want: []string{"DIFFERS signature of the journal's checkpoint"}},
		{name: "close memo of more than was paid", bundle: forged(func(b *epoch.Bundle) { b.Memos.Close = untrue.Signature }), code: 1,
			want: []string{"DIFFERS paid and held, by the close memo", fmt.Sprintf("p=%d", rec.Total+1)}},
		{name: "another sender", bundle: where, args: []string{"--payer", newKey(t).PublicKey().String()}, code: 1, want: []string{"DIFFERS seed memo's sender"}},
		{name: "another treasury", bundle: where, args: []string{"--treasury", d.stage.Recipients[0].String()}, code: 1, want: []string{"DIFFERS payments that are wrong"}},
		{name: "wrong cluster", bundle: where, rpc: other.URL(), code: 2, want: []string{"cluster", other.Genesis().String()}},
		{name: "endpoint down", bundle: where, rpc: nobody(t), code: 2, want: []string{"refused", "--rpc"}},
		{name: "no endpoint", bundle: where, rpc: "http://", code: 2, want: []string{"oraclectl:"}},
		{name: "no bundle", bundle: fmt.Sprintf("%s/api/epochs/%d/bundle", url, e+9), code: 2, want: []string{"404"}},
		{name: "cut bundle", bundle: cut(t, forged(func(*epoch.Bundle) {})), code: 2, want: []string{"read bundle", "unexpected EOF"}},
	} {
		if c.rpc == "" {
			c.rpc = d.vm.URL()
		}
		code, out := audit(c.bundle, c.rpc, c.args...)
		if code != c.code {
			t.Errorf("%s: exit code %d, want %d\n%s", c.name, code, c.code, out)
		}
		for _, want := range c.want {
			if !strings.Contains(out, want) {
				t.Errorf("%s: lacks %q\n%s", c.name, want, out)
			}
		}
		if c.code == 2 && strings.Count(out, "\n") != 1 {
			t.Errorf("%s: more than a line:\n%s", c.name, out)
		}
	}

	// The operator pays somebody again: behind a marker of his own, then without.
	twice, err := d.client.Payout(t.Context(), settle.Marker{Epoch: e, Batch: rec.Batches + 1}, list[:1], d.blockhash(), 0)
	if err == nil {
		err = d.client.Send(t.Context(), twice)
	}
	if err != nil {
		t.Fatal(err)
	}
	final(t, d.vm, twice.Signature)
	if code, out := audit(where, d.vm.URL()); code != 1 || !strings.Contains(out, "a second time") || !strings.Contains(out, solana.PublicKey(list[0].Wallet).String()) {
		t.Errorf("paid twice behind a marker: exit code %d\n%s", code, out)
	}
	sender := Sender{Client: d.vm.Client(), Payer: d.hot, Commitment: rpc.CommitmentFinalized}
	if _, err := sender.Send(t.Context(), []solana.Instruction{token.NewTransferCheckedInstruction(uint64(list[0].Amount), d.stage.Decimals, d.stage.Treasury, d.stage.Mint, d.stage.Recipients[0], d.hot.PublicKey(), nil).Build()}); err != nil {
		t.Fatal(err)
	}
	if code, out := audit(where, d.vm.URL()); code != 1 || !strings.Contains(out, "from the treasury without a marker") {
		t.Errorf("paid past the markers: exit code %d\n%s", code, out)
	}
}

// TestOraclectlAuditMissingPayout: an operator stops in the middle, and says on chain
// that everybody was paid.
func TestOraclectlAuditMissingPayout(t *testing.T) {
	oraclectl := program(t, "heliograph/oracle/cmd/oraclectl")
	d := newTown(t, 20)
	e := epochtest.First
	rec := d.play(e, partly)
	r, _, err := d.world.Manager.Record(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	ev, err := d.world.Manager.Evidence(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	seed, err := d.settler.Commitment(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	lie, err := d.client.Memo(t.Context(), settle.CloseText(e, ev.Secret, rec.Total, 0), d.blockhash())
	if err == nil {
		err = d.client.Send(t.Context(), lie)
	}
	if err != nil {
		t.Fatal(err)
	}
	final(t, d.vm, lie.Signature)
	b := epoch.Bundle{Evidence: ev, Claim: &r, Memos: epoch.Memos{Seed: seed.Signature, Commit: rec.Commit.Signature, Close: lie.Signature},
		Payments: &epoch.Payments{Identity: rec.Identity, Batches: rec.Batches}}
	code, out := oraclectl("audit", saved(t, b), "--rpc", d.vm.URL())
	if code != 1 || !strings.Contains(out, "DIFFERS paid and held, by the close memo") || strings.Contains(out, ", 0 of the list is held") {
		t.Errorf("a payout is missing: exit code %d\n%s", code, out)
	}
}

func (d *town) blockhash() settle.Blockhash {
	d.t.Helper()
	h, err := d.client.Blockhash(d.t.Context())
	if err != nil {
		d.t.Fatal(err)
	}
	return h
}

// cut takes the last bytes off a file.
func cut(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, b[:len(b)*2/3], 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestHotspotctlProves: a hotspot's owner, with the explorer and the chain's RPC.
func TestHotspotctlProves(t *testing.T) {
	hotspotctl := program(t, "heliograph/firmware/cmd/hotspotctl")
	d := newTown(t, 20)
	e := epochtest.First
	d.play(e, closed)
	n, _ := d.node()
	url := explorerOf(n)
	awaitClosed(t, url, e)
	id := d.world.Keys[3].ID().String()
	other := ForTest(t, Config{Genesis: solana.Hash{7}})
	// A liar in front of the explorer changes what he is told to.
	liar := func(from, to string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			resp, err := http.Get(url + r.URL.Path)
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = resp.Body.Close() }()
			b, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Error(err)
			}
			w.WriteHeader(resp.StatusCode)
			_, _ = fmt.Fprint(w, strings.ReplaceAll(string(b), from, to))
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	var shown struct{ Root string }
	if !fetchJSON(t, fmt.Sprintf("%s/api/epochs/%d", url, e), &shown) {
		t.Fatal("no epoch")
	}
	hot := d.hot.PublicKey().String()
	for _, c := range []struct {
		name string
		args []string
		code int
		want []string
	}{
		{"included", nil, 0, []string{"the root is in memo", hot, "as witness"}},
		{"the payer is named", []string{"--payer", hot}, 0, []string{"the root is in memo"}},
		{"as json", []string{"--json"}, 0, []string{`"on_chain": true`, id}},
		{"another payer", []string{"--payer", d.stage.Mint.String()}, 1, []string{"was written by"}},
		{"absent", []string{"--hotspot", epochtest.Oracle().ID().String()}, 1, []string{"404", "earned nothing"}},
		{"another epoch", []string{"--epoch", fmt.Sprint(e + 7)}, 1, []string{"404", "not judged"}},
		{"wrong root", []string{"--url", liar(shown.Root, strings.Repeat("ab", 32))}, 1, []string{"does NOT lead"}},
		{"another cluster", []string{"--rpc", other.URL()}, 1, []string{"knows no final, successful transaction", "cluster"}},
		{"endpoint down", []string{"--rpc", nobody(t)}, 1, []string{"refused", "--rpc"}},
		{"explorer down", []string{"--url", nobody(t)}, 1, []string{"refused", "--url"}},
	} {
		args := []string{"rewards", "prove", "--epoch", fmt.Sprint(e), "--url", url, "--rpc", d.vm.URL(), "--hotspot", id}
		code, out := hotspotctl(append(args, c.args...)...)
		if code != c.code {
			t.Errorf("%s: exit code %d, want %d\n%s", c.name, code, c.code, out)
		}
		for _, want := range c.want {
			if !strings.Contains(out, want) {
				t.Errorf("%s: lacks %q\n%s", c.name, want, out)
			}
		}
	}
}
