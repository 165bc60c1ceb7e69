package solanavm

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gagliardetto/solana-go"
	associated "github.com/gagliardetto/solana-go/programs/associated-token-account"
	"github.com/gagliardetto/solana-go/programs/token"

	"heliograph/oracle/epoch"
	"heliograph/oracle/epoch/epochtest"
	"heliograph/oracle/reward"
	"heliograph/oracle/settle"
	hsolana "heliograph/oracle/settle/solana"
)

// allowances runs oraclectl settle approve on epochs whose commit memos are on the VM.
type allowances struct {
	*vault
	t       *testing.T
	program string
	records []epoch.Record
	files   []string
}

func newAllowances(t *testing.T, epochs int) *allowances {
	t.Helper()
	a := &allowances{vault: newVault(t, 1, 1), t: t, program: filepath.Join(t.TempDir(), "oraclectl")}
	if out, err := exec.Command("go", "build", "-o", a.program, "heliograph/oracle/cmd/oraclectl").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if _, err := a.sender.Send(testContext(t), []solana.Instruction{
		token.NewMintToInstruction(1<<60, a.stage.Mint, a.stage.Treasury, a.sender.Payer.PublicKey(), nil).Build()}); err != nil {
		t.Fatal(err)
	}
	w := epochtest.New(t, 3)
	a.records = w.Run(epochs)
	for _, rec := range a.records {
		s := a.sender
		s.Payer = a.hot
		commit, err := s.Send(testContext(t), []solana.Instruction{memoIx(settle.CommitText(rec.Epoch, rec.Payouts, rec.Payable, rec.Roots()))})
		if err != nil {
			t.Fatal(err)
		}
		b := w.Bundle(rec)
		b.Memos.Commit = commit.String()
		path := filepath.Join(t.TempDir(), fmt.Sprintf("%d.jsonl", rec.Epoch))
		f, err := os.Create(path)
		if err == nil {
			_, err = b.WriteTo(f)
			err = errors.Join(err, f.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
		a.files = append(a.files, path)
	}
	a.tick()
	return a
}

func (a *allowances) tick() {
	a.t.Helper()
	if err := a.vm.Tick(testContext(a.t), 40); err != nil {
		a.t.Fatal(err)
	}
}

// run calls approve for an epoch by its place.
func (a *allowances) run(i int, more ...string) (code int, out string) {
	a.t.Helper()
	args := append([]string{"settle", "approve", "--epoch", fmt.Sprint(a.records[i].Epoch), "--json", "--file", a.files[i], "--rpc", a.vm.URL(),
		"--treasury", a.stage.Treasury.String(), "--hot", a.hot.PublicKey().String()}, more...)
	text, err := exec.CommandContext(testContext(a.t), a.program, args...).CombinedOutput()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		a.t.Fatal(err)
	}
	if ended != nil {
		code = ended.ExitCode()
	}
	return code, string(text)
}

type approved struct {
	Summary   []string
	Allowance uint64
	Epochs    []struct {
		Epoch             uint32
		Total, Paid, Open uint64
	}
	Message string
	Signer  struct{ Total uint64 } `json:"signer_approval"`
}

// approve makes the message, signs and sends it.
func (a *allowances) approve(i int, more ...string) (out approved) {
	a.t.Helper()
	code, text := a.run(i, more...)
	if err := json.Unmarshal([]byte(text), &out); err != nil || code != 0 {
		a.t.Fatalf("%d %v\n%s", code, err, text)
	}
	raw, err := base64.StdEncoding.DecodeString(out.Message)
	if err != nil {
		a.t.Fatal(err)
	}
	sig, err := a.keys[0].Sign(raw)
	if err != nil {
		a.t.Fatal(err)
	}
	if code, text := a.run(i, append(more, "--message", out.Message, "--signature", a.keys[0].PublicKey().String()+"="+sig.String())...); code != 0 {
		a.t.Fatalf("%d\n%s", code, text)
	}
	return out
}

// pay pays some recipients of an epoch's list in its first batch, as the oracle does.
func (a *allowances) pay(i, n int) (sum uint64) {
	a.t.Helper()
	ctx := testContext(a.t)
	f, err := os.Open(a.files[i])
	if err != nil {
		a.t.Fatal(err)
	}
	b, err := epoch.ReadBundle(f)
	if err = errors.Join(err, f.Close()); err != nil {
		a.t.Fatal(err)
	}
	res, err := epoch.Compute(ctx, b.Evidence)
	if err != nil {
		a.t.Fatal(err)
	}
	var to []reward.Payout
	for _, p := range res.Owing.Payouts[:n] {
		to = append(to, p)
		sum += uint64(p.Amount)
		if _, err := a.sender.Send(ctx, []solana.Instruction{
			associated.NewCreateIdempotentInstruction(a.sender.Payer.PublicKey(), solana.PublicKey(p.Wallet), a.stage.Mint).Build()}); err != nil {
			a.t.Fatal(err)
		}
	}
	client, err := hsolana.Dial(ctx, hsolana.Config{Endpoint: a.vm.URL(), Hot: hsolana.NewFileKey(a.hot), Mint: a.stage.Mint, Treasury: a.stage.Treasury})
	if err != nil {
		a.t.Fatal(err)
	}
	hash, err := client.Blockhash(ctx)
	if err != nil {
		a.t.Fatal(err)
	}
	tx, err := client.Payout(ctx, settle.Marker{Epoch: b.Epoch}, to, hash, 0)
	if err == nil {
		err = client.Send(ctx, tx)
	}
	if err != nil {
		a.t.Fatal(err)
	}
	a.tick()
	return sum
}

// An approval replaces the one before, so it covers what older epochs still hold, and
// not a token more.
func TestApprovalCoversWhatIsStillHeld(t *testing.T) {
	a := newAllowances(t, 2)
	first, second := a.records[0], a.records[1]
	if first.Payouts < 2 {
		t.Fatalf("%d payouts", first.Payouts)
	}
	if got := a.approve(0); got.Allowance != uint64(first.Payable) || len(got.Epochs) != 1 {
		t.Fatalf("first epoch: %+v", got)
	}
	paid := a.pay(0, 1)
	held := uint64(first.Payable) - paid
	if tr := a.treasury(t); tr.Allowance != held {
		t.Fatalf("allowance %d, want %d for those who are held", tr.Allowance, held)
	}
	// Alone, it says what is lost.
	code, text := a.run(1, "--only")
	if code != 0 || !strings.Contains(text, "lose it") || !strings.Contains(text, fmt.Sprintf(`"allowance": %d`, second.Payable)) {
		t.Errorf("--only: %d\n%s", code, text)
	}
	got := a.approve(1, "--older", a.files[0])
	if got.Allowance != uint64(second.Payable)+held || got.Signer.Total != uint64(second.Payable) || len(got.Epochs) != 2 {
		t.Fatalf("second epoch: %+v", got)
	}
	if o := got.Epochs[0]; o.Epoch != uint32(first.Epoch) || o.Total != uint64(first.Payable) || o.Paid != paid || o.Open != held {
		t.Errorf("older epoch: %+v", o)
	}
	summary := strings.Join(got.Summary, "\n")
	for _, want := range []string{fmt.Sprintf("epoch %d: exactly its total of %d", second.Epoch, second.Payable), fmt.Sprintf("epoch %d: exactly %d that", first.Epoch, held)} {
		if !strings.Contains(summary, want) {
			t.Errorf("no %q in\n%s", want, summary)
		}
	}
	if strings.Contains(summary, "lose it") {
		t.Errorf("nothing is lost, but:\n%s", summary)
	}
	if tr := a.treasury(t); tr.Allowance != uint64(second.Payable)+held {
		t.Errorf("allowance %d, want %d + %d", tr.Allowance, second.Payable, held)
	}
	// A message that was made before another payout landed is too large now.
	before := got.Message
	a.pay(1, 1)
	if code, text := a.run(1, "--older", a.files[0], "--message", before); code != 2 || !strings.Contains(text, "do not sign") {
		t.Errorf("an older message: %d\n%s", code, text)
	}
	if code, text := a.run(0, "--older", a.files[1]); code != 2 || !strings.Contains(text, "not older") {
		t.Errorf("a newer epoch as older: %d\n%s", code, text)
	}
}
