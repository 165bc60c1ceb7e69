package radiohw

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"heliograph/firmware/txqueue"
	"heliograph/hardware/sx1302"
	"heliograph/radio"
)

// Margins of the queue where [Config] leaves them open. The loop here wakes when a
// packet is pushed, so it accepts one at the shortest notice that the chip can keep.
const (
	minLead = txqueue.DefaultStart + txqueue.DefaultMargin + txqueue.DefaultBus
	asSoon  = radio.Micros(30_000) // for packets without a time

	// The driver notices by itself when a packet does not start or end, and takes
	// up to three seconds to stop it; until then it must not be disturbed.
	grace = radio.Micros(5_000_000)
)

// Config of a [Radio].
type Config struct {
	Board sx1302.Options // the chip's wires, configuration and microcontroller images

	// Queue are the margins of transmitting; zero fields take the defaults of
	// txqueue, except for the leads, which are shorter here.
	Queue txqueue.Config

	// GNSS tells the time: packets can then be sent at a GPS time, which otherwise
	// end with radio.TxGPSUnlocked, and received ones carry theirs.
	GNSS GNSS

	// PPS says that a GNSS receiver drives the chip's pulse input, so that its
	// loss is a fault to report. GNSS and fine timestamps imply it.
	PPS bool

	// Survey is what is measured with the SX1261 all the time; the zero value is nothing.
	Survey sx1302.Survey

	Log *slog.Logger // nil: silent
}

// Radio is a concentrator chip. It implements concentrator.Concentrator while
// [Radio.Run] runs. Its methods are safe for concurrent use.
type Radio struct {
	cfg    Config
	chip   *sx1302.Concentrator
	keeper *sx1302.Keeper
	clock  sx1302.Clock
	log    *slog.Logger
	lanes  [sx1302.RFChains]*lane // nil for a chain that cannot transmit

	time   *timekeeper // nil without a GNSS receiver
	sensor *sensorBus
	heard  chan []radio.RxPacket
	failed chan struct{} // closed when the chip cannot be started again

	mu      sync.Mutex
	status  Status
	last    radio.Tick // end of the latest packet
	running bool
	fatal   error // before failed is closed
}

// heardBatches bounds how much is kept for an owner that does not come to receive,
// as when its flash is slow; the oldest are dropped.
const heardBatches = 256

// New checks the configuration. It touches no wire.
func New(cfg Config) (*Radio, error) {
	sensor := &sensorBus{bus: cfg.Board.I2C}
	if sensor.bus != nil {
		cfg.Board.I2C = sensor
	}
	chip, err := sx1302.New(cfg.Board)
	if err != nil {
		return nil, err
	}
	r := &Radio{
		cfg: cfg, sensor: sensor, chip: chip, clock: cfg.Board.Clock, log: cfg.Log,
		heard: make(chan []radio.RxPacket, heardBatches), failed: make(chan struct{}),
	}
	if r.clock == nil {
		r.clock = sx1302.SystemClock{}
	}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	r.keeper = sx1302.NewKeeper(chip, sx1302.Hooks{Up: r.up, Down: r.down, Fault: r.count, Heard: r.deliver})
	r.time = newTimekeeper(r, cfg.GNSS)
	r.status.Faults = map[string]uint64{}
	q := cfg.Queue
	if q.MinLead == 0 {
		q.MinLead = minLead
	}
	if q.Grace == 0 {
		q.Grace = grace
	}
	if q.AsSoon == 0 {
		q.AsSoon = max(asSoon, q.MinLead)
	}
	for i := range r.lanes {
		if c := cfg.Board.Config.Radios[i]; !c.Enable || !c.TxEnable {
			continue
		}
		if r.lanes[i], err = newLane(r, q); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// Run keeps the chip in service until ctx ends, whose error it returns, or until it
// meets an [*sx1302.Error] that no restart can cure. Then the chip is at rest:
// nothing is transmitted afterwards. A Radio runs once.
func (r *Radio) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r.setRunning(true)
	var wg sync.WaitGroup
	for _, l := range r.lanes {
		if l != nil {
			wg.Go(func() { l.run(ctx) })
		}
	}
	wg.Go(func() { r.watch(ctx) })
	wg.Go(func() { r.time.serve(ctx) })
	wg.Go(func() { r.survey(ctx) })
	err := r.serve(ctx)
	r.setRunning(false)
	cancel()
	wg.Wait()
	quiet, done := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer done()
	if err := r.chip.Close(quiet); err != nil {
		r.log.Warn("concentrator not left at rest", "error", err.Error())
	}
	return err
}

func (r *Radio) setRunning(on bool) {
	r.mu.Lock()
	r.running = on
	r.mu.Unlock()
}

// ready says whether packets can be sent.
func (r *Radio) ready() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.running && r.status.Up
}

// Now is the present tick of the chip's counter, never before the end of a packet
// that was received; false while the chip is down.
func (r *Radio) Now() (radio.Tick, bool) {
	r.mu.Lock()
	up, last := r.status.Up, r.last
	r.mu.Unlock()
	if !up {
		return 0, false
	}
	now, ok := r.chip.Now()
	return max(now, last), ok
}

// Receive implements concentrator.Concentrator. It fails with ctx's error, and with
// the error that ended Run.
func (r *Radio) Receive(ctx context.Context) ([]radio.RxPacket, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case packets := <-r.heard:
		return packets, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-r.failed:
		return nil, r.fatal
	}
}

// report takes note of a fault that was met outside of reception.
func (r *Radio) report(err error) {
	if _, ok := sx1302.FaultOf(err); ok && r.keeper.Report(err) {
		r.count(err)
	}
}

// serve keeps the chip in service.
func (r *Radio) serve(ctx context.Context) error {
	err := r.keeper.Run(ctx)
	if ctx.Err() == nil {
		r.fatal = err
		close(r.failed)
	}
	return err
}
