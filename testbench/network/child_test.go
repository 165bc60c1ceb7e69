package network

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// script makes a program out of shell lines.
func script(t *testing.T, lines string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+lines), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestChildStopsInOrder(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	c, err := startChild(log, script(t, "trap 'echo bye; exit 0' TERM\necho ready\nwhile :; do sleep 0.01; done\n"))
	if err != nil {
		t.Fatal(err)
	}
	for !strings.Contains(tail(log, 1), "ready") {
		select {
		case <-c.done:
			t.Fatal(c.ended())
		default:
		}
	}
	if err := c.stop(); err != nil {
		t.Error(err)
	}
	if got := tail(log, 1); got != "bye" {
		t.Errorf("last line %q", got)
	}
}

func TestChildThatEndsSaysWhy(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	c, err := startChild(log, script(t, "for i in 1 2 3 4 5 6 7 8 9 10; do echo line $i; done\nexit 3\n"))
	if err != nil {
		t.Fatal(err)
	}
	<-c.done
	text := c.ended().Error()
	if !strings.Contains(text, "exit status 3") || !strings.Contains(text, "line 10") || strings.Contains(text, "line 2\n") {
		t.Error(text)
	}
	if err := c.stop(); err != nil {
		t.Errorf("stopping what has ended: %v", err)
	}
}

func TestMissingProgramNamesTheRemedy(t *testing.T) {
	_, err := program(t.TempDir(), "oracled")
	if err == nil || !strings.Contains(err.Error(), "make build") {
		t.Error(err)
	}
}
