package segment_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"heliograph/oracle/store"
	"heliograph/oracle/store/segment"
)

const (
	childDir    = "HELIOGRAPH_SEGMENT_CHILD_DIR"
	childRound  = "HELIOGRAPH_SEGMENT_CHILD_ROUND"
	killRounds  = 25
	killWriters = 32
	killShards  = 7
)

var killConfig = segment.Config{SegmentBytes: 256 << 10}

// killFrame is frame seq of a writer in a round, with a checksum of its own.
func killFrame(round, writer, seq int) []byte {
	b := make([]byte, 16+(seq*37+writer)%500)
	binary.BigEndian.PutUint32(b, uint32(round))
	binary.BigEndian.PutUint32(b[4:], uint32(writer))
	binary.BigEndian.PutUint32(b[8:], uint32(seq))
	for i := 16; i < len(b); i++ {
		b[i] = byte(i * (seq + 1))
	}
	binary.BigEndian.PutUint32(b[12:], crc32.ChecksumIEEE(b))
	return b
}

// TestKillChild is the process that gets killed: it appends from many goroutines
// and prints each acknowledgement with one write.
func TestKillChild(t *testing.T) {
	dir := os.Getenv(childDir)
	if dir == "" {
		t.Skip("only as the child of TestKill")
	}
	var round int
	if _, err := fmt.Sscan(os.Getenv(childRound), &round); err != nil {
		t.Fatal(err)
	}
	l, _, err := segment.Open(dir, killConfig)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for w := range killWriters {
		wg.Go(func() {
			for seq := 0; ; seq++ {
				s := store.Shard(w % killShards)
				o, err := l.Append(context.Background(), s, killFrame(round, w, seq))
				if err != nil {
					fmt.Printf("error %v\n", err)
					return
				}
				fmt.Printf("ack %d %d %d %d\n", s, o, w, seq)
			}
		})
	}
	wg.Wait()
}

type killKey struct {
	shard  store.Shard
	offset store.Offset
}

// TestKill kills a process that appends with SIGKILL, again and again over one
// directory, and checks after each kill that no acknowledged frame of any round is
// lost, that offsets have no gap, and that the writers' orders are kept.
func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	dir := t.TempDir()
	acked := map[killKey][]byte{}
	r := rand.New(rand.NewPCG(1, 2)) // moments; the scheduler adds the rest
	torn, idle, last := 0, 0, 0
	for round := range killRounds {
		killOnce(t, dir, round, time.Duration(r.IntN(80_000))*time.Microsecond, acked)
		if len(acked) == last {
			idle++
		}
		last = len(acked)
		if checkKilled(t, dir, acked).TruncatedBytes > 0 {
			torn++
		}
		if t.Failed() {
			t.Fatalf("after round %d", round)
		}
	}
	t.Logf("%d kills, %d frames acknowledged, %d torn tails, %d kills before the first frame", killRounds, len(acked), torn, idle)
	if len(acked) < 1000 || idle > killRounds/2 {
		t.Error("too little happened between the kills")
	}
}

// killOnce runs one child, kills it some time after its first acknowledgement,
// and notes what it had acknowledged.
func killOnce(t *testing.T, dir string, round int, after time.Duration, acked map[killKey][]byte) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestKillChild$")
	cmd.Env = append(os.Environ(), childDir+"="+dir, fmt.Sprintf("%s=%d", childRound, round))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	kill := func() { _ = cmd.Process.Kill() }
	guard := time.AfterFunc(20*time.Second, kill) // a child that never gets there
	defer guard.Stop()
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		once.Do(func() { time.AfterFunc(after, kill) })
		var s, o, w, seq int
		if n, _ := fmt.Sscanf(lines.Text(), "ack %d %d %d %d", &s, &o, &w, &seq); n != 4 {
			t.Errorf("child says %q", lines.Text())
			kill()
			continue
		}
		acked[killKey{store.Shard(s), store.Offset(o)}] = killFrame(round, w, seq)
	}
	_ = cmd.Wait() // killed: an error is expected
	if stderr.Len() > 0 {
		t.Errorf("child: %s", stderr.String())
	}
}

func checkKilled(t *testing.T, dir string, acked map[killKey][]byte) segment.OpenReport {
	l, rep, err := segment.Open(dir, killConfig)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for s := range store.Shard(killShards) {
		next := store.Offset(0)
		order := map[[2]uint32]uint32{}
		err := l.Read(context.Background(), s, 0, func(o store.Offset, b []byte) bool {
			round, w, seq := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])
			if o != next || !bytes.Equal(b, killFrame(int(round), int(w), int(seq))) {
				t.Errorf("shard %d: offset %d where %d belongs, or a frame that nobody appended", s, o, next)
			}
			if want := order[[2]uint32{round, w}]; seq != want {
				t.Errorf("shard %d offset %d: frame %d of writer %d where %d belongs", s, o, seq, w, want)
			}
			order[[2]uint32{round, w}]++
			if want, ok := acked[killKey{s, o}]; ok {
				found++
				if !bytes.Equal(want, b) {
					t.Errorf("shard %d offset %d: not the frame that was acknowledged there", s, o)
				}
			}
			next++
			return !t.Failed()
		})
		if err != nil {
			t.Error(err)
		}
	}
	if found != len(acked) {
		t.Errorf("%d of %d acknowledged frames are lost", len(acked)-found, len(acked))
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	return rep
}
