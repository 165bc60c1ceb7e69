package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"heliograph/testbench/chip"
)

func TestParse(t *testing.T) {
	o, err := parse([]string{"--model", "sx1303", "--frontend", "sx1257", "--fault", "no_pps, usb_short"}, io.Discard)
	if err != nil || o.config.Model != chip.SX1303 || o.config.FrontEnd != chip.SX1257 || o.config.EUI != 0x0016C001FF10A235 ||
		len(o.faults) != 2 || o.faults[1] != chip.USBShort {
		t.Errorf("parse = %+v, %v", o, err)
	}
	for _, bad := range [][]string{
		{"--model", "sx1301"}, {"--frontend", "sx1276"}, {"--eui", "12"}, {"--fault", "gremlins"}, {"--nonsense"},
	} {
		if _, err := parse(bad, io.Discard); err == nil {
			t.Errorf("%v was accepted", bad)
		}
	}
	var list bytes.Buffer
	if _, err := parse([]string{"--fault", "list"}, &list); err == nil || !bytes.Contains(list.Bytes(), []byte("receive_stall\n")) {
		t.Errorf("list: %q, %v", list.String(), err)
	}
}

// TestRun starts the command, pings the bridge through its link, and ends it.
func TestRun(t *testing.T) {
	link := filepath.Join(t.TempDir(), "concentrator")
	ctx, cancel := context.WithCancel(t.Context())
	pr, pw := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"--link", link, "--traffic", "10ms"}, pw, io.Discard)
		_ = pw.Close()
	}()
	line := make([]byte, 64)
	n, err := pr.Read(line)
	if err != nil {
		t.Skipf("no terminals here: %v", <-done)
	}
	path := string(bytes.TrimSpace(line[:n]))
	go func() { _, _ = io.Copy(io.Discard, pr) }()
	var f *os.File
	for range 100 { // the link follows the line
		if f, err = os.OpenFile(link, os.O_RDWR, 0); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil {
		t.Fatalf("%s at %s: %v", link, path, err)
	}
	defer f.Close()
	if _, err := f.Write([]byte{9, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 25)
	if _, err := io.ReadFull(f, answer); err != nil || answer[0] != 9 || string(answer[16:]) != "V01.00.00" {
		t.Errorf("ping: % x, %v", answer, err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(link); err == nil {
		t.Error("the link is still there")
	}
}
