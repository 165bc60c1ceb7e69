//go:build linux

package network

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mr-tron/base58"

	"heliograph/firmware/radiohw"
	"heliograph/radio/lorawan"
	"heliograph/radio/region"
	"heliograph/testbench/board"
	"heliograph/testbench/chip"
	"heliograph/testbench/device"
	"heliograph/testbench/ether"
	"heliograph/testbench/lns"
)

// stick is a simulated concentrator behind a USB port: the device's path is a link
// that stays, as under /dev/serial/by-id, and that is there while it is plugged in.
type stick struct {
	chip *chip.Chip
	path string
	out  func() // pulls it out
}

// plugIn serves the chip on a new terminal.
func (s *stick) plugIn(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan error, 1), make(chan error, 1)
	go func() {
		done <- s.chip.ServePTY(ctx, func(path string) {
			if err := os.Remove(s.path); err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Error(err)
			}
			select {
			case ready <- os.Symlink(path, s.path):
			default: // plugged in again by itself, after a fault
				t.Error("the terminal was replaced")
			}
		})
	}()
	select {
	case err := <-ready:
		if err != nil {
			t.Fatal(err)
		}
	case err := <-done:
		t.Skipf("no terminals here: %v", err)
	}
	s.out = sync.OnceFunc(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("serve: %v", err)
		}
		_ = os.Remove(s.path)
	})
	t.Cleanup(s.out)
}

// daemon is a hotspotd process.
type daemon struct {
	t    *testing.T
	cmd  *exec.Cmd
	log  *logFile
	done chan error
}

// logFile is a log that is read while it is written.
type logFile struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logFile) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// buildHotspotd builds the program.
func buildHotspotd(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "hotspotd")
	if out, err := exec.Command("go", "build", "-o", bin, "heliograph/firmware/cmd/hotspotd").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return bin
}

// settingsFor is a configuration of hotspotd with a concentrator of its own.
func settingsFor(t *testing.T, r routing, device, images string) []string {
	t.Helper()
	addr, _, _ := r.node.Addrs()
	owner := make([]byte, 32)
	owner[0] = 1
	return []string{
		"--region", "EU868", "--oracle", addr.String(), "--oracle-key", r.node.ID().String(), "--owner", base58.Encode(owner),
		"--data-dir", t.TempDir(), "--position.latitude", "48.2085", "--position.longitude", "16.3731", "--antenna.gain-dbi", "2",
		"--clock.trust-system", "--web.listen", "127.0.0.1:0", "--web.metrics", "127.0.0.1:0",
		"--radio.device", device, "--radio.conf", "../../firmware/cmd/hotspotctl/testdata/global_conf.json", "--radio.firmware-dir", images,
	}
}

func startDaemon(t *testing.T, bin string, args ...string) *daemon {
	t.Helper()
	d := &daemon{t: t, cmd: exec.Command(bin, args...), log: &logFile{}, done: make(chan error, 1)}
	d.cmd.Stderr, d.cmd.Env = d.log, []string{"PATH=" + os.Getenv("PATH")}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { d.done <- d.cmd.Wait() }()
	t.Cleanup(func() {
		_ = d.cmd.Process.Kill() // it may have ended
		if t.Failed() {
			t.Logf("hotspotd:\n%s", d.log)
		}
	})
	return d
}

// page reads one of its pages; key is the setting of its address.
func (d *daemon) page(key, path string) string {
	m := regexp.MustCompile(`key=` + key + ` addr=(\S+)`).FindStringSubmatch(d.log.String())
	if m == nil {
		return ""
	}
	resp, err := http.Get("http://" + m[1] + path)
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body) // a page that breaks off does not hold what is looked for
	return string(b)
}

// problems are what the status page says is wrong.
func (d *daemon) problems() string {
	var s struct{ Problems []string }
	_ = json.Unmarshal([]byte(d.page("web.listen", "/status.json")), &s) // not up yet: none
	return strings.Join(s.Problems, "\n")
}

// await waits until something is true; 30 s are only for machines that are busy.
func (d *daemon) await(what string, ok func() bool) {
	d.t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		select {
		case err := <-d.done:
			d.done <- err
			d.t.Fatalf("%s: hotspotd has ended: %v", what, err)
		default:
		}
		if time.Now().After(end) {
			d.t.Fatalf("%s: not within 30s; problems: %s\n%s", what, d.problems(), d.page("web.metrics", "/metrics"))
		}
	}
}

// shows waits for a line of the metrics.
func (d *daemon) shows(format string, args ...any) {
	d.t.Helper()
	line := regexp.MustCompile(`(?m)^` + fmt.Sprintf(format, args...) + `$`)
	d.await(line.String(), func() bool { return line.MatchString(d.page("web.metrics", "/metrics")) })
}

// stop ends it as an operator would and checks the exit code.
func (d *daemon) stop(want int) {
	d.t.Helper()
	_ = d.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case err := <-d.done:
		d.done <- err
	case <-time.After(20 * time.Second):
		d.t.Fatal("hotspotd does not end")
	}
	if got := d.cmd.ProcessState.ExitCode(); got != want {
		d.t.Errorf("exit code %d, want %d", got, want)
	}
}

// storeImages writes the images that the simulated chip runs.
func storeImages(t *testing.T) string {
	t.Helper()
	dir, cfg := filepath.Join(t.TempDir(), "images"), board.EU868()
	if err := radiohw.StoreFirmware(dir, &cfg, board.Firmware(&cfg)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestHotspotdDrivesAConcentrator runs the daemon on a concentrator behind a
// terminal: a device joins through it and gets its uplinks acknowledged, the board is
// pulled out in the middle of a transfer and plugged in again, and the device does
// not notice more than a pause.
func TestHotspotdDrivesAConcentrator(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program and waits for receive windows")
	}
	plan, err := region.ByName("EU868")
	if err != nil {
		t.Fatal(err)
	}
	sensor := lns.Device{DevEUI: 1, JoinEUI: 2, AppKey: lorawan.AESKey{3}}
	r := startRouting(t, plan, sensor)
	air := ether.New(ether.Config{Seed: 1})
	background(t, "air", air.Run)
	s := &stick{chip: chip.New(chip.Config{EUI: 0xA1}), path: filepath.Join(t.TempDir(), "concentrator")}
	antenna := air.Join(ether.Station{Name: "hotspot", Place: vienna[0].place})
	background(t, "antenna", func(ctx context.Context) error { return s.chip.JoinAs(ctx, air, antenna) })
	s.plugIn(t)

	d := startDaemon(t, buildHotspotd(t), settingsFor(t, r, s.path, storeImages(t))...)
	d.shows("hotspot_radio_up 1")
	d.shows("hotspot_session_connected 1")
	if p := d.problems(); p != "" {
		t.Errorf("problems of a hotspot that is well: %s", p)
	}
	events := make(chan device.Event, 256)
	sender, err := device.On(air, ether.Station{Name: "sensor", Place: streets[0].place}, device.Config{
		DevEUI: sensor.DevEUI, JoinEUI: sensor.JoinEUI, AppKey: sensor.AppKey, Plan: plan, DR: 5, ConfirmEvery: 1, Tries: 15, Every: 2 * time.Second,
	}, func(e device.Event) { events <- e })
	if err != nil {
		t.Fatal(err)
	}
	background(t, "sensor", sender.Run)
	sees := func(want device.EventKind) {
		t.Helper()
		for end := time.After(40 * time.Second); ; {
			select {
			case e := <-events:
				if e.Kind == want {
					return
				}
			case <-end:
				t.Fatalf("the device has not %s within 40s", want)
			}
		}
	}
	sees(device.Joined) // the join-accept was sent
	sees(device.Acked)
	d.shows(`hotspot_radio_sent_total [1-9]\d*`)
	d.shows(`hotspot_downlinks_total\{status="ok"\} [1-9]\d*`)

	s.out() // while hotspotd polls
	d.shows("hotspot_radio_up 0")
	d.await("status page names the remedy", func() bool {
		return strings.Contains(d.problems(), "plugged in") || strings.Contains(d.problems(), "plug it in")
	})
	s.plugIn(t)
	d.shows("hotspot_radio_starts_total 2")
	d.shows("hotspot_radio_up 1")
	d.shows(`hotspot_radio_faults_total\{fault="bridge"\} [1-9]\d*`)
	for len(events) > 0 {
		<-events
	}
	sees(device.Acked)
	d.stop(0)
}

// TestHotspotdWithoutAConcentrator: what cannot be a concentrator is named with its
// remedy. What the user has to correct ends the start; a board that may still be
// plugged in is waited for.
func TestHotspotdWithoutAConcentrator(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program")
	}
	plan, err := region.ByName("EU868")
	if err != nil {
		t.Fatal(err)
	}
	r, bin, images, dir := startRouting(t, plan), buildHotspotd(t), storeImages(t), t.TempDir()
	t.Run("no images", func(t *testing.T) {
		d := startDaemon(t, bin, append(settingsFor(t, r, "/dev/null", dir), "--log.level", "error")...)
		err := <-d.done
		d.done <- err
		d.stop(2)
		if got := d.log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "agc_sx1250") || !strings.Contains(got, "hotspotctl radio firmware import") {
			t.Errorf("it says: %s", got)
		}
	})
	silent, err := chip.OpenPTY() // somebody else's terminal
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ path, fault, says string }{
		"no such device":     {filepath.Join(dir, "absent"), "bus", "check that the board is plugged in"},
		"not a device":       {file, "bus", "is no serial device"},
		"not a terminal":     {"/dev/null", "bus", "check the device"},
		"not a concentrator": {silent.Path, "bridge", "does not follow its protocol"},
	} {
		t.Run(name, func(t *testing.T) {
			d := startDaemon(t, bin, settingsFor(t, r, c.path, images)...)
			d.shows(`hotspot_radio_faults_total\{fault="%s"\} [1-9]\d*`, c.fault)
			d.shows("hotspot_radio_up 0")
			d.await(c.says, func() bool { return strings.Contains(d.problems(), c.says) })
			d.stop(0)
		})
	}
}
