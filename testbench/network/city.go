package network

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"heliograph/poc"
	"heliograph/radio/region"
	"heliograph/testbench/device"
	"heliograph/testbench/ether"
	"heliograph/testbench/lns"
)

// city is a running network. Its parts start in the order of the fields and stop
// in the opposite one.
type city struct {
	cfg    Config
	memory memory
	lock   *os.File

	chain    *chain
	server   *lns.Server
	oracle   *oracle
	air      *ether.Ether
	fleet    *fleet
	devices  []*device.Device
	started  time.Time
	stopAir  func()
	stopDevs func()

	mu    sync.Mutex
	notes []string
}

// keepNotes is how many events are remembered.
const keepNotes = 200

// note remembers an event for the screen.
func (c *city) note(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.notes = append(c.notes, time.Now().Format("15:04:05 ")+fmt.Sprintf(format, args...))
	if over := len(c.notes) - keepNotes; over > 0 {
		c.notes = append(c.notes[:0:0], c.notes[over:]...)
	}
}

// start brings everything up; say is told of each step.
func start(ctx context.Context, cfg Config, say func(format string, args ...any)) (*city, error) {
	cfg, err := cfg.fill()
	if err != nil {
		return nil, err
	}
	c := &city{cfg: cfg, started: time.Now()}
	if c.memory, c.lock, err = cfg.open(); err != nil {
		return nil, err
	}
	for _, step := range []struct {
		what string
		run  func(context.Context) error
	}{
		{"Solana VM, mint, treasury and wallets", c.startChain},
		{"network server", c.startServer},
		{"oracle", c.startOracle},
		{fmt.Sprintf("%d hotspots", cfg.Hotspots), c.startHotspots},
		{fmt.Sprintf("%d devices", cfg.Devices), c.startDevices},
	} {
		begun := time.Now()
		if err := step.run(ctx); err != nil {
			return nil, errors.Join(err, c.stop())
		}
		say("started %s in %.1fs", step.what, time.Since(begun).Seconds())
	}
	return c, nil
}

func (c *city) startChain(ctx context.Context) (err error) {
	c.chain, err = startChain(ctx, c.cfg.Dir, c.cfg.Hotspots, c.cfg.Log)
	return err
}

func (c *city) startServer(context.Context) error {
	plan, err := region.ByName(regionName)
	if err != nil {
		return err
	}
	var devices []lns.Device
	for i := range c.cfg.Devices {
		devices = append(devices, lns.Device{DevEUI: devEUI(i), JoinEUI: joinEUI, AppKey: c.cfg.appKey(i)})
	}
	c.server, err = lns.Listen("127.0.0.1:0", lns.Config{Plan: plan, NetID: netID, Devices: devices}, c.cfg.Log)
	return err
}

func (c *city) startOracle(ctx context.Context) (err error) {
	c.oracle, err = c.cfg.startOracle(ctx, c.chain, c.server.Addr().String())
	return err
}

func (c *city) startHotspots(context.Context) (err error) {
	c.air = ether.New(ether.Config{Seed: c.cfg.Seed, Exponent: exponent})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = c.air.Run(ctx) }) // ends with ctx only
	c.stopAir = func() { cancel(); wg.Wait() }
	owners := make([]poc.Wallet, len(c.chain.wallets))
	for i, w := range c.chain.wallets {
		owners[i] = poc.Wallet(w)
	}
	c.fleet, err = c.cfg.startFleet(c.air, c.oracle.hotspots, owners)
	return err
}

func (c *city) startDevices(context.Context) error {
	plan, err := region.ByName(regionName)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	c.stopDevs = func() { cancel(); wg.Wait() }
	for i := range c.cfg.Devices {
		s := streets[i]
		d, err := device.On(c.air, ether.Station{Name: s.name, Place: s.place}, device.Config{
			DevEUI: devEUI(i), JoinEUI: joinEUI, AppKey: c.cfg.appKey(i), Plan: plan, Gain: s.gain,
			Seed: c.cfg.Seed + uint64(i), DR: region.DR(5 - i%3), ConfirmEvery: 3, Every: c.cfg.Uplinks,
			// A join server refuses a nonce that it has seen: each run begins higher.
			DevNonce: c.memory.Runs * 256,
			First:    3*time.Second + time.Duration(i)*1300*time.Millisecond,
		}, c.deviceNote(s.name))
		if err != nil {
			return fmt.Errorf("network: device %s: %w", s.name, err)
		}
		c.devices = append(c.devices, d)
		wg.Go(func() { _ = d.Run(ctx) }) // ends with ctx, or with the air
	}
	return nil
}

func (c *city) deviceNote(name string) func(device.Event) {
	return func(e device.Event) {
		switch e.Kind {
		case device.Joined:
			c.note("%s joined as %s", name, e.DevAddr)
		case device.Sent:
			c.note("%s sent uplink %d", name, e.FCnt)
		case device.Resent:
			c.note("%s repeats uplink %d", name, e.FCnt)
		case device.Acked:
			c.note("%s got uplink %d acknowledged", name, e.FCnt)
		case device.GaveUp:
			c.note("%s gave uplink %d up", name, e.FCnt)
		}
	}
}

// stop ends what was started, newest first; what lies on disk can be continued.
func (c *city) stop() error {
	var errs []error
	if c.fleet != nil {
		c.fleet.stop()
	}
	if c.stopDevs != nil {
		c.stopDevs()
	}
	if c.stopAir != nil {
		c.stopAir()
	}
	if c.oracle != nil {
		errs = append(errs, c.oracle.child.stop())
	}
	if c.server != nil {
		errs = append(errs, c.server.Close())
	}
	if c.chain != nil {
		errs = append(errs, c.chain.vm.Stop())
	}
	return errors.Join(append(errs, c.lock.Close())...)
}

// failed says what ended by itself, or nil.
func (c *city) failed() error {
	select {
	case err := <-c.fleet.failed:
		return err
	case <-c.oracle.child.done:
		return c.oracle.child.ended()
	case <-c.chain.vm.Done():
		return errors.New("network: the Solana VM ended by itself; see the log")
	default:
		return nil
	}
}
