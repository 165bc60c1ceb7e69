package node_test

import (
	"bytes"
	"crypto/rand"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	pb "heliograph/oracle/api/heliographv1"
	"heliograph/oracle/journal"
	"heliograph/oracle/node"
	"heliograph/oracle/store"
	"heliograph/oracle/store/segment"
	"heliograph/poc"
	"heliograph/provisioning/identity"
	"heliograph/radio"
)

// crashed is the configuration of a node whose disk is as a kill -9 leaves it,
// with two registrations on it, raw the first. It also gives the journal's only segment.
func crashed(t *testing.T) (c node.Config, segment string, raw []byte) {
	t.Helper()
	c = config(t)
	c.Admin.Socket = filepath.Join(t.TempDir(), "admin.sock") // a socket cannot be copied
	n, stop := start(t, c)
	raw = assertion(t, "EU868")
	key := identity.NewEd25519([32]byte{6}) // another one comes behind it
	body, err := poc.Assertion{Hotspot: key.ID(), Region: "EU868", Sequence: 1, Time: radio.WallTime{UnixNano: time.Now().UnixNano()}}.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	behind, err := poc.SignBody(body, key)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range [][]byte{raw, behind} {
		if o, err := client(t, n).Submit(t.Context(), &pb.SubmitRequest{Report: r}); err != nil || o.GetReason() != 0 {
			t.Fatalf("%v, %v", o, err)
		}
	}
	dead := c
	dir := t.TempDir()
	dead.Data, dead.Key = filepath.Join(dir, "data"), filepath.Join(dir, "oracle.key")
	if err := os.CopyFS(dead.Data, os.DirFS(c.Data)); err != nil { // while it runs: no mark of an orderly end
		t.Fatal(err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	secret, err := os.ReadFile(c.Key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dead.Key, string(secret))
	err = filepath.WalkDir(dead.Data, func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".seg") {
			segment = path
		}
		if err == nil && d.IsDir() {
			err = os.Chmod(path, 0o700)
		}
		return err
	})
	if err != nil || segment == "" {
		t.Fatalf("segment %q, %v", segment, err)
	}
	return dead, segment, raw
}

// A write that a power cut tore is cut off at the start, and that is said; what
// was acknowledged is there.
func TestTornJournal(t *testing.T) {
	c, segment, raw := crashed(t)
	b, err := os.ReadFile(segment)
	if err != nil {
		t.Fatal(err)
	}
	write(t, segment, string(b)+"half of a fra")
	var log bytes.Buffer
	n, err := node.New(t.Context(), c, node.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = n.Close() }()
	if s := log.String(); !strings.Contains(s, "level=WARN") || !strings.Contains(s, filepath.Base(segment)) {
		t.Errorf("the log does not name the torn file: %s", s)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	n, stop := start(t, c)
	defer func() { _ = stop() }()
	if o, err := client(t, n).Submit(t.Context(), &pb.SubmitRequest{Report: raw}); err != nil || poc.Reason(o.GetReason()) != poc.OK {
		t.Errorf("%v, %v", o, err)
	}
}

// Damage in the middle stops the start with file, offset and remedy.
func TestDamagedJournal(t *testing.T) {
	c, segment, raw := crashed(t)
	b, err := os.ReadFile(segment)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(b, raw)
	if at < 0 {
		t.Fatal("the report is not in the segment")
	}
	b[at] ^= 1
	write(t, segment, string(b))
	_, err = node.New(t.Context(), c, node.Options{})
	if err == nil {
		t.Fatal("it starts")
	}
	for _, want := range []string{filepath.Base(segment), "at byte", "restore"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q lacks %q", err, want)
		}
	}
	if after, _ := os.ReadFile(segment); !bytes.Equal(after, b) {
		t.Error("the damaged file was changed")
	}
}

// A frame that this release cannot read stops the start with its place and the
// remedy.
func TestUnknownEntryInTheJournal(t *testing.T) {
	for name, frame := range map[string][]byte{
		"another version": {9, 9, 9},
		"not a report":    append([]byte{1, byte(journal.TypeReport)}, make([]byte, 40)...),
	} {
		c := config(t)
		if err := os.Mkdir(c.Data, 0o700); err != nil {
			t.Fatal(err)
		}
		if _, err := identity.CreateFile(c.Key, identity.Ed25519, rand.Reader); err != nil {
			t.Fatal(err)
		}
		log, _, err := segment.Open(filepath.Join(c.Data, "journal"), segment.Config{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := log.Append(t.Context(), store.ControlShard, frame); err != nil {
			t.Fatal(err)
		}
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
		_, err = node.New(t.Context(), c, node.Options{})
		if err == nil {
			t.Fatalf("%s: it starts", name)
		}
		for _, want := range []string{"offset 0", "the release that wrote it", "backup"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q lacks %q", name, err, want)
			}
		}
	}
}
