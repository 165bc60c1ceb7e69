package ingest

import (
	"context"
	"encoding/binary"
	"sync"
	"testing"
	"time"

	"heliograph/oracle/journal"
	"heliograph/oracle/store"
	"heliograph/oracle/store/mem"
	"heliograph/poc"
	"heliograph/provisioning/identity"
	"heliograph/radio"
)

// clock is a clock that tests move by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// noon is in the middle of an epoch of a day.
var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

var day = Calendar{Length: 24 * time.Hour, Grace: time.Hour, Tolerance: 2 * time.Second}

func testKey(n byte) *identity.Key { return identity.NewEd25519([32]byte{n, 0x5a}) }

// env is a core over a memory log.
type env struct {
	*Core
	t   testing.TB
	log store.Log
	j   *journal.Journal
	clk *clock
}

func newEnv(t testing.TB, change func(*Config)) *env {
	t.Helper()
	e := &env{t: t, log: mem.NewLog(), clk: &clock{now: noon}}
	e.open(change)
	return e
}

func (e *env) open(change func(*Config)) {
	e.t.Helper()
	j, err := journal.New(e.t.Context(), e.log)
	if err != nil {
		e.t.Fatal(err)
	}
	c := Config{Journal: j, Key: testKey(0), Calendar: day, Now: e.clk.Now}
	if change != nil {
		change(&c)
	}
	if e.Core, err = NewCore(e.t.Context(), c); err != nil {
		e.t.Fatal(err)
	}
	e.j = j
}

func (e *env) assertion(key identity.Signer, sequence uint64) []byte {
	e.t.Helper()
	a := poc.Assertion{Hotspot: key.ID(), Region: "EU868", Sequence: sequence,
		Position: poc.Position{LatE7: 52_5000000, LonE7: 13_4000000},
		Time:     radio.WallTime{UnixNano: e.clk.Now().UnixNano(), Bound: time.Millisecond}}
	return e.signed(a, key)
}

func (e *env) signed(body interface {
	AppendBinary([]byte) ([]byte, error)
}, key identity.Signer) []byte {
	e.t.Helper()
	b, err := body.AppendBinary(nil)
	if err != nil {
		e.t.Fatal(err)
	}
	raw, err := poc.SignBody(b, key)
	if err != nil {
		e.t.Fatal(err)
	}
	return raw
}

// witness makes the n-th witness report of a hotspot, at the given time.
func witness(id identity.HotspotID, n uint64, at time.Time) poc.Witness {
	w := poc.Witness{Hotspot: id, Frequency: 868_100_000, DataRate: radio.LoRaRate(12, 125*radio.KHz),
		RSSI: radio.DBm(-100), SNR: radio.DB(-5), Tick: radio.Tick(n),
		Time: radio.WallTime{UnixNano: at.UnixNano(), Bound: time.Millisecond}}
	binary.BigEndian.PutUint64(w.Payload[:], n*0x9e3779b97f4a7c15)
	return w
}

func (e *env) register(keys ...identity.Signer) {
	e.t.Helper()
	for _, k := range keys {
		if o := e.Admit(e.t.Context(), Source{Peer: "test"}, e.assertion(k, 1)); o.Reason != poc.OK {
			e.t.Fatalf("register: %v: %s", o.Reason, o.Detail)
		}
	}
}

// entries counts the journal's entries of a type.
func (e *env) entries(want journal.EntryType) (n int) {
	e.t.Helper()
	for s := range store.Shard(store.Shards) {
		err := e.j.Read(context.Background(), s, 0, e.log.End(s), func(_ journal.Position, entry journal.Entry) error {
			if entry.Type == want {
				n++
			}
			return nil
		})
		if err != nil {
			e.t.Fatal(err)
		}
	}
	return n
}
