package hotspot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"heliograph/firmware/beaconer"
	"heliograph/firmware/forward"
	"heliograph/firmware/outbox"
	"heliograph/firmware/timing"
	"heliograph/firmware/txlimit"
	"heliograph/firmware/uplink"
	pb "heliograph/oracle/api/heliographv1"
	"heliograph/poc"
	"heliograph/radio"
	"heliograph/radio/region"
)

// Hotspot is a whole hotspot. [New] opens its files, [Hotspot.Run] runs it once.
type Hotspot struct {
	cfg        Config
	clock      *clock
	plan       *region.Plan
	limits     *txlimit.Limiter
	outbox     *outbox.Outbox
	assertions *assertions
	receiver   *forward.Receiver
	client     *uplink.Client
	log        *logbook

	challenges chan poc.Challenge
	resync     chan struct{}
	downlinks  chan *pb.Downlink
	epoch      atomic.Int64 // seconds, as the oracle says; 0 when not known
	grace      atomic.Int64
}

// maxDownlinks is how many downlinks may wait for the radio at once.
const maxDownlinks = 8

// New opens the files in DataDir and assembles the parts. What it finds damaged
// is repaired and logged: a hotspot starts whenever its configuration is right.
func New(cfg Config) (*Hotspot, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	plan, err := region.ByName(cfg.Region)
	if err != nil {
		return nil, fmt.Errorf("hotspot: %w", err)
	}
	h := &Hotspot{
		cfg: cfg, plan: plan, receiver: forward.NewReceiver(cfg.Key.ID()), log: newLogbook(),
		challenges: make(chan poc.Challenge, 8), resync: make(chan struct{}, 1), downlinks: make(chan *pb.Downlink, maxDownlinks),
	}
	h.clock = &clock{
		now: cfg.Now, start: cfg.Now(), tick: cfg.Concentrator.Now, bound: cfg.TickBound, gnss: cfg.GNSS,
		est: timing.New(timing.Config{TrustSystem: cfg.TrustSystemClock, SystemBound: cfg.SystemClockBound}),
	}
	if err := h.openLimits(plan); err != nil {
		return nil, err
	}
	if h.assertions, err = loadAssertions(filepath.Join(cfg.DataDir, "assertion.json"), cfg.OracleKey); err != nil {
		return nil, err
	}
	if err := h.openOutbox(); err != nil {
		return nil, err
	}
	h.client, err = uplink.New(uplink.Config{
		Addr: cfg.OracleAddr, OracleKey: cfg.OracleKey, Key: cfg.Key, Outbox: h.outbox,
		Mono: h.clock.mono, UTC: h.clock.utc, Hooks: h.hooks(),
		Dial: cfg.Dial, Rand: cfg.Rand, Log: cfg.Log, Firmware: cfg.Firmware, SessionLife: cfg.SessionLife,
		BackoffMin: cfg.BackoffMin, BackoffMax: cfg.BackoffMax, AnswerTimeout: cfg.AnswerTimeout,
	})
	if err != nil {
		return nil, errors.Join(err, h.outbox.Close())
	}
	return h, nil
}

func (h *Hotspot) airtimePath() string { return filepath.Join(h.cfg.DataDir, "airtime.bin") }

func (h *Hotspot) openLimits(plan *region.Plan) (err error) {
	saved, err := readFile(h.airtimePath())
	if err != nil {
		h.cfg.Log.Warn("cannot read the account of airtime", "error", err.Error())
		saved = []byte{} // damaged: counts as used up
	}
	h.limits, err = txlimit.New(txlimit.Config{
		Plan: plan, Gain: h.cfg.Gain, MinPower: h.cfg.MinPower, MaxPower: h.cfg.MaxPower, Listens: h.cfg.Listens,
	}, saved, radio.MicrosOf(h.clock.mono()))
	if h.limits == nil {
		return err
	}
	if err != nil {
		h.cfg.Log.Warn("account of airtime is lost; transmitting is held back for up to an hour", "error", err.Error())
	}
	return nil
}

func (h *Hotspot) openOutbox() error {
	dir := filepath.Join(h.cfg.DataDir, "outbox")
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("hotspot: %w: data_dir must exist and be writable", err)
	}
	box, rec, err := outbox.Open(dir, h.cfg.Outbox)
	if err != nil {
		return fmt.Errorf("hotspot: %w", err)
	}
	h.outbox = box
	if len(rec.Damaged) > 0 {
		h.cfg.Log.Warn("the outbox was damaged; what could be read goes on. Replace the card soon", "kept_aside", rec.Damaged, "entries", rec.Entries)
	}
	if rec.WriteError != nil {
		h.cfg.Log.Error("cannot write to flash: reports are kept in memory only", "error", rec.WriteError.Error())
	}
	return nil
}

// hooks connects the client to the rest.
func (h *Hotspot) hooks() uplink.Hooks {
	return uplink.Hooks{
		Assertion: func(again bool) ([]byte, error) {
			return h.assertions.body(poc.Assertion{
				Hotspot: h.cfg.Key.ID(), Owner: h.cfg.Owner, Position: h.cfg.Position, Elevation: h.cfg.Elevation,
				Gain: h.cfg.Gain, Region: h.cfg.Region, Time: h.clock.utc(),
			}, again)
		},
		Asserted: func(id poc.ID) {
			h.cfg.Log.Info("assertion is on record", "report", id.String())
			if err := h.assertions.accepted(id); err != nil {
				h.cfg.Log.Warn("assertion will be sent again", "error", err.Error())
			}
		},
		Info: func(i *pb.InfoReply) {
			h.epoch.Store(int64(i.GetEpochSeconds()))
			h.grace.Store(int64(i.GetGraceSeconds()))
		},
		Time: func(s timing.Sample) {
			if first, err := h.clock.add(s); err != nil {
				h.cfg.Log.Warn("time sample refused", "error", err.Error())
			} else if first {
				select {
				case h.resync <- struct{}{}:
				default:
				}
			}
		},
		Challenge: func(c poc.Challenge) {
			select {
			case h.challenges <- c:
			default:
				h.log.beacon("refused_" + string(beaconer.TooMany))
			}
		},
		Downlink: func(d *pb.Downlink) {
			select {
			case h.downlinks <- d:
			default:
				h.log.downlink(radio.TxBusy)
				h.client.Downlinked(&pb.DownlinkResult{Id: d.GetId(), Status: uint32(radio.TxBusy)})
			}
		},
		Verdict: h.log.verdict,
	}
}

// Run works until ctx ends, whose error it then returns, or until the
// concentrator fails for good. All files are in order when it returns.
func (h *Hotspot) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	wg.Go(func() { _ = h.client.Run(ctx) }) // ends with ctx only
	wg.Go(func() {
		if err := h.receive(ctx); err != nil {
			cancel(fmt.Errorf("hotspot: concentrator: %w", err))
		}
	})
	wg.Go(func() {
		beaconer.Loop{
			Machine: beaconer.New(beaconer.Config{Hotspot: h.cfg.Key.ID(), Limits: h.limits, Disabled: h.cfg.BeaconsOff}),
			Prove:   func(c poc.Challenge) ([]byte, error) { return c.Prove(h.cfg.Key) },
			Send:    h.cfg.Concentrator.Send, Now: h.clock.beaconer, Apply: h.applyBeacons(&wg),
		}.Run(ctx, h.challenges, h.resync)
	})
	for range maxDownlinks / 2 {
		wg.Go(func() { h.serveDownlinks(ctx) })
	}
	wg.Go(func() { h.housekeeping(ctx) })
	if h.cfg.ClassB {
		wg.Go(func() { h.serveClassB(ctx) })
	}
	<-ctx.Done()
	wg.Wait()
	h.saveAirtime(true)
	err := context.Cause(ctx)
	if cerr := h.outbox.Close(); cerr != nil {
		err = errors.Join(err, cerr)
	}
	return err
}

// receive turns packets into reports.
func (h *Hotspot) receive(ctx context.Context) error {
	for {
		packets, err := h.cfg.Concentrator.Receive(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		h.put(h.receiver.Step(h.clock.forward(), packets))
	}
}

// put queues reports. It waits for the flash.
func (h *Hotspot) put(reports []forward.Report) {
	if len(reports) == 0 {
		return
	}
	items := make([]outbox.Item, len(reports))
	for i, r := range reports {
		class := outbox.Report
		if r.Kind == poc.KindPacket {
			class = outbox.Packet
		}
		items[i] = outbox.Item{Class: class, Body: r.Body, Made: r.Time.UnixNano, Deadline: h.deadline(r.Time)}
	}
	if err := h.outbox.Put(h.clock.utc().UnixNano, items...); err != nil && h.log.diskFailed() {
		h.cfg.Log.Error("cannot write to flash: reports are kept in memory only", "error", err.Error())
	}
}

// deadline is when the oracle stops taking reports about t.
func (h *Hotspot) deadline(t radio.WallTime) int64 {
	epoch, grace := h.epoch.Load()*int64(time.Second), h.grace.Load()*int64(time.Second)
	if !t.Known() {
		return 0
	}
	if epoch <= 0 {
		return t.UnixNano + int64(24*time.Hour)
	}
	return (t.UnixNano/epoch+1)*epoch + grace
}

// applyBeacons reports what the beaconer did. It is called from its loop, so the
// wait for the flash happens elsewhere.
func (h *Hotspot) applyBeacons(wg *sync.WaitGroup) func(beaconer.Effects) {
	return func(fx beaconer.Effects) {
		var out []forward.Report
		for _, t := range fx.Transmit {
			h.receiver.Own(t.Payload)
		}
		for _, b := range fx.Beacons {
			h.log.sent(b)
			body, err := b.AppendBinary(nil)
			if err == nil {
				out = append(out, forward.Report{Kind: poc.KindBeacon, Body: body, Time: b.Time})
			}
			h.cfg.Log.Info("beacon sent", "frequency_hz", int64(b.Frequency), "data_rate", b.DataRate.String(), "power_cdbm", int(b.Power))
		}
		for _, d := range fx.Declines {
			h.log.beacon("declined_" + d.Cause.String())
			body, err := d.Decline.AppendBinary(nil)
			if err == nil {
				out = append(out, forward.Report{Kind: poc.KindDecline, Body: body, Time: d.Time})
			}
			h.cfg.Log.Warn("challenge declined", "cause", d.Cause.String(), "why", d.Why.Error())
		}
		for _, r := range fx.Refused {
			h.log.beacon("refused_" + string(r))
		}
		if len(out) > 0 {
			wg.Go(func() { h.put(out) })
		}
	}
}

// serveDownlinks sends downlinks one after the other.
func (h *Hotspot) serveDownlinks(ctx context.Context) {
	s := forward.Sender{Limits: h.limits, Send: h.cfg.Concentrator.Send, Mono: h.clock.mono, Tick: h.cfg.Concentrator.Now, Board: h.receiver.Board}
	for {
		select {
		case <-ctx.Done():
			return
		case d := <-h.downlinks:
			r := s.Transmit(ctx, downlink(d))
			h.log.downlink(r.Status)
			if r.Why != nil {
				h.cfg.Log.Warn("downlink not sent", "status", r.Status.String(), "why", r.Why.Error())
			}
			h.client.Downlinked(&pb.DownlinkResult{
				Id: r.ID, Status: uint32(r.Status), Window: uint32(r.Window), PowerCdbm: int32(r.Power),
			})
		}
	}
}

// downlink converts from the wire. What cannot be read stays zero and is refused
// by the limits.
func downlink(d *pb.Downlink) forward.Downlink {
	out := forward.Downlink{ID: d.GetId(), PHY: d.GetPhy()}
	for _, w := range d.GetWindows() {
		dr, _ := radio.ParseDataRate(w.GetDataRate()) // the zero rate is refused by name
		out.Windows = append(out.Windows, forward.Window{
			Tick: radio.Tick(w.GetTick()), Frequency: radio.Hertz(w.GetFrequencyHz()), DataRate: dr,
			EIRP: radio.EIRP(w.GetEirpCdbm()), Immediate: w.GetImmediate(),
		})
	}
	return out
}

// housekeeping does what is due once a second: packets that waited for the time,
// and the account of airtime.
func (h *Hotspot) housekeeping(ctx context.Context) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		if h.limits.NeedsSave() {
			h.saveAirtime(false)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			h.put(h.receiver.Step(h.clock.forward(), nil))
		}
	}
}

func (h *Hotspot) saveAirtime(last bool) {
	b, err := h.limits.Snapshot(radio.MicrosOf(h.clock.mono()), last)
	if err == nil {
		err = writeFile(h.airtimePath(), b)
	}
	if err != nil && h.log.diskFailed() {
		h.cfg.Log.Error("cannot save the account of airtime", "error", err.Error())
	}
}
