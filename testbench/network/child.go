package network

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// stopPatience is how long a program may take to end after SIGTERM.
const stopPatience = 20 * time.Second

// child is a program that runs beside this one, in a process group of its own,
// so that Ctrl-C in the terminal reaches it only when the network says so.
type child struct {
	name string
	log  string // file that has its output
	cmd  *exec.Cmd
	done chan struct{}
	exit error // why it ended; read after done
}

// startChild starts a program with its output appended to a file.
func startChild(logFile, program string, args ...string) (*child, error) {
	out, err := os.OpenFile(logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("network: log file: %w", err)
	}
	defer out.Close() // the child has its own
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = ownGroup()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("network: start %s: %w", program, err)
	}
	c := &child{name: filepath.Base(program), log: logFile, cmd: cmd, done: make(chan struct{})}
	go func() {
		c.exit = cmd.Wait()
		close(c.done)
	}()
	return c, nil
}

// ended says why a program ended that should not have, with the last lines of
// its log.
func (c *child) ended() error {
	return fmt.Errorf("network: %s ended: %v; the end of %s:\n%s", c.name, c.exit, c.log, tail(c.log, 8))
}

// stop asks the program to end, and kills it when it does not. One that has
// ended by itself is not reported again: see ended.
func (c *child) stop() error {
	select {
	case <-c.done:
		return nil
	default:
	}
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // fails only when it has ended
	select {
	case <-c.done:
	case <-time.After(stopPatience):
		_ = c.cmd.Process.Kill()
		<-c.done
		return fmt.Errorf("network: %s did not end within %s and was killed; see %s", c.name, stopPatience, c.log)
	}
	if c.exit != nil {
		return fmt.Errorf("network: %s ended badly: %w; see %s", c.name, c.exit, c.log)
	}
	return nil
}

// tail gives the last lines of a file, from its last 16 KiB.
func tail(path string, lines int) string {
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	const reach = 16 << 10
	if info, err := f.Stat(); err == nil && info.Size() > reach {
		if _, err := f.Seek(-reach, 2); err != nil {
			return err.Error()
		}
	}
	var b bytes.Buffer
	if _, err := b.ReadFrom(f); err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// errNoProgram is wrapped when a product's program has not been built.
var errNoProgram = errors.New("not found")

// program finds a product's program: in dir, or else beside this one.
func program(dir, name string) (string, error) {
	if dir == "" {
		self, err := os.Executable()
		if err != nil {
			return "", fmt.Errorf("network: find %s: %w", name, err)
		}
		dir = filepath.Dir(self)
	}
	path := filepath.Join(dir, name)
	if info, err := os.Stat(path); err != nil || info.IsDir() {
		return "", fmt.Errorf("network: %s %w: build it with `make build` or `CGO_ENABLED=0 go build -o %s ./oracle/cmd/%s`", path, errNoProgram, path, name)
	}
	return path, nil
}
