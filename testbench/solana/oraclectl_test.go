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

	"heliograph/oracle/epoch/epochtest"
	"heliograph/oracle/settle"
)

// Two of three operators approve an epoch with the program itself: each recomputes
// the bundle, the second compares the first one's message with his own.
func TestOraclectlApproves(t *testing.T) {
	v := newVault(t, 2, 3)
	ctx := testContext(t)
	program := filepath.Join(t.TempDir(), "oraclectl")
	if out, err := exec.Command("go", "build", "-o", program, "heliograph/oracle/cmd/oraclectl").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	w := epochtest.New(t, 3)
	w.Run(1)
	rec, _, err := w.Manager.Record(ctx, epochtest.First)
	if err != nil {
		t.Fatal(err)
	}
	s := v.sender
	s.Payer = v.hot
	commit, err := s.Send(ctx, []solana.Instruction{memoIx(settle.CommitText(rec.Epoch, rec.Payouts, rec.Payable, rec.Roots()))})
	if err != nil {
		t.Fatal(err)
	}
	if err := v.vm.Tick(ctx, 40); err != nil {
		t.Fatal(err)
	}
	b := w.Bundle(rec)
	b.Memos.Commit = commit.String()
	save := func(name string) string {
		path := filepath.Join(t.TempDir(), name)
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
	good := save("bundle")
	run := func(file string, more ...string) (code int, out string) {
		args := append([]string{"settle", "approve", "--epoch", "7", "--json", "--file", file, "--rpc", v.vm.URL(),
			"--treasury", v.stage.Treasury.String(), "--hot", v.hot.PublicKey().String()}, more...)
		args[3] = fmt.Sprint(epochtest.First)
		text, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
		var ended *exec.ExitError
		if err != nil && !errors.As(err, &ended) {
			t.Fatal(err)
		}
		if ended != nil {
			code = ended.ExitCode()
		}
		return code, string(text)
	}
	var a struct {
		Message   string
		Signers   []string
		Signature string
		Signer    struct{ Total uint64 } `json:"signer_approval"`
	}
	code, out := run(good)
	if err := json.Unmarshal([]byte(out), &a); err != nil || code != 0 || len(a.Signers) != 2 || a.Signer.Total != uint64(rec.Payable) {
		t.Fatalf("%d %v\n%s", code, err, out)
	}
	if code, out := run(good, "--hot", v.keys[0].PublicKey().String()); code != 2 || !strings.Contains(out, "do not approve") {
		t.Errorf("another hot key: %d\n%s", code, out)
	}
	if code, out := run(good, "--treasury", v.stage.Recipients[0].String(), "--message", a.Message); code != 2 || !strings.Contains(out, "do not sign") {
		t.Errorf("another treasury: %d\n%s", code, out)
	}
	raw, err := base64.StdEncoding.DecodeString(a.Message)
	if err != nil {
		t.Fatal(err)
	}
	sigs := []string{"--message", a.Message}
	for _, k := range v.keys[:2] {
		sig, err := k.Sign(raw)
		if err != nil {
			t.Fatal(err)
		}
		sigs = append(sigs, "--signature", k.PublicKey().String()+"="+sig.String())
	}
	if code, out := run(good, sigs[:4]...); code != 2 || !strings.Contains(out, "missing of "+v.keys[1].PublicKey().String()) {
		t.Errorf("one signature: %d\n%s", code, out)
	}
	if code, out := run(good, sigs...); code != 0 || !strings.Contains(out, `"signature"`) {
		t.Fatalf("%d\n%s", code, out)
	}
	if tr := v.treasury(t); tr.Allowance != uint64(rec.Payable) || tr.Delegate != v.hot.PublicKey() {
		t.Errorf("allowance %d for %s, want %d", tr.Allowance, tr.Delegate, rec.Payable)
	}
	b.Claim.Payable++
	if code, out := run(save("forged")); code != 1 || !strings.Contains(out, "DIFFERS") {
		t.Errorf("a claim that does not verify: %d\n%s", code, out)
	}
}
