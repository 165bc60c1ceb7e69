package main

import (
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMain lets the test binary be the program.
func TestMain(m *testing.M) {
	if os.Getenv("BE_ORACLED") != "" {
		os.Exit(run(os.Args[1:], nil))
	}
	os.Exit(m.Run())
}

// oracled runs the program until it ends and gives its exit code and what it
// wrote to standard error.
func oracled(t *testing.T, args ...string) (int, string) {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0], args...)
	c.Env = append(os.Environ(), "BE_ORACLED=1")
	c.WaitDelay = time.Second
	var errs bytes.Buffer
	c.Stderr = &errs
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return c.ProcessState.ExitCode(), errs.String()
}

// What an operator got wrong is one line that names cause and remedy, and exit
// code 2.
func TestBadConfigurationIsOneLine(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	for name, c := range map[string]struct {
		args func(dir string) []string
		want []string
	}{
		"port in use":   {func(string) []string { return []string{"--listen", taken.Addr().String()} }, []string{taken.Addr().String(), "in use", "choose another port with --listen"}},
		"unknown flag":  {func(string) []string { return []string{"--lisen", "x"} }, []string{"--lisen", `did you mean "listen"`}},
		"unknown key":   {func(dir string) []string { return []string{"--config", file(t, dir, "lisen = \"x\"\n")} }, []string{"lisen", "line 1", `did you mean "listen"`}},
		"not TOML":      {func(dir string) []string { return []string{"--config", file(t, dir, "[[[\n")} }, []string{"config.toml"}},
		"no file":       {func(dir string) []string { return []string{"--config", dir + "/absent"} }, []string{"absent", "correct --config"}},
		"not a key":     {func(dir string) []string { return []string{"--key", file(t, dir, "hello")} }, []string{"oracle key", "config.toml", "restore it"}},
		"key directory": {func(dir string) []string { return []string{"--key", dir} }, []string{"oracle key", "not a regular file", "name the key file"}},
		"key for everybody": {func(dir string) []string {
			f := file(t, dir, "hello")
			if err := os.Chmod(f, 0o644); err != nil {
				t.Fatal(err)
			}
			return []string{"--key", f}
		}, []string{"can be read by others", "chmod 600"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			args := []string{"--data", filepath.Join(dir, "data"), "--key", filepath.Join(dir, "oracle.key"), "--min-free-bytes", "0", "--log.level", "error",
				"--listen", "127.0.0.1:0", "--explorer.listen", "", "--admin.listen", ""}
			code, errs := oracled(t, append(args, c.args(dir)...)...)
			if code != 2 || strings.Count(errs, "\n") != 1 {
				t.Errorf("exit code %d, %q", code, errs)
			}
			for _, w := range c.want {
				if !strings.Contains(errs, w) {
					t.Errorf("%q lacks %q", errs, w)
				}
			}
		})
	}
}

func file(t *testing.T, dir, text string) string {
	t.Helper()
	path := filepath.Join(dir, "config.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
