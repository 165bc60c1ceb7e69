package ingest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"heliograph/oracle/journal"
	"heliograph/oracle/store"
	"heliograph/poc"
	"heliograph/provisioning/identity"
)

// Source is where a report comes from: inside the session of a hotspot, or from
// a network address.
type Source struct {
	Peer    string             // network address without port
	Session identity.HotspotID // zero outside a session
	Held    time.Duration      // how long the hotspot held the report
}

// overloadRetry is how long a hotspot is asked to wait when the oracle is busy.
const overloadRetry = 2 * time.Second

// Admit takes one report through all checks into the journal. The context
// should end with the oracle, not with the hotspot's request: see
// [journal.Journal.Append].
func (k *Core) Admit(ctx context.Context, src Source, raw []byte) Outcome {
	started := k.cfg.Now()
	o := k.admit(ctx, src, raw)
	k.cfg.Metrics.count(o, k.cfg.Now().Sub(started))
	return o
}

func (k *Core) admit(ctx context.Context, src Source, raw []byte) Outcome {
	if len(raw) > poc.MaxReport {
		return refuse(poc.IDOf(raw), poc.TooLarge, fmt.Sprintf("the report is %d bytes, at most %d are taken", len(raw), poc.MaxReport))
	}
	now := k.cfg.Now()
	if wait, ok := k.paced(src, now); !ok {
		return slower(poc.IDOf(raw), src, wait)
	}
	r, err := k.parser.Report(raw)
	if err != nil {
		return refuse(poc.IDOf(raw), poc.Malformed, err.Error())
	}
	if o, ok := k.cheap(src, r); !ok {
		return o
	}
	if m, known := k.known(r); known {
		return k.receipt(r, m, true)
	}
	e := k.cfg.Calendar.Epoch(now.UnixNano())
	if r.Kind != poc.KindAssertion {
		var reason poc.Reason
		var detail string
		if e, reason, detail = k.cfg.Calendar.Stamp(r.Time(), now.UnixNano()); reason != poc.OK {
			return refuse(r.ID, reason, detail)
		}
	}
	if k.window.full() {
		return Outcome{ID: r.ID, Reason: poc.Overloaded, RetryAfter: overloadRetry,
			Detail: "the oracle cannot remember more reports of this epoch: keep the report and try again"}
	}
	select {
	case k.slots <- struct{}{}:
		defer func() { <-k.slots }()
	default:
		return Outcome{ID: r.ID, Reason: poc.Overloaded, RetryAfter: overloadRetry,
			Detail: "too many reports are on their way to the disk: keep the report and try again"}
	}
	if o, ok := k.authentic(src, r, now); !ok {
		return o
	}
	if r.Kind == poc.KindAssertion {
		return k.admitAssertion(ctx, r, raw, e, now)
	}
	return k.journalOnce(ctx, src, r, raw, stamp{e, now.UnixNano()})
}

// paced charges whoever sent a report, before anything is computed about it:
// the session's hotspot, or else the network address.
func (k *Core) paced(src Source, now time.Time) (wait time.Duration, ok bool) {
	if src.Session.IsZero() {
		return k.peers.take(src.Peer, now.UnixNano())
	}
	return k.hotspots.take(src.Session, now.UnixNano())
}

// slower is the answer to who sends too much.
func slower(id poc.ID, src Source, wait time.Duration) Outcome {
	o := Outcome{ID: id, Reason: poc.RateLimited, RetryAfter: wait,
		Detail: fmt.Sprintf("too many reports of this hotspot: wait %v", wait.Round(time.Millisecond))}
	if src.Session.IsZero() {
		o.Detail = fmt.Sprintf("too many reports from this network address: wait %v, or open a session", wait.Round(time.Millisecond))
	}
	return o
}

// cheap are the checks of a parsed report that cost no signature.
func (k *Core) cheap(src Source, r poc.Report) (Outcome, bool) {
	if !src.Session.IsZero() && src.Session != r.Hotspot {
		return refuse(r.ID, poc.BadSession, "the report is of "+r.Hotspot.String()+", the session of "+src.Session.String()), false
	}
	if _, ok := k.roll.get(r.Hotspot); !ok && r.Kind != poc.KindAssertion {
		return refuse(r.ID, poc.UnknownHotspot, "hotspot "+r.Hotspot.String()+" has no assertion on record: submit one first"), false
	}
	if r.Kind == poc.KindAssertion {
		return k.mayRegister(r)
	}
	return Outcome{}, true
}

// known finds the mark of a report that is in the journal.
func (k *Core) known(r poc.Report) (mark, bool) {
	if r.Kind == poc.KindAssertion {
		reg, ok := k.roll.get(r.Hotspot)
		return reg.mark, ok && reg.ID == r.ID
	}
	return k.window.find(r.ID)
}

// authentic checks who signed. Outside a session the hotspot's own budget is
// charged only now: nobody can spend it without its key.
func (k *Core) authentic(src Source, r poc.Report, now time.Time) (Outcome, bool) {
	if r.Signature.BySession {
		if why := k.certs.check(r.Signature.Session, r.Hotspot, now); why != "" {
			return refuse(r.ID, poc.BadSession, why), false
		}
	}
	if err := r.Verify(); err != nil {
		return refuse(r.ID, poc.BadSignature, "the signature does not fit the report and the key: the report was changed, or signed with another key"), false
	}
	if src.Session.IsZero() {
		of := Source{Session: r.Hotspot}
		if wait, ok := k.paced(of, now); !ok {
			return slower(r.ID, of, wait), false
		}
	}
	return Outcome{}, true
}

// stamp is what the oracle adds to a report: the epoch that judges it, and the
// instant at which its session key and its time were checked, in unix nanoseconds.
type stamp struct {
	epoch    poc.Epoch
	received int64
}

// journalOnce appends the report unless a copy is there or on its way.
func (k *Core) journalOnce(ctx context.Context, src Source, r poc.Report, raw []byte, st stamp) Outcome {
	for {
		m, known, wait := k.window.claim(r.ID)
		if known {
			return k.receipt(r, m, true)
		}
		if wait == nil {
			break
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return overloaded(r.ID, ctx.Err())
		}
	}
	m, o, ok := k.append(ctx, r, raw, st)
	if !ok {
		k.window.release(r.ID, nil)
		return o
	}
	k.window.release(r.ID, &m)
	if k.cfg.OnAccept != nil {
		k.cfg.OnAccept(Accepted{Report: r, Epoch: m.epoch, Received: m.received, At: m.at, Held: src.Held})
	}
	return k.receipt(r, m, false)
}

// append journals. The clock is not read again: a report whose session key was
// good at the check must not be found expired by the judge.
func (k *Core) append(ctx context.Context, r poc.Report, raw []byte, st stamp) (mark, Outcome, bool) {
	entry := journal.Entry{Type: journal.TypeReport, Epoch: st.epoch, Received: st.received, Data: raw}
	at, err := k.cfg.Journal.Append(ctx, journal.ShardKey(r), entry)
	switch {
	case errors.Is(err, journal.ErrEpochClosed):
		return mark{}, refuse(r.ID, poc.TooOld, fmt.Sprintf("epoch %d has just been closed: nothing can be done about this report", st.epoch)), false
	case err != nil:
		k.cfg.Logger.Error("append to the journal failed", "epoch", st.epoch, "error", err)
		return mark{}, overloaded(r.ID, err), false
	}
	return mark{epoch: st.epoch, received: st.received, at: at}, Outcome{}, true
}

func overloaded(id poc.ID, err error) Outcome {
	o := Outcome{ID: id, Reason: poc.Overloaded, RetryAfter: overloadRetry,
		Detail: "the oracle could not store the report: keep it and try again"}
	if errors.Is(err, store.ErrFull) {
		o.Detail, o.RetryAfter = "the oracle's disk is full: keep the report and try again", 10*overloadRetry
	}
	return o
}

// receipt signs for a journaled report.
func (k *Core) receipt(r poc.Report, m mark, duplicate bool) Outcome {
	b, err := poc.SignReceipt(poc.Receipt{Report: r.ID, Hotspot: r.Hotspot, Epoch: m.epoch, Received: m.received,
		Shard: uint16(m.at.Shard), Offset: uint64(m.at.Offset)}, k.cfg.Key)
	if err != nil {
		k.cfg.Logger.Error("sign receipt failed", "error", err)
		return overloaded(r.ID, err)
	}
	return Outcome{ID: r.ID, Reason: poc.OK, Receipt: b, Duplicate: duplicate}
}
