package network

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"sync"
	"time"

	"heliograph/firmware/concentrator"
	"heliograph/firmware/hotspot"
	"heliograph/poc"
	"heliograph/provisioning/identity"
	"heliograph/radio"
	"heliograph/testbench/board"
	"heliograph/testbench/chip"
	"heliograph/testbench/ether"
)

// regionName is the channel plan of the city.
const regionName = "EU868"

// oracleAddr is how hotspots find their oracle.
type oracleAddr struct {
	addr string
	key  identity.HotspotID
}

// fleet are the hotspots of the city, in the order of their sites.
type fleet struct {
	hotspots []*hotspot.Hotspot
	names    []string
	log      *slog.Logger

	cancel context.CancelFunc
	wg     sync.WaitGroup
	failed chan error // the first that ended by itself; buffered
}

// fileKey loads a hotspot's key file and creates it first if there is none.
func fileKey(path string) (*identity.FileKey, error) {
	k, err := identity.LoadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return identity.CreateFile(path, identity.Ed25519, rand.Reader)
	}
	return k, err
}

// newHotspot assembles one hotspot of the firmware on a simulated radio. run keeps
// its radio alive; it is nil where there is nothing to run.
func (c Config) newHotspot(e *ether.Ether, i int, oracle oracleAddr, owner poc.Wallet) (h *hotspot.Hotspot, run func(context.Context), err error) {
	s := vienna[i]
	dir := filepath.Join(c.Dir, "hotspots", fmt.Sprintf("%02d", i+1))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, fmt.Errorf("network: %w", err)
	}
	key, err := fileKey(filepath.Join(dir, "hotspot.key"))
	if err != nil {
		return nil, nil, err
	}
	antenna := e.Join(ether.Station{Name: s.name, Place: s.place, Gain: s.gain})
	log := c.Log.With("hotspot", s.name)
	radios, run, err := c.newRadio(e, antenna, i, log)
	if err != nil {
		return nil, nil, err
	}
	h, err = hotspot.New(hotspot.Config{
		Key: key, OracleAddr: oracle.addr, OracleKey: oracle.key, Region: regionName,
		Position:  poc.Position{LatE7: int32(math.Round(s.place.Lat * 1e7)), LonE7: int32(math.Round(s.place.Lon * 1e7))},
		Elevation: s.height, Gain: s.gain, Owner: owner, DataDir: dir,
		Concentrator:     radios,
		TrustSystemClock: true, SystemClockBound: 20 * time.Millisecond, TickBound: time.Millisecond,
		Firmware: "testbench", BackoffMax: 5 * time.Second,
		Log: log,
	})
	return h, run, err
}

// newRadio makes a hotspot's concentrator. Crystals are off by some parts per
// million, and counters began at different times.
func (c Config) newRadio(e *ether.Ether, antenna *ether.Radio, i int, log *slog.Logger) (concentrator.Concentrator, func(context.Context), error) {
	offset, ppb := 1_000_000+61_803_398*uint64(i), int64(i*7919%9000)-4500
	if c.PlainRadios {
		return ether.NewConcentrator(antenna, ether.Clock{Offset: radio.Tick(offset), PPB: ppb}), nil, nil
	}
	b, err := board.New(board.Config{
		Chip: chip.Config{EUI: uint64(i + 1), CrystalPPB: ppb, CounterAt: uint32(offset * 32)}, Log: log,
	})
	if err != nil {
		return nil, nil, err
	}
	return b.Radio, func(ctx context.Context) {
		var wg sync.WaitGroup
		wg.Go(func() { _ = b.Chip.JoinAs(ctx, e, antenna) }) // ends with ctx only
		_ = b.Radio.Run(ctx)                                 // its hotspot reports what ends it
		wg.Wait()
	}, nil
}

// startFleet runs all hotspots.
func (c Config) startFleet(e *ether.Ether, oracle oracleAddr, owners []poc.Wallet) (*fleet, error) {
	ctx, cancel := context.WithCancel(context.Background())
	f := &fleet{cancel: cancel, failed: make(chan error, 1), log: c.Log}
	for i := range c.Hotspots {
		h, run, err := c.newHotspot(e, i, oracle, owners[i])
		if err != nil {
			f.stop()
			return nil, fmt.Errorf("network: hotspot %s: %w", vienna[i].name, err)
		}
		f.hotspots, f.names = append(f.hotspots, h), append(f.names, vienna[i].name)
		if run != nil {
			f.wg.Go(func() { run(ctx) })
		}
		f.wg.Go(func() {
			if err := h.Run(ctx); err != nil && ctx.Err() == nil {
				select {
				case f.failed <- fmt.Errorf("network: hotspot %s ended: %w", vienna[i].name, err):
				default:
				}
			}
		})
	}
	return f, nil
}

// stop ends the hotspots; reports that were not delivered stay on their disks.
func (f *fleet) stop() {
	f.cancel()
	f.wg.Wait()
}

// totals adds the hotspots' counters up.
type totals struct {
	online              int
	beacons, declined   uint64
	witnesses, packets  uint64
	waiting             int
	downlinks           uint64 // radiated
	problems            []string
	lastBeacon          []string // of each hotspot, "" when it sent none
	verdicts            map[string]uint64
	sessions, delivered uint64
}

func (f *fleet) totals() totals {
	t := totals{verdicts: map[string]uint64{}}
	for i, h := range f.hotspots {
		s := h.Status()
		if s.Session.Connected {
			t.online++
		}
		t.sessions += s.Session.Sessions
		t.delivered += s.Session.Delivered
		for outcome, n := range s.Beacons {
			if outcome == "sent" {
				t.beacons += n
			} else {
				t.declined += n
			}
		}
		for reason, n := range s.Verdicts {
			t.verdicts[reason] += n
		}
		t.downlinks += s.Downlinks[radio.TxOK.String()]
		t.witnesses += s.Received.Witnesses
		t.packets += s.Received.Packets
		t.waiting += s.Outbox.Entries
		for _, p := range s.Problems {
			t.problems = append(t.problems, f.names[i]+": "+p)
		}
		last := ""
		if n := len(s.LastBeacons); n > 0 {
			b := s.LastBeacons[n-1]
			last = fmt.Sprintf("%s flashed at %s on %s with %s", f.names[i], radio.Hertz(b.FrequencyHz), b.DataRate, dBm(b.PowerDBm))
		}
		t.lastBeacon = append(t.lastBeacon, last)
	}
	return t
}

func dBm(x float64) string { return fmt.Sprintf("%.1f dBm", x) }
