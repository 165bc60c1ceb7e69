package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"heliograph/oracle/ledger"
)

// check is one line of the doctor's.
type check struct {
	What   string `json:"what"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

// doctor looks at this machine and at a data directory, or at a running oracle.
func (c command) doctor(ctx context.Context) error {
	checks := []check{fileLimit()}
	if c.data != "" {
		checks = append(checks, permissions(c.data), syncTime(c.data))
		checks = append(checks, c.stores(ctx)...)
	} else {
		checks = append(checks, c.answers(ctx))
	}
	bad := false
	for _, k := range checks {
		bad = bad || !k.OK
	}
	if c.json {
		if err := c.print(map[string]any{"checks": checks, "ok": !bad}); err != nil {
			return err
		}
	} else {
		for _, k := range checks {
			word := "ok   "
			if !k.OK {
				word = "WRONG"
			}
			_, _ = fmt.Fprintf(c.out, "%s %s: %s\n", word, k.What, k.Detail)
		}
	}
	if bad {
		return errWrong
	}
	return nil
}

// wantFiles is enough for ten thousand sessions.
const wantFiles = 20_000

func fileLimit() check {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return check{"file limit", false, err.Error()}
	}
	k := check{"file limit", l.Max >= wantFiles, fmt.Sprintf("%d; each session takes one", l.Max)}
	if !k.OK {
		k.Detail += fmt.Sprintf(": raise it to %d or more (LimitNOFILE= in the unit)", wantFiles)
	}
	return k
}

func permissions(dir string) check {
	info, err := os.Stat(dir)
	if err != nil {
		return check{"data directory", false, err.Error()}
	}
	mode := info.Mode().Perm()
	if mode&0o077 != 0 {
		return check{"data directory", false, fmt.Sprintf("mode %04o: others can read the secrets in it: run chmod 700 %s", mode, dir)}
	}
	return check{"data directory", true, fmt.Sprintf("mode %04o", mode)}
}

// slowSync is when a disk holds up acknowledgements noticeably.
const slowSync = 50 * time.Millisecond

func syncTime(dir string) check {
	f, err := os.CreateTemp(dir, ".doctor-*")
	if err != nil {
		return check{"disk", false, err.Error()}
	}
	defer func() { _ = os.Remove(f.Name()) }()
	defer func() { _ = f.Close() }()
	worst := time.Duration(0)
	for range 20 {
		started := time.Now()
		_, err := f.Write(make([]byte, 4096))
		if err == nil {
			err = f.Sync()
		}
		if err != nil {
			return check{"disk", false, err.Error()}
		}
		worst = max(worst, time.Since(started))
	}
	k := check{"disk", worst < slowSync, fmt.Sprintf("the slowest of 20 synced writes took %v", worst.Round(10*time.Microsecond))}
	if !k.OK {
		k.Detail += ": every receipt waits for one; use a faster disk"
	}
	return k
}

func (c command) stores(ctx context.Context) []check {
	d, err := openDisk(ctx, c.data)
	if err != nil {
		return []check{{"stores in " + filepath.Clean(c.data), false, err.Error()}}
	}
	defer func() { _ = d.Close() }()
	out := []check{{"stores", true, "journal and state can be opened"}}
	book := check{What: "books", OK: true, Detail: "every batch was booked again and the balances agree"}
	if err := ledger.NewBook(d.kv).Audit(ctx); err != nil {
		book.OK, book.Detail = false, err.Error()
	}
	return append(out, book)
}

func (c command) answers(ctx context.Context) check {
	var s struct {
		UnixNano int64  `json:"unix_nano"`
		Waiting  string `json:"waiting"`
	}
	if err := c.getJSON(ctx, "/api/status", &s); err != nil {
		return check{"oracle", false, err.Error()}
	}
	off := time.Until(time.Unix(0, s.UnixNano)).Round(time.Millisecond)
	k := check{"oracle", s.Waiting == "" && off.Abs() < 2*time.Second, fmt.Sprintf("answers; its clock and this machine's are %v apart", off.Abs())}
	if s.Waiting != "" {
		k.Detail += "; " + s.Waiting
	}
	return k
}
