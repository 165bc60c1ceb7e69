package outbox

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// history writes a file by a known sequence of commits and gives its bytes and
// the length after each commit.
func history(t *testing.T) (file []byte, commits []int) {
	t.Helper()
	dir := t.TempDir()
	o, _ := open(t, dir, Config{})
	path := filepath.Join(dir, "0000000001.obx")
	for i := range 12 {
		put(t, o, item(Packet, fmt.Sprintf("body %d", i)))
		if i%3 == 2 { // acknowledge the older two of three
			e := o.Next(0, 3)
			o.Ack(e[0].ID)
			o.Ack(e[1].ID)
		}
		st, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		commits = append(commits, int(st.Size()))
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return file, commits
}

// TestEveryCrashPrefix cuts the file at each byte, as a power cut may, and
// checks that every entry whose Put had returned by then is there.
func TestEveryCrashPrefix(t *testing.T) {
	file, commits := history(t)
	for cut := range len(file) + 1 {
		s := &state{live: map[uint64]*Entry{}, gone: map[uint64]bool{}}
		damage := s.readFile(file[:cut])
		if damage.middle {
			t.Fatalf("cut at %d is taken for damage in the middle", cut)
		}
		for i, end := range commits {
			if end > cut {
				break
			}
			id := uint64(i + 1)
			if s.live[id] == nil && !s.gone[id] {
				t.Fatalf("cut at %d: entry %d was committed at %d and is lost", cut, id, end)
			}
			if s.gone[id] && i%3 == 2 {
				t.Fatalf("cut at %d: entry %d is gone without an acknowledgement", cut, id)
			}
		}
	}
}

func TestTornEndIsCutOff(t *testing.T) {
	file, commits := history(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "0000000007.obx"), file[:commits[11]-5], 0o600); err != nil {
		t.Fatal(err)
	}
	o, rec := open(t, dir, Config{})
	if rec.Torn == 0 || rec.Damaged != nil {
		t.Errorf("recovery %+v", rec)
	}
	put(t, o, item(Packet, "new"))
	want := o.Len()
	o.Close()
	if o, rec = open(t, dir, Config{}); o.Len() != want || rec.Torn != 0 {
		t.Errorf("second start: %d entries, want %d; %+v", o.Len(), want, rec)
	}
}

// TestDamageAnywhere flips each byte in turn: at most the record that holds it
// is lost, the file is kept aside, and the outbox starts.
func TestDamageAnywhere(t *testing.T) {
	file, commits := history(t)
	healthy := &state{live: map[uint64]*Entry{}, gone: map[uint64]bool{}}
	healthy.readFile(file)
	for at := range file {
		bad := append([]byte(nil), file...)
		bad[at] ^= 0x55
		s := &state{live: map[uint64]*Entry{}, gone: map[uint64]bool{}}
		damage := s.readFile(bad)
		if !damage.middle && damage.torn == 0 {
			t.Fatalf("byte %d: damage is not noticed", at)
		}
		lost := 0
		for id := range healthy.live {
			if s.live[id] == nil {
				lost++
			}
		}
		if lost > 1 {
			t.Fatalf("byte %d: %d entries lost", at, lost)
		}
	}
	dir := t.TempDir()
	file[commits[4]-3] ^= 1
	if err := os.WriteFile(filepath.Join(dir, "0000000001.obx"), file, 0o600); err != nil {
		t.Fatal(err)
	}
	o, rec := open(t, dir, Config{})
	if len(rec.Damaged) != 1 || o.Len() == 0 {
		t.Fatalf("recovery %+v with %d entries", rec, o.Len())
	}
	if kept, err := os.ReadFile(rec.Damaged[0]); err != nil || string(kept) != string(file) {
		t.Errorf("the damaged file was not kept: %v", err)
	}
	o.Close()
	if _, rec = open(t, dir, Config{}); rec.Damaged != nil {
		t.Errorf("damage comes back: %+v", rec)
	}
}

func TestOldDamagedFilesAreDeleted(t *testing.T) {
	dir := t.TempDir()
	for i := range 10 {
		name := filepath.Join(dir, fmt.Sprintf("%010d.obx.damaged", i+1))
		if err := os.WriteFile(name, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o, _ := open(t, dir, Config{})
	put(t, o, item(Packet, "x"))
	if left, _ := filepath.Glob(filepath.Join(dir, "*.damaged")); len(left) != keepDamaged {
		t.Errorf("%d damaged files kept", len(left))
	}
	if _, err := os.Stat(filepath.Join(dir, "0000000011.obx")); err != nil {
		t.Errorf("the new file's number must be new: %v", err)
	}
}

// TestKill puts entries in another process, kills that with SIGKILL, and checks
// that everything it had confirmed is there. It repeats on the same directory.
func TestKill(t *testing.T) {
	if dir := os.Getenv("OUTBOX_KILL_DIR"); dir != "" {
		putForever(t, dir)
		return
	}
	dir := t.TempDir()
	confirmed := map[string]bool{}
	for range 5 {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKill$")
		cmd.Env = append(os.Environ(), "OUTBOX_KILL_DIR="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for range 40 {
			if !lines.Scan() {
				t.Fatal("the child ended early")
			}
			confirmed[lines.Text()] = true
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() { // confirmed before the kill arrived
			confirmed[lines.Text()] = true
		}
		_ = cmd.Wait() // killed: always an error
	}
	o, rec := open(t, dir, Config{})
	for _, e := range o.Next(0, 1<<20) {
		delete(confirmed, string(e.Body))
	}
	if len(confirmed) != 0 || rec.Damaged != nil {
		t.Errorf("%d confirmed entries lost, recovery %+v", len(confirmed), rec)
	}
}

func putForever(t *testing.T, dir string) {
	o, _ := open(t, dir, Config{SegmentSize: 4096})
	for i := 0; ; i++ {
		name := strconv.Itoa(os.Getpid()) + "-" + strconv.Itoa(i)
		put(t, o, item(Report, name))
		if _, err := os.Stdout.WriteString(name + "\n"); err != nil {
			return
		}
	}
}
