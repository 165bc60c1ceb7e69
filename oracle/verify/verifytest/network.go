// Package verifytest makes honest epochs with real keys and signatures, for tests
// and benchmarks of packages inside oracle. What it makes depends on its
// configuration only.
package verifytest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"iter"
	"slices"
	"time"

	"heliograph/oracle/challenge"
	"heliograph/oracle/journal"
	"heliograph/oracle/registry"
	"heliograph/oracle/store"
	"heliograph/oracle/verify"
	"heliograph/poc"
	"heliograph/poc/geo"
	"heliograph/poc/native"
	"heliograph/provisioning/identity"
	"heliograph/radio"
)

// Config says how large the network is.
type Config struct {
	Hotspots  int // on a grid of 2 km
	Witnesses int // of each beacon, at most 24
	Beacons   int // of each hotspot; 0 is all that the schedule has
	Challenge challenge.Config
	Flat      bool          // witnesses invent levels that do not follow the beacons' power
	First     *identity.Key // key of hotspot 0; nil is one like the others
}

// Report is a signed report on its way to the journal.
type Report struct {
	Data     []byte
	Received int64
	Shard    store.Shard
}

// Network is an epoch of a network.
type Network struct {
	Config
	Epoch    poc.Epoch
	Seed     poc.Seed
	Open     journal.Boundary
	Keys     []*identity.Key      // by hotspot
	Sessions []ed25519.PrivateKey // by hotspot
	Asserted []poc.Assertion      // by hotspot
	Certs    []poc.SessionCert    // by hotspot
	Registry *registry.Snapshot
	Reports  []Report
}

const (
	day    = 20_000
	grid   = 180_000 // 2 km in 1e-7 degrees of latitude
	second = 1_000_000_000
)

// Make makes an epoch.
func Make(cfg Config) (*Network, error) {
	if cfg.Challenge == (challenge.Config{}) {
		cfg.Challenge = challenge.Default()
	}
	start := challenge.Start(day, cfg.Challenge.EpochLength)
	n := &Network{Config: cfg, Epoch: day, Seed: poc.Seed{1, 2, 3},
		Open: journal.Boundary{Open: journal.Open{Epoch: day}, Received: start + int64(time.Second)}}
	wide := 1
	for wide*wide < cfg.Hotspots {
		wide++
	}
	for i := range cfg.Hotspots {
		if err := n.register(i, wide, start); err != nil {
			return nil, err
		}
	}
	n.Registry = registry.Fold(slices.Values(n.Asserted))
	sched, err := challenge.New(n.Seed, n.Epoch, cfg.Challenge)
	if err != nil {
		return nil, err
	}
	for i := range n.Keys {
		h, _ := n.Registry.Find(n.Keys[i].ID())
		cs, err := sched.Of(h)
		if err != nil {
			return nil, err
		}
		if cfg.Beacons > 0 {
			cs = cs[:cfg.Beacons]
		}
		for _, c := range cs {
			if err := n.beacon(i, wide, c); err != nil {
				return nil, err
			}
		}
	}
	return n, nil
}

func (n *Network) register(i, wide int, start int64) error {
	var seed [32]byte
	binary.BigEndian.PutUint32(seed[:], uint32(i)+1)
	key := identity.NewEd25519(seed)
	if i == 0 && n.First != nil {
		key = n.First
	}
	seed[31] = 1
	session := ed25519.NewKeyFromSeed(seed[:])
	c := poc.SessionCert{Hotspot: key.ID(), Key: poc.SessionKey(session.Public().(ed25519.PublicKey)),
		NotBefore: start / second, NotAfter: start/second + poc.MaxSessionSeconds}
	raw, err := poc.MakeSessionCert(c, key)
	if err != nil {
		return fmt.Errorf("verifytest: %w", err)
	}
	if c, err = poc.ParseSessionCert(raw); err != nil {
		return fmt.Errorf("verifytest: %w", err)
	}
	n.Keys, n.Sessions, n.Certs = append(n.Keys, key), append(n.Sessions, session), append(n.Certs, c)
	n.Asserted = append(n.Asserted, poc.Assertion{
		Hotspot: key.ID(), Owner: poc.Wallet{byte(i), byte(i >> 8)}, Gain: 300, Region: "EU868", Sequence: 1,
		Position: poc.Position{LatE7: int32(i/wide) * grid, LonE7: int32(i%wide) * grid},
		Time:     radio.WallTime{UnixNano: start},
	})
	return nil
}

// noise is a number of -span..span that depends on what it is for.
func noise(span int64, about ...[]byte) int64 {
	sum := sha256.Sum256(bytes.Join(about, nil))
	return int64(binary.BigEndian.Uint32(sum[:]))%(2*span+1) - span
}

// Beacon makes hotspot i's report on a challenge.
func (n *Network) Beacon(i int, c poc.Challenge) (poc.Beacon, error) {
	proof, err := c.Prove(n.Keys[i])
	if err != nil {
		return poc.Beacon{}, fmt.Errorf("verifytest: %w", err)
	}
	tx := native.Answer(c, proof, n.Asserted[i].Gain)
	return poc.Beacon{Hotspot: n.Keys[i].ID(), Challenge: c.ID(), Proof: proof, Frequency: tx.Frequency, DataRate: tx.DataRate,
		Power: tx.Power, Tick: 1, Time: radio.WallTime{UnixNano: c.UnixNano + 1000, Bound: 50 * time.Microsecond}}, nil
}

// Witness makes hotspot i's report on a beacon of hotspot from.
func (n *Network) Witness(i, from int, b poc.Beacon) poc.Witness {
	a, w := native.SiteOf(n.Asserted[from]), native.SiteOf(n.Asserted[i])
	id, payload := n.Keys[i].ID(), b.Payload()
	link := b.Hotspot
	level := native.Ceiling(a, w, b.Power, b.Frequency) - 1500 +
		radio.CentiDBm(noise(500, id[:], link[:])+noise(200, id[:], payload[:]))
	if n.Flat {
		level = -9000 + radio.CentiDBm(noise(200, id[:], payload[:]))
	}
	air := int64(native.OnAir(b.DataRate).Duration())
	return poc.Witness{
		Hotspot: id, Payload: payload, Frequency: b.Frequency, Offset: radio.Hertz(noise(3000, id[:], link[:])), DataRate: b.DataRate,
		RSSI: level, SNR: min(radio.CentiDB(level+11_700), 1200), Tick: 2,
		Time: radio.WallTime{UnixNano: b.Time.UnixNano + air + int64(geo.Distance(a.Place, w.Place))*10/3, Bound: 50 * time.Microsecond},
	}
}

// encoder is a report before it is signed.
type encoder interface{ AppendBinary([]byte) ([]byte, error) }

// Sign signs a report with hotspot i's session key.
func (n *Network) Sign(i int, v encoder) ([]byte, error) {
	body, err := v.AppendBinary(nil)
	if err != nil {
		return nil, fmt.Errorf("verifytest: %w", err)
	}
	return poc.SignBySession(body, n.Sessions[i])
}

// Add signs a report of hotspot i and files it as received then.
func (n *Network) Add(i int, v encoder, received int64) error {
	data, err := n.Sign(i, v)
	if err != nil {
		return err
	}
	return n.File(data, received)
}

// File files a signed report in the shard where it belongs.
func (n *Network) File(data []byte, received int64) error {
	r, err := poc.ParseReport(data)
	if err != nil {
		return fmt.Errorf("verifytest: %w", err)
	}
	n.Reports = append(n.Reports, Report{Data: data, Received: received, Shard: journal.ShardKey(r)})
	return nil
}

func (n *Network) beacon(i, wide int, c poc.Challenge) error {
	b, err := n.Beacon(i, c)
	if err != nil {
		return err
	}
	received := c.UnixNano + int64(3*time.Second)
	if err := n.Add(i, b, received); err != nil {
		return err
	}
	left := n.Witnesses
	for step := range 25 { // the 5 x 5 hotspots around
		row, col := i/wide+step/5-2, i%wide+step%5-2
		k := row*wide + col
		if left == 0 || k == i || row < 0 || col < 0 || col >= wide || k < 0 || k >= n.Hotspots {
			continue
		}
		left--
		if err := n.Add(k, n.Witness(k, i, b), received+int64(step)*1_000_000); err != nil {
			return err
		}
	}
	return nil
}

// Entries yields the reports as the journal would hold them: shard by shard, each
// shard in the order in which they were filed.
func (n *Network) Entries() iter.Seq2[journal.Position, journal.Entry] {
	order := make([]int, len(n.Reports))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(n.Reports[a].Shard, n.Reports[b].Shard) })
	return func(yield func(journal.Position, journal.Entry) bool) {
		for offset, i := range order {
			r := n.Reports[i]
			at := journal.Position{Shard: r.Shard, Offset: store.Offset(offset)}
			if !yield(at, journal.Entry{Type: journal.TypeReport, Epoch: n.Epoch, Received: r.Received, Data: r.Data}) {
				return
			}
		}
	}
}

// Input is the input that judges the epoch.
func (n *Network) Input() verify.Input {
	return verify.Input{Epoch: n.Epoch, Seed: n.Seed, Open: n.Open, Params: native.Default(), ChallengeConfig: n.Config.Challenge,
		Registry: n.Registry, Sessions: n.Certs, Entries: n.Entries()}
}

// Judge judges the epoch.
func (n *Network) Judge(ctx context.Context) (verify.Outcome, error) {
	return verify.Run(ctx, n.Input())
}
