package forwarder

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"heliograph/radio"
	"heliograph/radio/gwmp"
)

const (
	// MaxAdvance is how far ahead packet forwarders queue; they call what is
	// further ahead too early.
	MaxAdvance radio.Micros = 512_000_000
	// staleAfter is how late a tick must be for us to say so instead of the
	// forwarder, which has the exact counter but only 32 bits of it.
	staleAfter radio.Micros = 1_000_000
)

// job is a transmission on its way.
type job struct {
	peer    *peer
	to      netip.AddrPort
	version gwmp.Version
	token   gwmp.Token
	ack     chan gwmp.TxAck
}

// Send implements [concentrator.Concentrator]. The outcome is what the forwarder
// answers when it has queued the packet; no answer within the configured time is
// radio.TxFailed. Version 1 does not answer: there, radio.TxOK says that the
// request went out in time. Power is rounded down to whole dBm.
func (f *Forwarder) Send(ctx context.Context, p radio.TxPacket) (radio.TxResult, error) {
	if err := ctx.Err(); err != nil {
		return radio.TxResult{}, err
	}
	if p.Implicit {
		return radio.TxResult{Status: radio.TxFailed}, errors.New("forwarder: send: a packet without PHY header: forwarders make class B beacons by themselves")
	}
	txpk := gwmp.TxPKOf(p)
	txpk.Board &= 1<<boardBits - 1
	// Whether it can be written does not depend on the forwarder.
	if _, err := (gwmp.PullResp{Version: gwmp.V2, TxPK: txpk}).AppendBinary(nil); err != nil {
		return radio.TxResult{Status: radio.TxFailed}, fmt.Errorf("forwarder: send: %w", err)
	}
	j, status := f.prepare(p)
	if status != radio.TxOK {
		return radio.TxResult{Status: status}, nil
	}
	defer f.forget(j)
	b, err := gwmp.PullResp{Version: j.version, Token: j.token, TxPK: txpk}.AppendBinary(nil)
	if err == nil {
		_, err = f.conn.WriteToUDPAddrPort(b, j.to)
	}
	if err != nil {
		f.cfg.Log.Warn("cannot reach forwarder", "addr", j.to.String(), "error", err.Error())
		return radio.TxResult{Status: radio.TxNoRadio}, nil
	}
	result := radio.TxResult{Status: radio.TxOK, Power: txpk.Power}
	if p.When == radio.AtTick {
		result.Tick = p.Tick
	}
	if j.version == gwmp.V1 {
		f.count(func(s *Stats) { s.Sent++; s.Unconfirmed++ })
		return result, nil
	}
	f.count(func(s *Stats) { s.Sent++ })
	return f.await(ctx, j, result)
}

// await turns the forwarder's answer into the final result; result is that of
// success at the power asked for.
func (f *Forwarder) await(ctx context.Context, j job, result radio.TxResult) (radio.TxResult, error) {
	timeout := time.NewTimer(f.cfg.AckTimeout)
	defer timeout.Stop()
	select {
	case ack := <-j.ack:
		if ack.Status != radio.TxOK {
			f.count(func(s *Stats) { s.Rejected++ })
			return radio.TxResult{Status: ack.Status}, nil
		}
		f.count(func(s *Stats) { s.Accepted++ })
		if ack.HasPower {
			result.Power = ack.Power
		}
		return result, nil
	case <-timeout.C:
		f.count(func(s *Stats) { s.AckTimeouts++ })
		f.cfg.Log.Warn("forwarder did not answer a downlink", "addr", j.to.String(), "waited_ms", f.cfg.AckTimeout.Milliseconds())
		return radio.TxResult{Status: radio.TxFailed}, nil
	case <-ctx.Done():
		return radio.TxResult{}, ctx.Err()
	case <-f.closed:
		return radio.TxResult{Status: radio.TxNoRadio}, nil
	}
}

// prepare finds the forwarder and a token. Any status but TxOK is the outcome.
func (f *Forwarder) prepare(p radio.TxPacket) (job, radio.TxStatus) {
	now := f.cfg.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	peer := f.inSlot(p.Board >> boardBits)
	if peer == nil || !f.canTransmit(peer, now) || p.When == radio.AtTick && !peer.counter.known {
		f.stats.NoForwarder++
		return job{}, radio.TxNoRadio
	}
	if p.When == radio.AtTick {
		late := staleAfter
		if peer.version == gwmp.V1 {
			late = 0 // nobody else would tell
		}
		switch lead := p.Tick.Sub(peer.counter.now(now)); {
		case lead < -late:
			return job{}, radio.TxTooLate
		case lead > MaxAdvance:
			return job{}, radio.TxTooEarly
		}
	}
	j := job{peer: peer, to: peer.pullFrom, version: peer.version}
	if j.version == gwmp.V1 {
		return j, radio.TxOK
	}
	var ok bool
	if j.token, j.ack, ok = peer.expect(); !ok {
		return job{}, radio.TxBusy
	}
	return j, radio.TxOK
}

func (f *Forwarder) canTransmit(p *peer, now time.Time) bool {
	return p.pullFrom.IsValid() && now.Sub(p.pulledAt) < f.cfg.PullTimeout
}

// forget drops the token, unless its answer came and the token went to another.
func (f *Forwarder) forget(j job) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if j.ack != nil && j.peer.pending[j.token] == j.ack {
		delete(j.peer.pending, j.token)
	}
}
