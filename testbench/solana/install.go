package solanavm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	dirVariable  = "HELIOGRAPH_VM_DIR"
	minNodeMajor = 20
	// stampName marks a complete installation and the lock file it is of.
	stampName = ".heliograph-lock"
)

// Install puts the server's packages in place without starting it. dir is as in
// [Config].
func Install(ctx context.Context, dir string) error {
	dir, err := serverDir(dir)
	if err != nil {
		return err
	}
	_, err = install(ctx, dir)
	return err
}

// serverDir finds the folder with main.js: where it was said to be, beside this
// source, or in the checkout that the program runs in or was built into (a binary
// built with -trimpath does not know its sources).
func serverDir(dir string) (string, error) {
	if dir == "" {
		dir = os.Getenv(dirVariable)
	}
	candidates := []string{dir}
	if dir == "" {
		_, source, _, _ := runtime.Caller(0)
		candidates = []string{filepath.Join(filepath.Dir(source), "vm")}
		below := filepath.Join("testbench", "solana", "vm")
		if self, err := os.Executable(); err == nil {
			candidates = append(candidates, filepath.Join(filepath.Dir(self), "..", below))
		}
		if here, err := os.Getwd(); err == nil {
			candidates = append(candidates, filepath.Join(here, below))
		}
	}
	for _, c := range candidates {
		if _, err := os.Stat(filepath.Join(c, "main.js")); err == nil {
			return c, nil
		}
	}
	return "", fmt.Errorf("solanavm: no server in %s: set %s to the checkout's testbench/solana/vm", strings.Join(candidates, ", "), dirVariable)
}

// install makes sure that dir/node_modules matches the lock file and returns
// the path of node. Processes that install the same folder take turns.
func install(ctx context.Context, dir string) (node string, err error) {
	node, err = exec.LookPath("node")
	if err != nil {
		return "", fmt.Errorf("solanavm: node not found: install Node.js %d or later and have it in PATH: %w", minNodeMajor, err)
	}
	if err := checkNode(ctx, node); err != nil {
		return "", err
	}
	lock, err := os.ReadFile(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		return "", fmt.Errorf("solanavm: install: %w", err)
	}
	sum := sha256.Sum256(lock)
	want := hex.EncodeToString(sum[:])
	if installed(dir, want) {
		return node, nil
	}
	unlock, err := lockDir(ctx, dir)
	if err != nil {
		return "", err
	}
	defer unlock()
	if installed(dir, want) { // by whoever held the lock
		return node, nil
	}
	if err := npmCI(ctx, dir); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, "node_modules", stampName), []byte(want), 0o644); err != nil {
		return "", fmt.Errorf("solanavm: install: %w", err)
	}
	return node, nil
}

func installed(dir, want string) bool {
	stamp, err := os.ReadFile(filepath.Join(dir, "node_modules", stampName))
	return err == nil && string(stamp) == want
}

func npmCI(ctx context.Context, dir string) error {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return fmt.Errorf("solanavm: npm not found: install npm, or run `npm ci --ignore-scripts` in %s elsewhere and copy node_modules: %w", dir, err)
	}
	cmd := exec.CommandContext(ctx, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
	cmd.Dir = dir
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("solanavm: npm ci in %s: %w: %s: check that the npm registry can be reached, then try again",
			dir, errors.Join(err, ctx.Err()), strings.TrimSpace(string(out)))
	}
	return nil
}

// checkNode refuses a Node.js that is too old for the server.
func checkNode(ctx context.Context, node string) error {
	out, err := exec.CommandContext(ctx, node, "--version").Output()
	if err != nil {
		return fmt.Errorf("solanavm: %s --version: %w", node, err)
	}
	version := strings.TrimSpace(string(out))
	major, _, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	if n, err := strconv.Atoi(major); err != nil || n < minNodeMajor {
		return fmt.Errorf("solanavm: %s is Node.js %s: install version %d or later", node, version, minNodeMajor)
	}
	return nil
}

// lockDir holds an exclusive lock for dir until the returned function runs.
func lockDir(ctx context.Context, dir string) (unlock func(), err error) {
	sum := sha256.Sum256([]byte(dir))
	name := fmt.Sprintf("heliograph-vm-%d-%x.lock", os.Getuid(), sum[:8])
	f, err := os.OpenFile(filepath.Join(os.TempDir(), name), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("solanavm: install: lock: %w", err)
	}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil // closing releases the lock
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			f.Close()
			return nil, fmt.Errorf("solanavm: install: lock %s: %w", f.Name(), err)
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("solanavm: install: wait for another installation (%s): %w", f.Name(), ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}
