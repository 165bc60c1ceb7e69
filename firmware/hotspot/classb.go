package hotspot

import (
	"context"
	"errors"
	"fmt"
	"time"

	"heliograph/firmware/timing"
	"heliograph/firmware/txlimit"
	"heliograph/radio"
	"heliograph/radio/lorawan"
	"heliograph/radio/region"
)

// GNSS is the time of a receiver whose pulses the concentrator counts. All of it is
// unknown while the receiver is not locked. Methods are safe for concurrent use.
type GNSS interface {
	// UTC is the present time.
	UTC() radio.WallTime

	// GPS is the present time since GPS's epoch and the tick that it belongs to.
	GPS() (sinceEpoch time.Duration, tick radio.Tick, ok bool)

	// TickAtGPS is the concentrator's tick at a GPS time some minutes ahead at most,
	// and by how much that may be wrong.
	TickAtGPS(sinceEpoch time.Duration) (t radio.Tick, bound time.Duration, ok bool)
}

const (
	// classBNotice is how early a beacon is queued: before its guard time, and late
	// enough for the crystal to be predicted to a microsecond.
	classBNotice = 4 * time.Second

	// classBRetry is how often GPS time is looked for while there is none.
	classBRetry = 5 * time.Second

	classBPreamble = 10 // symbols
)

// serveClassB sends the class B beacon of the region every 128 s of GPS time, and
// none while there is no GPS time: a beacon at a wrong time is worse than silence.
func (h *Hotspot) serveClassB(ctx context.Context) {
	lacking := false
	var last time.Duration
	for {
		wait := classBRetry
		now, _, ok := h.cfg.GNSS.GPS()
		next := lorawan.NextBeacon(max(now+classBNotice, last))
		if ok {
			wait, lacking = next-now-classBNotice, false
		} else if !lacking {
			lacking = true
			h.cfg.Log.Info("class B beacons wait for GPS time; a receiver that speaks plain NMEA never tells it")
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		if !ok {
			continue
		}
		last = next
		status, err := h.sendClassB(ctx, next)
		if ctx.Err() != nil {
			return
		}
		h.log.classBeacon(status)
		if err != nil {
			h.cfg.Log.Warn("class B beacon not sent", "status", status.String(), "why", err.Error())
		}
	}
}

// sendClassB sends the beacon of a GPS time that is a multiple of 128 s.
func (h *Hotspot) sendClassB(ctx context.Context, at time.Duration) (radio.TxStatus, error) {
	if h.clock.contradicts(timing.GNSS) {
		return radio.TxGPSUnlocked, errors.New("hotspot: GNSS time contradicts the oracle")
	}
	_, now, ok1 := h.cfg.GNSS.GPS()
	tick, bound, ok2 := h.cfg.GNSS.TickAtGPS(at + lorawan.BeaconDelay)
	precision, ok3 := lorawan.BeaconPrecision(bound)
	if !ok1 || !ok2 || !ok3 {
		return radio.TxGPSUnlocked, errors.New("hotspot: GPS time was lost")
	}
	p, err := h.classBPacket(at, precision)
	if err != nil {
		return radio.TxFailed, err
	}
	p.Tick = tick
	grant, err := h.limits.Reserve(txlimit.Request{Packet: p, EIRP: txlimit.MaxEIRP, Lower: true},
		radio.MicrosOf(h.clock.mono())+tick.Sub(now))
	switch {
	case errors.Is(err, txlimit.ErrDutyCycle):
		return radio.TxDutyCycle, err
	case err != nil:
		return radio.TxBadPower, err
	}
	p.Power = grant.Power
	res, err := h.cfg.Concentrator.Send(ctx, p)
	switch {
	case err == nil && res.Status == radio.TxOK:
		return radio.TxOK, nil
	case err == nil:
		err = fmt.Errorf("hotspot: the radio says %s", res.Status)
	default:
		res.Status = radio.TxFailed
	}
	h.limits.Release(grant)
	return res.Status, err
}

// classBPacket builds the beacon without its tick and power.
func (h *Hotspot) classBPacket(at time.Duration, precision uint8) (radio.TxPacket, error) {
	b := h.plan.ClassB
	rate, ok := h.plan.Rate(region.Down, b.DR)
	if !ok || len(b.Channels) == 0 {
		return radio.TxPacket{}, fmt.Errorf("hotspot: region %s has no class B beacon", h.plan.Name)
	}
	content := lorawan.Beacon{GPSSeconds: uint32(at / time.Second), Precision: precision}
	if err := content.SetPosition(lorawan.BeaconAntenna0, h.cfg.Position.LatE7, h.cfg.Position.LonE7); err != nil {
		return radio.TxPacket{}, err
	}
	payload, err := content.AppendBinary(nil, rate.DataRate.SF)
	if err != nil {
		return radio.TxPacket{}, err
	}
	return radio.TxPacket{
		Payload: payload, Frequency: b.Channels[lorawan.BeaconChannel(at, len(b.Channels))], DataRate: rate.DataRate,
		Coding: 1, NoCRC: true, Implicit: true, Preamble: classBPreamble, When: radio.AtTick,
	}, nil
}

func (l *logbook) classBeacon(s radio.TxStatus) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.classB[s.String()]++
}
