package identity

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func TestFileRoundTrip(t *testing.T) {
	for typ, size := range map[KeyType]int64{Ed25519: 65, ECCCompact: 33} {
		path := filepath.Join(t.TempDir(), "hotspot.key")
		k, err := CreateFile(path, typ, source(1))
		if err != nil {
			t.Fatal(err)
		}
		st, err := os.Stat(path)
		if err != nil || st.Mode().Perm() != 0o600 || st.Size() != size {
			t.Fatalf("%s: file is %v, %d bytes, %v", typ, st.Mode(), st.Size(), err)
		}
		back, err := LoadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if back.ID() != k.ID() || back.Path() != path {
			t.Errorf("%s: loaded %s, made %s", typ, back.ID(), k.ID())
		}
		sig, err := back.Sign([]byte("x"))
		if err != nil || k.ID().Verify([]byte("x"), sig) != nil {
			t.Errorf("%s: the loaded key does not sign for the made one", typ)
		}
		if names, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); len(names) != 1 {
			t.Errorf("left behind: %v", names)
		}
		if hidden, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(hidden) != 0 {
			t.Errorf("left behind: %v", hidden)
		}
	}
}

func TestCreateNeverOverwrites(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "k")
	if _, err := CreateFile(path, Ed25519, source(1)); err != nil {
		t.Fatal(err)
	}
	before, _ := os.ReadFile(path)
	if _, err := CreateFile(path, Ed25519, source(2)); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second create: %v", err)
	}
	// A file that appears after the first look is not replaced either.
	if err := writeNew(path, []byte("other")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("lost race: %v", err)
	}
	dangling := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(dir, "nowhere"), dangling); err != nil {
		t.Fatal(err)
	}
	if _, err := CreateFile(dangling, Ed25519, source(3)); !errors.Is(err, fs.ErrExist) {
		t.Errorf("dangling link: %v", err)
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Error("the key was overwritten")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".key-*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	if _, err := CreateFile(filepath.Join(dir, "no", "such", "k"), Ed25519, source(4)); err == nil {
		t.Error("created in a directory that does not exist")
	}
	if _, err := CreateFile(filepath.Join(dir, "short"), Ed25519, bytes.NewReader(nil)); err == nil {
		t.Error("created without randomness")
	}
}

func TestLoadRefuses(t *testing.T) {
	ed, err := mustKey(t, Ed25519, 1).fileBytes()
	if err != nil {
		t.Fatal(err)
	}
	ec, err := mustKey(t, ECCCompact, 1).fileBytes()
	if err != nil {
		t.Fatal(err)
	}
	change := func(b []byte, i int, v byte) []byte { b = slices.Clone(b); b[i] = v; return b }
	// The scalar whose point has the greater y: n minus the good one.
	flipped := slices.Clone(ec)
	borrow := 0
	for i := 31; i >= 0; i-- {
		d := int(p256Order[i]) - int(ec[1+i]) - borrow
		borrow = 0
		if d < 0 {
			d, borrow = d+256, 1
		}
		flipped[1+i] = byte(d)
	}
	for name, c := range map[string]struct {
		content []byte
		mode    os.FileMode
		want    string
	}{
		"group can read":       {ed, 0o640, "run: chmod 600 "},
		"others can read":      {ed, 0o604, "run: chmod 600 "},
		"empty":                {nil, 0o600, "empty"},
		"short":                {ed[:64], 0o600, "64 bytes, want 65"},
		"trailing byte":        {append(slices.Clone(ed), '\n'), 0o600, "more than 65 bytes, want 65"},
		"ecc trailing byte":    {append(slices.Clone(ec), '\n'), 0o600, "34 bytes, want 33"},
		"halves disagree":      {change(ed, 64, ed[64]^1), 0o600, "do not belong together"},
		"seed changed":         {change(ed, 1, ed[1]^1), 0o600, "do not belong together"},
		"zero scalar":          {change(make([]byte, 33), 0, 0), 0o600, "not a P-256 key"},
		"not compactable":      {flipped, 0o600, "greater y"},
		"unsupported type":     {change(ed, 0, 3), 0o600, "secp256k1: unsupported"},
		"unknown network":      {change(ed, 0, 0x51), 0o600, "unknown network 0x50"},
		"huge file":            {make([]byte, 1<<20), 0o600, "more than 65 bytes"},
		"ed25519 as P-256 tag": {change(ed, 0, 0), 0o600, "65 bytes, want 33"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "k")
			if err := os.WriteFile(path, c.content, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, c.mode); err != nil {
				t.Fatal(err)
			}
			_, err := LoadFile(path)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("error %v, want %q and the path", err, c.want)
			}
		})
	}
	dir := t.TempDir()
	if _, err := LoadFile(dir); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("directory: %v", err)
	}
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadFile(fifo); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("fifo: %v", err)
	}
	if _, err := LoadFile(filepath.Join(dir, "absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
}

// A key that Helium's library wrote (published with its tests).
func TestLoadForeignFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k")
	content := unhex(t, "00ec2a8e3984220e819ed2067c519244029ae51d572773e5895cf1f5c80ecb4487")
	if err := os.WriteFile(path, content, 0o400); err != nil {
		t.Fatal(err)
	}
	k, err := LoadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := k.Sign([]byte("m"))
	if err != nil || k.ID().Verify([]byte("m"), sig) != nil {
		t.Errorf("sign and verify: %v", err)
	}
}

func TestTestnetFile(t *testing.T) {
	b, _ := mustKey(t, Ed25519, 1).fileBytes()
	b[0] |= byte(Testnet)
	k, err := parseKeyFile(b)
	if err != nil || k.ID().Network() != Testnet {
		t.Fatalf("testnet key: %v", err)
	}
}
