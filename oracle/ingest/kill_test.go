package ingest

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"

	pb "heliograph/oracle/api/heliographv1"
	"heliograph/oracle/journal"
	"heliograph/oracle/store"
	"heliograph/oracle/store/segment"
	"heliograph/poc"
)

const childEnv = "HELIOGRAPH_INGEST_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		if err := child(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// child is an ingest server on segment files, as oracled runs it, until killed.
func child(dir string) error {
	log, _, err := segment.Open(filepath.Join(dir, "journal"), segment.Config{SegmentBytes: 64 << 10})
	if err != nil {
		return err
	}
	j, err := journal.New(context.Background(), log)
	if err != nil {
		return err
	}
	core, err := NewCore(context.Background(), Config{Journal: j, Key: testKey(0), Calendar: day, Now: func() time.Time { return noon }})
	if err != nil {
		return err
	}
	s, err := NewServer(core, ServerConfig{})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	return s.Serve(context.Background(), l)
}

type process struct {
	cmd  *exec.Cmd
	addr string
}

func startChild(t *testing.T, dir string) process {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 64)
	n, err := out.Read(buf)
	if err != nil {
		t.Fatalf("child: %v", err)
	}
	return process{cmd, strings.TrimSpace(string(buf[:n]))}
}

func (p process) kill(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = p.cmd.Wait() // it was killed: that is no error here
}

// acks are the reports that were acknowledged, with their receipts.
type acks struct {
	mu  sync.Mutex
	raw map[poc.ID][]byte
	rec map[poc.ID][]byte
	rcs map[poc.ID]poc.Receipt // those of rec that were verified
}

// receipt verifies a receipt the first time.
func (a *acks) receipt(id poc.ID) (poc.Receipt, error) {
	if rc, ok := a.rcs[id]; ok {
		return rc, nil
	}
	rc, err := poc.ParseReceipt(a.rec[id], testKey(0).ID())
	if err == nil {
		a.rcs[id] = rc
	}
	return rc, err
}

func (a *acks) add(id poc.ID, raw, receipt []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.raw[id], a.rec[id] = raw, receipt
}

// load sends fresh reports until the connection breaks.
func (a *acks) load(t *testing.T, addr string, client, round int) {
	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(pinned(testKey(0).ID(), 0)))
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = conn.Close() }()
	cl := pb.NewHotspotsClient(conn)
	key := testKey(byte(client + 1))
	e := &env{t: t}
	var w sync.WaitGroup
	for lane := range 4 {
		w.Go(func() {
			for i := uint64(0); ; i++ {
				n := uint64(round)<<40 | uint64(client)<<32 | uint64(lane)<<24 | i
				raw := e.signed(witness(key.ID(), n, noon), key)
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				o, err := cl.Submit(ctx, &pb.SubmitRequest{Report: raw})
				cancel()
				if err != nil {
					return // killed
				}
				if o.GetReason() != 0 {
					t.Errorf("refused: %v", o)
					return
				}
				a.add(poc.ID(o.GetReportId()), raw, o.GetReceipt())
			}
		})
	}
	w.Wait()
}

// check reads the journal that the killed server left.
func (a *acks) check(t *testing.T, dir string) {
	t.Helper()
	log, _, err := segment.Open(filepath.Join(dir, "journal"), segment.Config{SegmentBytes: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	j, err := journal.New(t.Context(), log)
	if err != nil {
		t.Fatal(err)
	}
	times := map[poc.ID]int{}
	for s := range store.Shard(store.Shards) {
		err := j.Read(t.Context(), s, 0, log.End(s), func(p journal.Position, e journal.Entry) error {
			r, err := poc.ParseReport(e.Data)
			if err != nil {
				return err
			}
			times[r.ID]++
			if _, acked := a.rec[r.ID]; acked {
				rc, err := a.receipt(r.ID)
				if err != nil || store.Shard(rc.Shard) != p.Shard || store.Offset(rc.Offset) != p.Offset || rc.Received != e.Received {
					return fmt.Errorf("receipt %+v (%v) does not fit position %v", rc, err, p)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for id := range a.rec {
		if times[id] != 1 {
			t.Fatalf("acknowledged report %v is in the journal %d times", id, times[id])
		}
	}
	for id, n := range times {
		if n != 1 {
			t.Fatalf("report %v is in the journal %d times", id, n)
		}
	}
}

// resubmit sends acknowledged reports again, and expects the same receipts.
func (a *acks) resubmit(t *testing.T, addr string, limit int) {
	t.Helper()
	cl := dial(t, addr, pinned(testKey(0).ID(), 0))
	for id, raw := range a.raw {
		if limit--; limit < 0 {
			return
		}
		o, err := cl.Submit(t.Context(), &pb.SubmitRequest{Report: raw})
		if err != nil || !bytes.Equal(o.GetReceipt(), a.rec[id]) {
			t.Fatalf("report %v again: %v, %v: not the same receipt", id, o, err)
		}
	}
}

// A server under load from several clients is killed at random moments. After
// each kill every acknowledged report is in the journal exactly once, where its
// receipt says, and sending it again gives the same receipt.
func TestKillNine(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	const rounds, clients = 22, 4
	dir := t.TempDir()
	a := &acks{raw: map[poc.ID][]byte{}, rec: map[poc.ID][]byte{}, rcs: map[poc.ID]poc.Receipt{}}
	rnd := rand.New(rand.NewPCG(1, 2))
	p := startChild(t, dir)
	cl := dial(t, p.addr, pinned(testKey(0).ID(), 0))
	e := &env{t: t, clk: &clock{now: noon}}
	for c := range clients {
		raw := e.assertion(testKey(byte(c+1)), 1)
		o, err := cl.Submit(t.Context(), &pb.SubmitRequest{Report: raw})
		if err != nil || o.GetReason() != 0 {
			t.Fatalf("%v %v", o, err)
		}
		a.add(poc.ID(o.GetReportId()), raw, o.GetReceipt())
	}
	for round := range rounds {
		var w sync.WaitGroup
		for c := range clients {
			w.Go(func() { a.load(t, p.addr, c, round) })
		}
		time.Sleep(time.Duration(20+rnd.IntN(60)) * time.Millisecond)
		p.kill(t)
		w.Wait()
		a.check(t, dir)
		p = startChild(t, dir)
		a.resubmit(t, p.addr, 100)
	}
	p.kill(t)
	if len(a.rec) < rounds*clients {
		t.Errorf("only %d reports acknowledged", len(a.rec))
	}
	t.Logf("%d kills, %d acknowledged reports", rounds, len(a.rec))
}
