package verify_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"iter"
	mrand "math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"heliograph/oracle/challenge"
	"heliograph/oracle/journal"
	"heliograph/oracle/registry"
	"heliograph/oracle/store"
	"heliograph/oracle/verify"
	"heliograph/oracle/verify/verifytest"
	"heliograph/poc"
	"heliograph/poc/native"
	"heliograph/provisioning/identity"
	"heliograph/radio"
)

func network(t testing.TB, cfg verifytest.Config) *verifytest.Network {
	t.Helper()
	n, err := verifytest.Make(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func small(t testing.TB) *verifytest.Network {
	return network(t, verifytest.Config{Hotspots: 16, Witnesses: 24, Beacons: 2})
}

func judge(t testing.TB, in verify.Input) verify.Outcome {
	t.Helper()
	out, err := verify.Run(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// verdict finds the only verdict on a signed report, or the last one of several.
func verdict(t testing.TB, out verify.Outcome, data []byte) poc.Verdict {
	t.Helper()
	r, err := poc.ParseReport(data)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range slices.Backward(out.Verdicts) {
		if v.Report == r.ID {
			return v.Verdict
		}
	}
	t.Fatalf("no verdict on %v", r.ID)
	return poc.Verdict{}
}

func TestHonestEpoch(t *testing.T) {
	n := small(t)
	out := judge(t, n.Input())
	if len(out.Verdicts) != len(n.Reports) || out.Epoch != n.Epoch || out.Ignored != 0 {
		t.Fatalf("%d verdicts on %d reports", len(out.Verdicts), len(n.Reports))
	}
	seen := map[poc.ID]bool{}
	drawn := uint64(0)
	for i, v := range out.Verdicts {
		if v.Reason != poc.OK && v.Reason != poc.NotSelected || (v.Weight == 0) != (v.Reason != poc.OK) {
			t.Errorf("%v: %v", v.Report, v.Verdict)
		}
		if i > 0 && (out.Verdicts[i-1].At.Shard > v.At.Shard || out.Verdicts[i-1].At.Offset >= v.At.Offset) {
			t.Error("verdicts are not in the order of the journal")
		}
		seen[v.Report] = true
		drawn += uint64(v.Weight)
	}
	if len(seen) != len(n.Reports) || len(out.Units) != 16 || out.Counts[poc.OK]+out.Counts[poc.NotSelected] != uint64(len(n.Reports)) {
		t.Errorf("%d reports, %d hotspots with units, counts %v", len(seen), len(out.Units), out.Counts)
	}
	for i, u := range out.Units {
		if u.Beacon == 0 || u.Witness == 0 || u.Credits != 0 || out.UnitsOf(u.Hotspot) != u {
			t.Errorf("units %+v", u)
		}
		if i > 0 && slices.Compare(out.Units[i-1].Hotspot[:], u.Hotspot[:]) >= 0 {
			t.Error("units are not sorted")
		}
	}
	// The same on every machine; a change is a change of the rules.
	if got := hex.EncodeToString(out.Digest[:8]); got != "54841b413b9bfc7d" {
		t.Errorf("digest %s", got)
	}
	if out.UnitsOf(identity.HotspotID{}) != (native.Units{}) {
		t.Error("nobody has units")
	}
}

// TestUnitsByHand: a beacon with three witnesses earns three quarters, each of
// them a whole unit, all at the weight of a key in a file.
func TestUnitsByHand(t *testing.T) {
	n := network(t, verifytest.Config{Hotspots: 4, Witnesses: 3, Beacons: 1})
	for _, u := range judge(t, n.Input()).Units {
		if u.Beacon != 750_000*9/10 || u.Witness != 3*1_000_000*9/10 {
			t.Errorf("%+v", u)
		}
	}
}

func TestWorkersDoNotMatter(t *testing.T) {
	n := small(t)
	var want verify.Outcome
	for i, workers := range []int{1, 2, 7, 0, 300} {
		in := n.Input()
		in.Workers = workers
		out := judge(t, in)
		if i == 0 {
			want = out
		} else if !reflect.DeepEqual(out, want) {
			t.Errorf("%d workers: another outcome", workers)
		}
	}
}

// TestArrivalOrderDoesNotMatter shuffles the journal: each report has the same
// verdict, and everybody the same units.
func TestArrivalOrderDoesNotMatter(t *testing.T) {
	n := small(t)
	byReport := func(out verify.Outcome) map[poc.ID]poc.Verdict {
		m := map[poc.ID]poc.Verdict{}
		for _, v := range out.Verdicts {
			m[v.Report] = v.Verdict
		}
		return m
	}
	want := judge(t, n.Input())
	r := mrand.New(mrand.NewPCG(1, 1))
	for range 5 {
		r.Shuffle(len(n.Reports), func(i, j int) { n.Reports[i], n.Reports[j] = n.Reports[j], n.Reports[i] })
		for i := range n.Reports {
			n.Reports[i].Received += r.Int64N(int64(time.Hour))
		}
		out := judge(t, n.Input())
		if !reflect.DeepEqual(byReport(out), byReport(want)) || !reflect.DeepEqual(out.Units, want.Units) {
			t.Fatal("the order of arrival decides")
		}
	}
}

// TestForgeries adds one forged report at a time to an honest epoch. It gets its
// reason, and nobody else's verdict or units change.
func TestForgeries(t *testing.T) {
	base := small(t)
	honest := judge(t, base.Input())
	sched, _ := challenge.New(base.Seed, base.Epoch, base.Config.Challenge)
	cs := make([][]poc.Challenge, 16)
	for i := range cs {
		h, _ := base.Registry.Find(base.Keys[i].ID())
		cs[i], _ = sched.Of(h)
	}
	beacon := func(i, slot int) poc.Beacon {
		b, err := base.Beacon(i, cs[i][slot])
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	signed := func(i int, v interface{ AppendBinary([]byte) ([]byte, error) }) []byte {
		b, err := base.Sign(i, v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	late := cs[0][5].UnixNano + int64(time.Minute) // slots from 2 on have no reports yet
	stranger := identity.NewEd25519([32]byte{0xee})
	foreign := func(w poc.Witness, session ed25519.PrivateKey) []byte {
		body, err := w.AppendBinary(nil)
		if err != nil {
			t.Fatal(err)
		}
		b, err := poc.SignBySession(body, session)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for name, tt := range map[string]struct {
		data     []byte
		received int64
		want     poc.Reason
	}{
		"unasked beacon":       {signed(0, func() poc.Beacon { b := beacon(0, 5); b.Challenge[0] ^= 1; return b }()), late, poc.ChallengeUnknown},
		"another's challenge":  {signed(0, func() poc.Beacon { b := beacon(1, 5); b.Hotspot = base.Keys[0].ID(); return b }()), late, poc.ChallengeUnknown},
		"invented proof":       {signed(0, func() poc.Beacon { b := beacon(0, 5); b.Proof[3] ^= 1; return b }()), late, poc.BadProof},
		"unheard beacon":       {signed(0, beacon(0, 5)), late, poc.Unwitnessed},
		"second beacon":        {signed(0, func() poc.Beacon { b := beacon(0, 0); b.Tick++; return b }()), late, poc.Duplicate},
		"loud beacon":          {signed(0, func() poc.Beacon { b := beacon(0, 5); b.Power += 300; return b }()), late, poc.WrongPower},
		"beacon ahead of time": {signed(0, func() poc.Beacon { b := beacon(0, 5); b.Time.UnixNano -= 1e9; return b }()), late, poc.ChallengeNotDue},
		"invented payload":     {signed(1, func() poc.Witness { w := base.Witness(1, 0, beacon(0, 0)); w.Payload[5] ^= 1; return w }()), late, poc.NoBeacon},
		"own beacon":           {signed(0, base.Witness(0, 0, beacon(0, 0))), late, poc.SelfWitness},
		"witness twice": {signed(1, func() poc.Witness { w := base.Witness(1, 0, beacon(0, 0)); w.RSSI += 100; return w }()),
			late, poc.Duplicate},
		"the other end": {signed(15, func() poc.Witness { w := base.Witness(15, 0, beacon(0, 0)); w.RSSI = -2000; return w }()), late, poc.AboveFreeSpace},
		"relayed late":  {signed(15, func() poc.Witness { w := base.Witness(15, 0, beacon(0, 0)); w.Time.UnixNano += 1e9; return w }()), late, poc.WrongTime},
		"from tomorrow": {signed(15, base.Witness(15, 0, beacon(0, 0))), cs[0][0].UnixNano - 1e10, poc.InTheFuture},
		"stranger's key": {foreign(base.Witness(15, 0, beacon(0, 0)), ed25519.NewKeyFromSeed(make([]byte, 32))),
			late, poc.BadSession},
		"another's session": {foreign(base.Witness(15, 0, beacon(0, 0)), base.Sessions[3]), late, poc.BadSession},
		"expired session":   {signed(15, base.Witness(15, 0, beacon(0, 0))), late + int64(48*time.Hour), poc.BadSession},
		"a key nobody has": {func() []byte {
			b := signed(15, base.Witness(15, 0, beacon(0, 0)))
			b[len(b)-80]++
			b[len(b)-1] ^= 1
			return b
		}(), late, poc.BadSession},
		"bad signature": {func() []byte { b := signed(15, base.Witness(15, 0, beacon(0, 0))); b[len(b)-1] ^= 1; return b }(), late, poc.BadSignature},
		"unknown hotspot": {func() []byte {
			w := base.Witness(15, 0, beacon(0, 0))
			w.Hotspot = stranger.ID()
			body, _ := w.AppendBinary(nil)
			b, _ := poc.SignBody(body, stranger)
			return b
		}(), late, poc.UnknownHotspot},
		"decline": {signed(0, poc.Decline{Hotspot: base.Keys[0].ID(), Challenge: cs[0][5].ID(), Cause: poc.DeclineRadio, Time: radio.WallTime{UnixNano: late}}),
			late, poc.Declined},
		"decline of nothing": {signed(0, poc.Decline{Hotspot: base.Keys[0].ID(), Cause: poc.DeclineRadio, Time: radio.WallTime{UnixNano: late}}), late, poc.ChallengeUnknown},
		"nobody's packet":    {signed(0, poc.Packet{Hotspot: base.Keys[0].ID(), PHY: []byte{0x40}, DataRate: radio.LoRaRate(7, 125*radio.KHz), Time: radio.WallTime{UnixNano: late}}), late, poc.NotRouted},
	} {
		t.Run(name, func(t *testing.T) {
			n := *base
			n.Reports = slices.Clone(base.Reports)
			if err := n.File(tt.data, tt.received); err != nil {
				t.Fatal(err)
			}
			out := judge(t, n.Input())
			if got := verdict(t, out, tt.data); got.Reason != tt.want || got.Weight != 0 {
				t.Errorf("%v, want %v", got, tt.want)
			}
			if !reflect.DeepEqual(out.Units, honest.Units) {
				t.Error("others' units have changed")
			}
			if len(out.Verdicts) != len(honest.Verdicts)+1 || out.Digest == honest.Digest {
				t.Error("the report has no verdict")
			}
		})
	}
}

// TestRepetitionsCountOnce journals everything twice, as after a lost answer.
func TestRepetitionsCountOnce(t *testing.T) {
	n := small(t)
	honest := judge(t, n.Input())
	n.Reports = append(n.Reports, n.Reports...)
	out := judge(t, n.Input())
	if !reflect.DeepEqual(out.Units, honest.Units) || out.Counts[poc.Duplicate] != uint64(len(honest.Verdicts)) {
		t.Errorf("counts %v", out.Counts)
	}
}

// scalars is randomness that remembers the last scalar it gave.
type scalars struct{ last [32]byte }

func (s *scalars) Read(b []byte) (int, error) {
	s.last = sha256.Sum256(s.last[:])
	return copy(b, s.last[:]), nil
}

// TestSecondProof: a key whose signatures are not unique can make two payloads for
// one challenge, in two shards. The beacon that was received first counts, the
// other one and its witnesses do not.
func TestSecondProof(t *testing.T) {
	var src scalars
	key, err := identity.NewKey(identity.ECCCompact, &src)
	if err != nil {
		t.Fatal(err)
	}
	n := network(t, verifytest.Config{Hotspots: 9, Witnesses: 8, Beacons: 1, First: key})
	honest := judge(t, n.Input())
	if u := honest.UnitsOf(key.ID()); u.Beacon == 0 {
		t.Fatalf("P-256 hotspot has %+v", u)
	}
	h, _ := n.Registry.Find(key.ID())
	sched, _ := challenge.New(n.Seed, n.Epoch, n.Config.Challenge)
	cs, _ := sched.Of(h)
	again, _ := n.Beacon(0, cs[0])
	first := again.Payload()
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), src.last[:])
	if err != nil {
		t.Fatal(err)
	}
	body, _ := cs[0].AppendBinary(nil)
	digest := sha256.Sum256(append([]byte("heliograph/v1\n"), body...))
	for again.Payload()[0] == first[0] || cs[0].VerifyProof(again.Proof) != nil {
		if again.Proof, err = ecdsa.SignASN1(rand.Reader, private, digest[:]); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name    string
		earlier time.Duration
	}{{"later", -time.Hour}, {"earlier", time.Second}} {
		m := *n
		m.Reports = slices.Clone(n.Reports)
		received := cs[0].UnixNano + int64(3*time.Second-tt.earlier)
		if err := m.Add(0, again, received); err != nil {
			t.Fatal(err)
		}
		if err := m.Add(1, m.Witness(1, 0, again), received); err != nil {
			t.Fatal(err)
		}
		beaconData, witnessData := m.Reports[len(m.Reports)-2].Data, m.Reports[len(m.Reports)-1].Data
		out := judge(t, m.Input())
		b, w := verdict(t, out, beaconData), verdict(t, out, witnessData)
		if tt.name == "later" {
			if b.Reason != poc.Duplicate || w.Reason != poc.BeaconRejected || !reflect.DeepEqual(out.Units, honest.Units) {
				t.Errorf("%s: %v, %v", tt.name, b, w)
			}
			continue
		}
		if b.Reason != poc.OK || w.Reason != poc.OK || out.Counts[poc.Duplicate] != 1 || out.Counts[poc.BeaconRejected] != 8 {
			t.Errorf("%s: %v, %v, %v", tt.name, b, w, out.Counts)
		}
	}
}

// TestLinks: with enough beacons, witnesses who do not know the power give
// themselves away, and honest ones do not.
func TestLinks(t *testing.T) {
	cfg := verifytest.Config{Hotspots: 3, Witnesses: 2, Challenge: challenge.Default()}
	cfg.Challenge.PerEpoch = 40
	for _, flat := range []bool{false, true} {
		cfg.Flat = flat
		out := judge(t, network(t, cfg).Input())
		if got := out.Counts[poc.PowerNotFollowed]; flat && (got != 3*2*40 || out.Counts[poc.Unwitnessed] != 3*40 || len(out.Units) != 0) || !flat && got != 0 {
			t.Errorf("flat %v: %v", flat, out.Counts)
		}
	}
}

func TestChallengesBeforeTheOpeningDoNotCount(t *testing.T) {
	n := network(t, verifytest.Config{Hotspots: 4, Witnesses: 3, Beacons: 1})
	n.Open.Received += int64(24 * time.Hour)
	out := judge(t, n.Input())
	if out.Counts[poc.ChallengeUnknown] != 4 || out.Counts[poc.BeaconRejected] != 12 || len(out.Units) != 0 {
		t.Errorf("%v", out.Counts)
	}
	other := n.Input()
	other.Open.Received = 0
	other.Seed[0] ^= 1
	if out := judge(t, other); out.Counts[poc.ChallengeUnknown] != 4 {
		t.Errorf("another seed: %v", out.Counts)
	}
}

func entries(list ...journal.Entry) func(shards ...store.Shard) iter.Seq2[journal.Position, journal.Entry] {
	return func(shards ...store.Shard) iter.Seq2[journal.Position, journal.Entry] {
		return func(yield func(journal.Position, journal.Entry) bool) {
			for i, e := range list {
				if !yield(journal.Position{Shard: shards[i], Offset: store.Offset(i)}, e) {
					return
				}
			}
		}
	}
}

func TestPackets(t *testing.T) {
	n := network(t, verifytest.Config{Hotspots: 2, Challenge: challenge.Default()})
	n.Reports = nil
	now := challenge.Start(n.Epoch, 24*time.Hour) + int64(time.Hour)
	pack := func(phy ...byte) (poc.Report, journal.Entry) {
		data, err := n.Sign(0, poc.Packet{Hotspot: n.Keys[0].ID(), PHY: phy, DataRate: radio.LoRaRate(7, 125*radio.KHz), Time: radio.WallTime{UnixNano: now}})
		if err != nil {
			t.Fatal(err)
		}
		r, err := poc.ParseReport(data)
		if err != nil {
			t.Fatal(err)
		}
		return r, journal.Entry{Type: journal.TypeReport, Epoch: n.Epoch, Received: now, Data: data}
	}
	sale := func(id poc.ID, credits, route uint32) journal.Entry {
		data, _ := journal.Carried{Packet: id, Credits: credits, Route: route}.AppendBinary(nil)
		return journal.Entry{Type: journal.TypeCarried, Epoch: n.Epoch, Received: now, Data: data}
	}
	long, longEntry := pack(append([]byte{0x40}, make([]byte, 48)...)...) // 49 bytes: 3 credits
	join, joinEntry := pack(make([]byte, 23)...)
	other := longEntry
	other.Epoch++
	for name, tt := range map[string]struct {
		list    []journal.Entry
		credits uint64
		ignored uint64
		ok      uint64
	}{
		"sold":         {[]journal.Entry{longEntry, sale(long.ID, 3, 1)}, 3, 0, 1},
		"sold first":   {[]journal.Entry{sale(long.ID, 3, 1), longEntry}, 3, 0, 1},
		"two routes":   {[]journal.Entry{longEntry, sale(long.ID, 3, 1), sale(long.ID, 3, 2)}, 6, 0, 1},
		"sold twice":   {[]journal.Entry{longEntry, sale(long.ID, 3, 1), sale(long.ID, 3, 1)}, 3, 1, 1},
		"sent twice":   {[]journal.Entry{longEntry, longEntry, sale(long.ID, 3, 1)}, 3, 0, 1},
		"overpriced":   {[]journal.Entry{longEntry, sale(long.ID, 4, 1)}, 0, 1, 0},
		"for nothing":  {[]journal.Entry{longEntry, sale(long.ID, 0, 1)}, 0, 1, 0},
		"no packet":    {[]journal.Entry{sale(long.ID, 3, 1)}, 0, 1, 0},
		"bad sale":     {[]journal.Entry{{Type: journal.TypeCarried, Epoch: n.Epoch, Data: []byte{1}}}, 0, 1, 0},
		"other epoch":  {[]journal.Entry{other, sale(long.ID, 3, 1)}, 0, 1, 0},
		"join request": {[]journal.Entry{joinEntry, sale(join.ID, 0, 1)}, 0, 0, 1},
	} {
		shards := make([]store.Shard, len(tt.list))
		for i := range shards {
			shards[i] = store.Shard(long.ID[0])
			if name == "join request" {
				shards[i] = store.Shard(join.ID[0])
			}
		}
		in := n.Input()
		in.Entries = entries(tt.list...)(shards...)
		out := judge(t, in)
		if got := out.UnitsOf(n.Keys[0].ID()).Credits; got != tt.credits || out.Ignored != tt.ignored || out.Counts[poc.OK] != tt.ok {
			t.Errorf("%s: %d credits, %d ignored, %v", name, got, out.Ignored, out.Counts)
		}
	}
}

// TestHostileEntries: nothing in the journal makes the verifier fail or skip.
func TestHostileEntries(t *testing.T) {
	n := network(t, verifytest.Config{Hotspots: 2, Witnesses: 1, Beacons: 1})
	report := func(data []byte) journal.Entry {
		return journal.Entry{Type: journal.TypeReport, Epoch: n.Epoch, Data: data}
	}
	good := n.Reports[0]
	in := n.Input()
	in.Entries = entries(report(nil), report([]byte{1, 1}), report(make([]byte, 60_000)), report(good.Data), report(good.Data[:60]))(0, 0, 0, (good.Shard+1)%256, 256)
	if good.Shard == 255 {
		t.Skip("the wrong shard would come first")
	}
	out := judge(t, in)
	if len(out.Verdicts) != 5 || out.Counts[poc.Malformed] != 5 {
		t.Errorf("%v", out.Counts)
	}
	in.Registry = nil
	in.Entries = n.Entries()
	if out := judge(t, in); out.Counts[poc.UnknownHotspot] != uint64(len(n.Reports)) {
		t.Errorf("without a registry: %v", out.Counts)
	}
	assertion, _ := n.Asserted[0].AppendBinary(nil)
	signed, _ := poc.SignBody(assertion, n.Keys[0])
	forged, _ := poc.SignBody(assertion, n.Keys[1])
	in.Registry = &registry.Snapshot{}
	in.Entries = entries(report(signed), report(forged), report(signed))(256, 256, 256)
	if out := judge(t, in); out.Verdicts[0].Reason != poc.OK || out.Verdicts[1].Reason != poc.BadSignature || out.Verdicts[2].Reason != poc.Duplicate {
		t.Errorf("assertions: %v", out.Verdicts)
	}
}

func TestRunRefuses(t *testing.T) {
	n := network(t, verifytest.Config{Hotspots: 2, Witnesses: 1, Beacons: 1})
	ctx := context.Background()
	in := n.Input()
	in.Params.MaxWitnesses = 0
	if _, err := verify.Run(ctx, in); err == nil {
		t.Error("parameters without meaning pass")
	}
	in = n.Input()
	in.ChallengeConfig.PerEpoch = 0
	if _, err := verify.Run(ctx, in); err == nil {
		t.Error("a configuration without challenges passes")
	}
	e := journal.Entry{Type: journal.TypeReport, Epoch: n.Epoch}
	for _, shards := range [][]store.Shard{{5, 4}, {257}} {
		in = n.Input()
		in.Entries = entries(e, e)(append(shards, 300)...)
		if _, err := verify.Run(ctx, in); !errors.Is(err, verify.ErrOrder) {
			t.Errorf("shards %v: %v", shards, err)
		}
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := verify.Run(ended, n.Input()); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
