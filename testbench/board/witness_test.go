package board

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// machine is another process that notes when it did not get to run. It excuses
// nothing; it says what the machine was like.
type machine struct {
	mu      sync.Mutex
	stalls  int
	longest time.Duration
}

const (
	witnessEnv = "HELIOGRAPH_TEST_WITNESS"
	stallFrom  = 8 * time.Millisecond // that a process which sleeps a millisecond is late
)

// TestWitness is the other process. By itself it does nothing.
func TestWitness(t *testing.T) {
	if os.Getenv(witnessEnv) == "" {
		t.Skip("runs inside TestNoDownlinkMissed")
	}
	for last := time.Now(); ; {
		time.Sleep(time.Millisecond)
		now := time.Now()
		if now.Sub(last) > stallFrom {
			if _, err := fmt.Printf("stall %d %d\n", last.UnixNano(), now.UnixNano()); err != nil {
				return // nobody listens any more
			}
		}
		last = now
	}
}

// watchMachine starts the witness, until the test ends.
func watchMachine(t *testing.T) *machine {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestWitness$")
	cmd.Env = append(os.Environ(), witnessEnv+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	m := &machine{}
	var reading sync.WaitGroup
	reading.Go(func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			var from, to int64
			if n, _ := fmt.Sscanf(s.Text(), "stall %d %d", &from, &to); n == 2 {
				m.mu.Lock()
				m.stalls++
				m.longest = max(m.longest, time.Duration(to-from))
				m.mu.Unlock()
			}
		}
	})
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		reading.Wait()
		_ = cmd.Wait() // killed
	})
	return m
}

// String is what the witness saw.
func (m *machine) String() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return fmt.Sprintf("another process, which sleeps 1 ms at a time, was more than %v late %d times, at most %v", stallFrom, m.stalls, m.longest)
}
