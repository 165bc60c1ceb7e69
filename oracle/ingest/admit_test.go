package ingest

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"heliograph/oracle/journal"
	"heliograph/oracle/store"
	"heliograph/oracle/store/mem"
	"heliograph/poc"
	"heliograph/provisioning/identity"
	"heliograph/radio"
)

// Every refusal: its reason, a detail that names the cause, one more in the
// counter, nothing in the journal.
func TestRefusals(t *testing.T) {
	known, stranger := testKey(1), testKey(2)
	session := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	cases := []struct {
		name   string
		want   poc.Reason
		detail string
		src    Source
		change func(*Config)
		before func(*env)
		raw    func(*env) []byte
	}{
		{name: "empty", want: poc.Malformed, detail: "not a report", raw: func(*env) []byte { return nil }},
		{name: "trailing byte", want: poc.Malformed, detail: "too many", raw: func(e *env) []byte {
			return append(e.signed(witness(known.ID(), 1, noon), known), 0)
		}},
		{name: "truncated body", want: poc.Malformed, detail: "cut short", raw: func(e *env) []byte {
			return e.signed(witness(known.ID(), 1, noon), known)[:60]
		}},
		{name: "truncated signature", want: poc.Malformed, detail: "too short for signature", raw: func(e *env) []byte {
			raw := e.signed(witness(known.ID(), 1, noon), known)
			return raw[:len(raw)-1]
		}},
		{name: "not canonical", want: poc.Malformed, detail: "an unknown time has a bound", raw: func(e *env) []byte {
			w := witness(known.ID(), 1, noon)
			w.Time = radio.WallTime{}
			body, _ := w.AppendBinary(nil)
			body[len(body)-5] = 1 // the bound's last byte, in front of the fine timestamp
			raw, err := poc.SignBody(body, known)
			if err != nil {
				e.t.Fatal(err)
			}
			return raw
		}},
		{name: "too large", want: poc.TooLarge, detail: "at most 512", raw: func(*env) []byte { return make([]byte, 513) }},
		{name: "unknown hotspot", want: poc.UnknownHotspot, detail: "no assertion", raw: func(e *env) []byte {
			return e.signed(witness(stranger.ID(), 1, noon), stranger)
		}},
		{name: "changed after signing", want: poc.BadSignature, detail: "does not fit", raw: func(e *env) []byte {
			raw := e.signed(witness(known.ID(), 1, noon), known)
			raw[40] ^= 1
			return raw
		}},
		{name: "signed by another", want: poc.BadSignature, detail: "another key", raw: func(e *env) []byte {
			return e.signed(witness(known.ID(), 1, noon), stranger)
		}},
		{name: "session key unknown", want: poc.BadSession, detail: "not authorised", raw: func(e *env) []byte {
			body, _ := witness(known.ID(), 1, noon).AppendBinary(nil)
			raw, err := poc.SignBySession(body, session)
			if err != nil {
				e.t.Fatal(err)
			}
			return raw
		}},
		{name: "in another's session", want: poc.BadSession, detail: "the session of", src: Source{Session: stranger.ID()},
			raw: func(e *env) []byte { return e.signed(witness(known.ID(), 1, noon), known) }},
		{name: "no time", want: poc.NoTime, detail: "no time", raw: func(e *env) []byte {
			w := witness(known.ID(), 1, noon)
			w.Time = radio.WallTime{}
			return e.signed(w, known)
		}},
		{name: "two epochs old", want: poc.TooOld, detail: "closed at", raw: func(e *env) []byte {
			return e.signed(witness(known.ID(), 1, noon.Add(-48*time.Hour)), known)
		}},
		{name: "previous epoch after grace", want: poc.TooOld, detail: "closed at", raw: func(e *env) []byte {
			return e.signed(witness(known.ID(), 1, noon.Add(-24*time.Hour)), known)
		}},
		{name: "ahead of the clock", want: poc.InTheFuture, detail: "ahead of the oracle", raw: func(e *env) []byte {
			return e.signed(witness(known.ID(), 1, noon.Add(2*time.Second+2*time.Millisecond)), known)
		}},
		{name: "a huge bound excuses little", want: poc.InTheFuture, detail: "limit is 12s", raw: func(e *env) []byte {
			w := witness(known.ID(), 1, noon.Add(13*time.Second))
			w.Time.Bound = time.Hour
			return e.signed(w, known)
		}},
		{name: "hotspot's rate", want: poc.RateLimited, detail: "of this hotspot",
			change: func(c *Config) { c.PerHotspot = Rate{time.Minute, 1} },
			raw:    func(e *env) []byte { return e.signed(witness(known.ID(), 1, noon), known) }},
		{name: "address's rate", want: poc.RateLimited, detail: "network address",
			change: func(c *Config) { c.PerPeer = Rate{time.Minute, 1} },
			raw:    func(e *env) []byte { return e.signed(witness(known.ID(), 1, noon), known) }},
		{name: "disk full", want: poc.Overloaded, detail: "disk is full",
			before: func(e *env) { e.log.(*mem.Log).SetFull(true) },
			raw:    func(e *env) []byte { return e.signed(witness(known.ID(), 1, noon), known) }},
		{name: "memory full", want: poc.Overloaded, detail: "remember",
			change: func(c *Config) { c.MaxReports = 1 },
			before: func(e *env) { e.Admit(e.t.Context(), Source{}, e.signed(witness(known.ID(), 9, noon), known)) },
			raw:    func(e *env) []byte { return e.signed(witness(known.ID(), 1, noon), known) }},
		{name: "not on the list", want: poc.NotRegistered, detail: "not on it",
			change: func(c *Config) { c.Allow = func(id identity.HotspotID) bool { return id == known.ID() } },
			raw:    func(e *env) []byte { return e.assertion(stranger, 1) }},
		{name: "region unknown", want: poc.NotRegistered, detail: "EU868",
			change: func(c *Config) { c.RegionKnown = func(string) bool { return false } },
			raw:    func(e *env) []byte { return e.assertion(known, 5) }},
		{name: "old sequence", want: poc.NotRegistered, detail: "use a higher one", raw: func(e *env) []byte {
			e.clk.add(time.Nanosecond)
			return e.assertion(known, 1)
		}},
		{name: "forged assertion", want: poc.BadSignature, detail: "does not fit", raw: func(e *env) []byte {
			raw := e.assertion(stranger, 1)
			raw[len(raw)-1] ^= 1
			return raw
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			reg := prometheus.NewRegistry()
			e := newEnv(t, nil)
			e.register(known)
			e.open(func(cfg *Config) {
				cfg.Metrics = NewMetrics(reg)
				if c.change != nil {
					c.change(cfg)
				}
			})
			if c.before != nil {
				c.before(e)
			}
			if c.want == poc.RateLimited { // spend the budget on something else
				if o := e.Admit(t.Context(), c.src, e.signed(witness(known.ID(), 77, noon), known)); o.Reason != poc.OK {
					t.Fatalf("first report: %v %s", o.Reason, o.Detail)
				}
			}
			had := e.entries(journal.TypeReport)
			o := e.Admit(t.Context(), c.src, c.raw(e))
			if o.Reason != c.want || !strings.Contains(o.Detail, c.detail) {
				t.Fatalf("got %v, %q; want %v, ...%s...", o.Reason, o.Detail, c.want, c.detail)
			}
			if o.Receipt != nil {
				t.Error("a refusal carries a receipt")
			}
			if c.want == poc.RateLimited && o.RetryAfter <= 0 {
				t.Error("no retry time")
			}
			if n := e.entries(journal.TypeReport); n != had {
				t.Errorf("the journal grew from %d to %d entries", had, n)
			}
			if n := refusals(t, reg, c.want); n != 1 {
				t.Errorf("counter %v is %v, want 1", c.want, n)
			}
		})
	}
}

// The door does not know challenges: a beacon that nobody asked for is journaled,
// and the judge says what is wrong with it (package verify, TestForgeries).
func TestUnaskedBeaconIsJournaled(t *testing.T) {
	key := testKey(1)
	e := newEnv(t, nil)
	e.register(key)
	had := e.entries(journal.TypeReport)
	b := poc.Beacon{Hotspot: key.ID(), Challenge: poc.ID{1}, Proof: []byte{1}, Frequency: 868_100_000,
		DataRate: radio.LoRaRate(12, 125*radio.KHz), Time: radio.WallTime{UnixNano: noon.UnixNano()}}
	if o := e.Admit(t.Context(), Source{Session: key.ID()}, e.signed(b, key)); o.Reason != poc.OK {
		t.Fatal(o.Reason, o.Detail)
	}
	if n := e.entries(journal.TypeReport); n != had+1 {
		t.Errorf("the journal has %d reports, had %d", n, had)
	}
}

// refusals reads the counter of one reason.
func refusals(t *testing.T, reg *prometheus.Registry, want poc.Reason) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "heliograph_ingest_refused_total" && m.GetLabel()[0].GetValue() == want.String() {
				return m.GetCounter().GetValue()
			}
		}
	}
	return -1
}

func TestStamp(t *testing.T) {
	const today = poc.Epoch(20778) // 2026-11-21
	midnight := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name   string
		stated time.Time
		now    time.Time
		epoch  poc.Epoch
		reason poc.Reason
	}{
		{"today", noon, noon, today, poc.OK},
		{"yesterday within grace", midnight.Add(-1), midnight.Add(time.Hour - 1), today - 1, poc.OK},
		{"yesterday, grace over", midnight.Add(-1), midnight.Add(time.Hour), 0, poc.TooOld},
		{"a little ahead over midnight", midnight.Add(time.Second), midnight.Add(-time.Second), today - 1, poc.OK},
		{"exactly at the limit", noon.Add(2*time.Second + time.Millisecond), noon, today, poc.OK},
		{"beyond the limit", noon.Add(2*time.Second + time.Millisecond + 1), noon, 0, poc.InTheFuture},
	} {
		e, r, _ := day.Stamp(radio.WallTime{UnixNano: c.stated.UnixNano(), Bound: time.Millisecond}, c.now.UnixNano())
		if e != c.epoch || r != c.reason {
			t.Errorf("%s: epoch %d, %v; want %d, %v", c.name, e, r, c.epoch, c.reason)
		}
	}
}

func TestGCRA(t *testing.T) {
	r := Rate{Interval: time.Second, Burst: 3}
	var tat int64
	at := func(ms int64) int64 { return noon.UnixNano() + ms*1e6 }
	for i, c := range []struct {
		ms int64
		ok bool
	}{{0, true}, {0, true}, {0, true}, {0, false}, {999, false}, {1000, true}, {1000, false}, {60_000, true}, {60_000, true}, {60_000, true}, {60_000, false}} {
		next, wait, ok := r.Take(tat, at(c.ms))
		if ok != c.ok || !ok && wait <= 0 {
			t.Fatalf("step %d: ok %v, wait %v", i, ok, wait)
		}
		if !ok { // after the wait it conforms
			if _, _, later := r.Take(tat, at(c.ms)+int64(wait)); !later {
				t.Fatalf("step %d: waiting %v was not enough", i, wait)
			}
			continue
		}
		tat = next
	}
}

func TestLimiterMemoryIsBounded(t *testing.T) {
	l := newLimiter[int](Rate{time.Second, 1}, 10)
	now := noon.UnixNano()
	for i := range 1000 {
		l.take(i, now)
	}
	if len(l.tat) != 10 {
		t.Fatalf("%d states, want 10", len(l.tat))
	}
	if _, ok := l.take(5000, now+2e9); !ok {
		t.Error("old states were not swept out")
	}
}

// The same report again, later, after a restart, and with another valid
// signature gets the very same receipt and is journaled once.
func TestDuplicateSameReceipt(t *testing.T) {
	key := testKey(1)
	e := newEnv(t, nil)
	e.register(key)
	raw := e.signed(witness(key.ID(), 1, noon), key)
	first := e.Admit(t.Context(), Source{}, raw)
	if first.Reason != poc.OK || first.Duplicate {
		t.Fatalf("first: %+v", first)
	}
	rc, err := poc.ParseReceipt(first.Receipt, testKey(0).ID())
	if err != nil || rc.Report != first.ID || rc.Epoch != 20778 || rc.Received != noon.UnixNano() {
		t.Fatalf("receipt %+v: %v", rc, err)
	}
	again := func(name string) {
		t.Helper()
		o := e.Admit(t.Context(), Source{}, raw)
		if !bytes.Equal(o.Receipt, first.Receipt) || !o.Duplicate {
			t.Errorf("%s: another receipt, or taken for new (%v %s)", name, o.Reason, o.Detail)
		}
	}
	again("at once")
	e.clk.add(3 * time.Hour)
	again("later")
	e.open(nil)
	again("after a restart")
	if _, err := e.j.Close(t.Context(), 20778, 0); err != nil {
		t.Fatal(err)
	}
	e.Forget(20778)
	e.clk.add(24 * time.Hour)
	again("after the epoch was cut")
	e.open(nil)
	again("after the cut and a restart")
	if n := e.entries(journal.TypeReport); n != 2 { // with the assertion
		t.Errorf("%d reports in the journal, want 2", n)
	}
	if o := e.Admit(t.Context(), Source{}, e.signed(witness(key.ID(), 2, noon), key)); o.Reason != poc.TooOld {
		t.Errorf("new report for a closed epoch: %v", o.Reason)
	}
}

func TestAssertionAgainSameReceipt(t *testing.T) {
	key := testKey(1)
	e := newEnv(t, nil)
	raw := e.assertion(key, 1)
	first := e.Admit(t.Context(), Source{}, raw)
	e.clk.add(100 * time.Hour)
	e.open(nil)
	second := e.Admit(t.Context(), Source{}, raw)
	if first.Reason != poc.OK || !bytes.Equal(first.Receipt, second.Receipt) || len(first.Receipt) == 0 {
		t.Fatalf("first %+v, second %+v", first, second)
	}
	if o := e.Admit(t.Context(), Source{}, e.assertion(key, 2)); o.Reason != poc.OK {
		t.Fatalf("newer assertion: %v %s", o.Reason, o.Detail)
	}
	if r, _ := e.Registration(key.ID()); r.Sequence != 2 {
		t.Errorf("sequence %d on record", r.Sequence)
	}
}

// slowLog holds appends back until it is told to let go.
type slowLog struct {
	store.Log
	entered chan struct{}
	release chan struct{}
}

func (l *slowLog) Append(ctx context.Context, s store.Shard, f []byte) (store.Offset, error) {
	l.entered <- struct{}{}
	<-l.release
	return l.Log.Append(ctx, s, f)
}

func TestConcurrentCopiesJournaledOnce(t *testing.T) {
	key := testKey(1)
	e := newEnv(t, nil)
	e.register(key)
	slow := &slowLog{Log: e.log, entered: make(chan struct{}, 64), release: make(chan struct{})}
	e.log = slow
	e.open(nil)
	raw := e.signed(witness(key.ID(), 1, noon), key)
	out := make([]Outcome, 16)
	var w sync.WaitGroup
	for i := range out {
		w.Go(func() { out[i] = e.Admit(context.Background(), Source{}, raw) })
	}
	<-slow.entered
	close(slow.release)
	w.Wait()
	fresh := 0
	for _, o := range out {
		if o.Reason != poc.OK || !bytes.Equal(o.Receipt, out[0].Receipt) {
			t.Fatalf("outcome %v %s, or another receipt", o.Reason, o.Detail)
		}
		if !o.Duplicate {
			fresh++
		}
	}
	if fresh != 1 {
		t.Errorf("%d copies were taken for new", fresh)
	}
	e.log = slow.Log
	if n := e.entries(journal.TypeReport); n != 2 {
		t.Errorf("%d reports in the journal, want 2", n)
	}
}

// A failed append leaves no claim behind: the next copy is journaled.
func TestRetryAfterFullDisk(t *testing.T) {
	key := testKey(1)
	e := newEnv(t, nil)
	e.register(key)
	raw := e.signed(witness(key.ID(), 1, noon), key)
	e.log.(*mem.Log).SetFull(true)
	if o := e.Admit(t.Context(), Source{}, raw); o.Reason != poc.Overloaded || o.RetryAfter <= 0 {
		t.Fatalf("%+v", o)
	}
	e.log.(*mem.Log).SetFull(false)
	if o := e.Admit(t.Context(), Source{}, raw); o.Reason != poc.OK || o.Duplicate {
		t.Fatalf("%+v", o)
	}
}

func TestSessionCertificates(t *testing.T) {
	key, other := testKey(1), testKey(2)
	priv := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, 32))
	nonce := [poc.NonceSize]byte{1, 2, 3}
	good := func() poc.SessionCert {
		c := poc.SessionCert{Hotspot: key.ID(), Nonce: nonce, NotBefore: noon.Unix(), NotAfter: noon.Add(30 * time.Minute).Unix()}
		copy(c.Key[:], priv.Public().(ed25519.PublicKey))
		return c
	}
	for _, c := range []struct {
		name   string
		want   poc.Reason
		detail string
		signer identity.Signer
		change func(*poc.SessionCert)
	}{
		{"good", poc.OK, "", key, func(*poc.SessionCert) {}},
		{"another nonce", poc.BadSession, "another offer", key, func(c *poc.SessionCert) { c.Nonce[0]++ }},
		{"unknown hotspot", poc.UnknownHotspot, "no assertion", other, func(c *poc.SessionCert) { c.Hotspot = other.ID() }},
		{"another's signature", poc.BadSession, "signature", other, func(*poc.SessionCert) {}},
		{"valid too long", poc.BadSession, "the limit is 1h", key, func(c *poc.SessionCert) { c.NotAfter = c.NotBefore + 3601 }},
		{"not valid yet", poc.BadSession, "not valid yet", key, func(c *poc.SessionCert) { c.NotBefore += 10 }},
		{"expired", poc.BadSession, "expired", key, func(c *poc.SessionCert) { c.NotBefore -= 7200; c.NotAfter = noon.Unix() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newEnv(t, nil)
			e.register(key)
			s := good()
			c.change(&s)
			if c.name == "expired" {
				s.NotBefore = s.NotAfter - 60
			}
			raw, err := poc.MakeSessionCert(s, c.signer)
			if err != nil {
				t.Fatal(err)
			}
			_, o := e.OpenSession(t.Context(), "test", nonce, raw)
			if o.Reason != c.want || !strings.Contains(o.Detail, c.detail) {
				t.Fatalf("%v, %q; want %v, ...%s...", o.Reason, o.Detail, c.want, c.detail)
			}
			want := 0
			if c.want == poc.OK {
				want = 1
			}
			if n := e.entries(journal.TypeSession); n != want {
				t.Fatalf("%d certificates in the journal, want %d", n, want)
			}
			if want == 0 {
				return
			}
			body, _ := witness(key.ID(), 1, noon).AppendBinary(nil)
			report, err := poc.SignBySession(body, priv)
			if err != nil {
				t.Fatal(err)
			}
			e.open(nil) // the certificate comes back from the journal
			if o := e.Admit(t.Context(), Source{Session: key.ID()}, report); o.Reason != poc.OK {
				t.Fatalf("report by session key: %v %s", o.Reason, o.Detail)
			}
			e.clk.add(31 * time.Minute)
			body, _ = witness(key.ID(), 2, e.clk.Now()).AppendBinary(nil)
			report, _ = poc.SignBySession(body, priv)
			if o := e.Admit(t.Context(), Source{Session: key.ID()}, report); o.Reason != poc.BadSession || !strings.Contains(o.Detail, "expired") {
				t.Fatalf("after expiry: %v %s", o.Reason, o.Detail)
			}
		})
	}
}

func FuzzAdmit(f *testing.F) {
	key := testKey(1)
	e := newEnv(f, nil)
	e.register(key)
	f.Add(e.signed(witness(key.ID(), 1, noon), key))
	f.Add(e.assertion(key, 2))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		o := e.Admit(context.Background(), Source{Peer: "f"}, raw)
		if (o.Reason == poc.OK) != (o.Receipt != nil) {
			t.Fatalf("%v with receipt of %d bytes", o.Reason, len(o.Receipt))
		}
		if o.Reason != poc.OK && o.Detail == "" {
			t.Fatalf("%v without detail", o.Reason)
		}
		e.OpenSession(context.Background(), "f", [poc.NonceSize]byte{}, raw)
	})
}

func BenchmarkAdmit(b *testing.B) {
	key := testKey(1)
	e := newEnv(b, nil)
	e.register(key)
	raws := make([][]byte, b.N)
	for i := range raws {
		raws[i] = e.signed(witness(key.ID(), uint64(i), noon), key)
	}
	b.ResetTimer()
	for _, raw := range raws {
		if o := e.Admit(context.Background(), Source{}, raw); o.Reason != poc.OK {
			b.Fatal(o.Reason, o.Detail)
		}
	}
}
