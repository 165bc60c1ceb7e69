package solanavm

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gagliardetto/solana-go"
	"github.com/gagliardetto/solana-go/rpc"
)

const orphanVariable = "SOLANAVM_TEST_ORPHAN"

func TestMain(m *testing.M) {
	if os.Getenv(orphanVariable) != "" {
		makeOrphan()
	}
	os.Exit(m.Run())
}

// makeOrphan starts a VM, prints its process id and waits to be killed.
func makeOrphan() {
	v, err := Start(context.Background(), Config{})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(v.PID())
	select {}
}

func TestServerEndsWithItsParent(t *testing.T) {
	ForTest(t, Config{}) // install first
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), orphanVariable+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Sscan(line, &pid); err != nil {
		t.Fatalf("parent said %q", line)
	}
	if err := syscall.Kill(pid, 0); err != nil {
		t.Fatalf("server %d is not running: %v", pid, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	ctx := testContext(t)
	for running(pid) {
		select {
		case <-ctx.Done():
			t.Fatalf("server %d outlives its parent", pid)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// running says whether pid runs; a zombie that nobody reaps does not.
func running(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return !os.IsNotExist(err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}

func TestChainContinuesFromDisk(t *testing.T) {
	cfg := Config{StateFile: filepath.Join(t.TempDir(), "chain")}
	first := newBench(t, cfg)
	sig := first.send(first.transfer(0, 11))
	pending := first.sign("lands after the restart")
	first.faults(Faults{DelayLanding: 1, LandAfterMin: 5, LandAfterMax: 5})
	if err := first.try(pending); err != nil {
		t.Fatal(err)
	}
	unsent := first.sign("signed before, sent after")
	before, err := first.Stats(first.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Stop(); err != nil {
		t.Fatal(err)
	}
	second := newBench(t, cfg) // sets the same stage: nothing to add
	if first.Genesis() != second.Genesis() {
		t.Errorf("genesis %s became %s", first.Genesis(), second.Genesis())
	}
	second.wantBalance(second.Recipients[0], 11)
	second.wantBalance(second.Treasury, 1_000_000)
	if second.status(sig) == nil {
		t.Error("the transaction is forgotten")
	}
	after, err := second.Stats(second.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if after.Height != before.Height || after.Slot != before.Slot || after.Pending != 1 {
		t.Errorf("before %+v, after %+v", before, after)
	}
	if err := second.try(unsent); err != nil {
		t.Error(err)
	}
	second.wantBalance(second.Recipients[0], 12)
	second.tick(5)
	second.wantBalance(second.Recipients[0], 13)
}

func TestStateSurvivesKill(t *testing.T) {
	cfg := Config{StateFile: filepath.Join(t.TempDir(), "chain")}
	v, err := Start(testContext(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx := testContext(t)
	to := key("kill").PublicKey()
	s := Sender{Client: v.Client(), Commitment: rpc.CommitmentProcessed}
	if err := s.Fund(ctx, to, 5); err == nil {
		t.Error("5 lamports are below the rent-exempt minimum, but the airdrop landed")
	}
	if err := s.Fund(ctx, to, solana.LAMPORTS_PER_SOL); err != nil {
		t.Fatal(err)
	}
	if err := v.Save(ctx); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(v.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-v.Done()
	if err := v.Stop(); err == nil {
		t.Error("Stop reports a killed server as well ended")
	}
	again := ForTest(t, cfg)
	out, err := again.Client().GetBalance(ctx, to, rpc.CommitmentProcessed)
	if err != nil || out.Value != solana.LAMPORTS_PER_SOL {
		t.Errorf("balance after the kill: %v, %v", out, err)
	}
}

func TestBrokenStateIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "chain")
	v := ForTest(t, Config{StateFile: path})
	if err := v.Stop(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	other := solana.Hash(key("another chain").PublicKey())
	if _, err := Start(testContext(t), Config{StateFile: path, Genesis: other}); err == nil || !strings.Contains(err.Error(), "move it away") {
		t.Errorf("state of another chain: %v", err)
	}
	raw[len(raw)/2] ^= 1
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(testContext(t), Config{StateFile: path}); err == nil || !strings.Contains(err.Error(), "checksum") {
		t.Errorf("damaged state: %v", err)
	}
}

// TestSlotsTick: with an interval, blocks come by themselves and Wait ends.
func TestSlotsTick(t *testing.T) {
	v := ForTest(t, Config{SlotInterval: 5 * time.Millisecond, Genesis: solana.Hash(key("genesis").PublicKey())})
	ctx := testContext(t)
	if v.Genesis() != solana.Hash(key("genesis").PublicKey()) {
		t.Errorf("genesis %s", v.Genesis())
	}
	s := Sender{Client: v.Client(), Payer: key("payer"), Commitment: rpc.CommitmentFinalized}
	if err := s.Fund(ctx, s.Payer.PublicKey(), solana.LAMPORTS_PER_SOL); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Send(ctx, []solana.Instruction{memoIx("ticks")}); err != nil {
		t.Fatal(err)
	}
}

func TestMissingProgramsAreNamed(t *testing.T) {
	if _, err := Start(t.Context(), Config{Dir: t.TempDir()}); err == nil || !strings.Contains(err.Error(), dirVariable) {
		t.Errorf("no server: %v", err)
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := Start(t.Context(), Config{}); err == nil || !strings.Contains(err.Error(), "install Node.js") {
		t.Errorf("no node: %v", err)
	}
}
