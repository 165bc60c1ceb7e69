package solanavm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/gagliardetto/solana-go"
)

// stopGrace is how long Stop lets the process save its state.
const stopGrace = 10 * time.Second

// Config says how Start runs a VM. The zero value is a new chain in memory,
// on a free port, that makes blocks only when told to.
type Config struct {
	// SlotInterval is the time between blocks, in whole milliseconds.
	// 0: blocks come only from Control.Tick.
	SlotInterval time.Duration
	// StateFile keeps the chain across runs; "" keeps it in memory. One VM
	// at a time may use a file.
	StateFile string
	// Genesis is the chain's genesis hash. Zero: a fixed default. A state
	// file must hold the same chain.
	Genesis solana.Hash
	// Port on 127.0.0.1; 0 picks a free one.
	Port int
	// Dir holds the server's main.js. "": HELIOGRAPH_VM_DIR, or else the
	// folder vm beside this package's source.
	Dir string
	// Logger receives what the server complains about. nil: discarded.
	Logger *slog.Logger
}

// VM is a running server. Its methods are safe for concurrent use.
type VM struct {
	*Control
	genesis solana.Hash
	cmd     *exec.Cmd
	stdin   io.Closer // held open: the server exits when it closes
	done    chan struct{}
	exit    error // why the process ended; read after done
	stop    sync.Once
}

// Start installs the server's packages if they are missing, launches it and
// waits until it answers. ctx bounds the start only; end the VM with Stop. If
// this process dies, the server notices and exits by itself.
func Start(ctx context.Context, cfg Config) (*VM, error) {
	dir, err := serverDir(cfg.Dir)
	if err != nil {
		return nil, err
	}
	node, err := install(ctx, dir)
	if err != nil {
		return nil, err
	}
	return launch(ctx, node, dir, cfg)
}

func launch(ctx context.Context, node, dir string, cfg Config) (*VM, error) {
	log := cfg.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if cfg.StateFile != "" { // the server runs in another directory
		var err error
		if cfg.StateFile, err = filepath.Abs(cfg.StateFile); err != nil {
			return nil, fmt.Errorf("solanavm: start: state file: %w", err)
		}
	}
	cmd := exec.Command(node, arguments(cfg)...)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C in a terminal must not end it before its users
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("solanavm: start: %w", err)
	}
	ready := &readyLine{line: make(chan []byte, 1)}
	complaints := &logLines{log: log}
	cmd.Stdout, cmd.Stderr = ready, complaints
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("solanavm: start %s: %w", node, err)
	}
	v := &VM{cmd: cmd, stdin: stdin, done: make(chan struct{})}
	go func() {
		v.exit = cmd.Wait()
		close(v.done)
	}()
	select {
	case line := <-ready.line:
		if err := v.listening(line); err != nil {
			return nil, errors.Join(err, v.Stop())
		}
		return v, nil
	case <-v.done:
		return nil, fmt.Errorf("solanavm: start: server ended before it was ready: %v: %s", v.exit, complaints.last())
	case <-ctx.Done():
		return nil, errors.Join(fmt.Errorf("solanavm: start: wait for server: %w", ctx.Err()), v.Stop())
	}
}

func arguments(cfg Config) []string {
	args := []string{
		"main.js",
		"--port", strconv.Itoa(cfg.Port),
		"--slot-ms", strconv.FormatInt(cfg.SlotInterval.Milliseconds(), 10),
	}
	if cfg.StateFile != "" {
		args = append(args, "--state", cfg.StateFile)
	}
	if !cfg.Genesis.IsZero() {
		args = append(args, "--genesis", cfg.Genesis.String())
	}
	return args
}

func (v *VM) listening(line []byte) error {
	var ready struct {
		Listening string `json:"listening"`
		Genesis   string `json:"genesis"`
	}
	if err := json.Unmarshal(line, &ready); err != nil {
		return fmt.Errorf("solanavm: start: ready line %q: %w", line, err)
	}
	genesis, err := solana.HashFromBase58(ready.Genesis)
	if err != nil {
		return fmt.Errorf("solanavm: start: genesis %q: %w", ready.Genesis, err)
	}
	v.genesis = genesis
	v.Control = NewControl(ready.Listening)
	return nil
}

// Genesis returns the chain's genesis hash.
func (v *VM) Genesis() solana.Hash { return v.genesis }

// PID returns the server's process id.
func (v *VM) PID() int { return v.cmd.Process.Pid }

// Done is closed when the server has ended, for whatever reason.
func (v *VM) Done() <-chan struct{} { return v.done }

// Stop ends the server: it asks, waits up to ten seconds for the state to be
// written, then kills. It returns an error when the server did not end
// cleanly. Further calls do nothing and return the same.
func (v *VM) Stop() error {
	v.stop.Do(func() {
		_ = v.cmd.Process.Signal(syscall.SIGTERM) // fails only if it has ended
		select {
		case <-v.done:
		case <-time.After(stopGrace):
			_ = v.cmd.Process.Kill()
			<-v.done
		}
		if v.Control != nil {
			v.http.CloseIdleConnections()
		}
	})
	<-v.done
	if v.exit != nil {
		return fmt.Errorf("solanavm: stop: server ended badly: %w", v.exit)
	}
	return nil
}

// readyLine is the server's standard output: its first line says where it
// listens, the rest is ignored.
type readyLine struct {
	line chan []byte
	buf  bytes.Buffer
	seen bool
}

func (r *readyLine) Write(p []byte) (int, error) {
	if r.seen {
		return len(p), nil
	}
	r.buf.Write(p)
	if line, err := r.buf.ReadBytes('\n'); err == nil {
		r.seen = true
		r.line <- line
	} else {
		r.buf.Reset()
		r.buf.Write(line)
	}
	return len(p), nil
}

// logLines is the server's standard error; it keeps the newest piece for an
// error message.
type logLines struct {
	log *slog.Logger
	mu  sync.Mutex
	end []byte
}

func (l *logLines) Write(p []byte) (int, error) {
	l.log.Warn("solana vm", "line", string(bytes.TrimSpace(p)))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end = append(l.end, p...)
	l.end = l.end[max(0, len(l.end)-2048):]
	return len(p), nil
}

func (l *logLines) last() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.TrimSpace(l.end)
}
