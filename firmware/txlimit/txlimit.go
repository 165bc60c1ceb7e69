// Package txlimit decides what this device may radiate, whatever a server asks:
// the region's frequencies, power, dwell time and duty cycle, with the antenna's
// gain taken into account. Beacons and downlinks pass through one [Limiter], so
// that they share one account of time on air.
//
// The account survives restarts, also by kill -9: what is saved has a tenth of
// each band's budget booked in advance ([Limiter.Snapshot]), and is saved again
// when that is used up. A restart therefore never gives airtime away, and the
// flash is written ten times an hour at most.
package txlimit

import (
	"errors"
	"fmt"
	"sync"

	"heliograph/radio"
	"heliograph/radio/airtime"
	"heliograph/radio/region"
)

// ErrDutyCycle: the sub-band's budget of time on air is spent.
var ErrDutyCycle = errors.New("txlimit: duty cycle budget is spent")

// ErrPower: the radio cannot produce the power, or nothing that low.
var ErrPower = errors.New("txlimit: power is outside what the radio can produce")

// Config of a [Limiter].
type Config struct {
	Plan *region.Plan
	Gain radio.CentiDB // antenna gain less cable loss, dBi

	// What the radio can produce at its connector.
	MinPower, MaxPower radio.CentiDBm

	// Listens says that the radio senses the carrier before it sends.
	Listens bool
}

// Limiter is safe for concurrent use.
type Limiter struct {
	cfg Config

	mu     sync.Mutex
	ledger *airtime.Ledger
	ahead  map[string]radio.Micros // by band: still covered by what was saved
}

// New makes a limiter. saved is what [Limiter.Snapshot] gave before the restart;
// nil means a first start. now is the monotonic clock. When saved is damaged,
// the last hour counts as fully used and err says so: the limiter is usable.
// The limiter is nil only when the plan is.
func New(cfg Config, saved []byte, now radio.Micros) (l *Limiter, err error) {
	if cfg.Plan == nil {
		return nil, errors.New("txlimit: new: no region plan: set the region")
	}
	if cfg.MaxPower < cfg.MinPower {
		return nil, fmt.Errorf("txlimit: new: highest power %v is below lowest %v", cfg.MaxPower, cfg.MinPower)
	}
	var bands []airtime.Band
	for _, b := range cfg.Plan.DutyLimited() {
		bands = append(bands, airtime.DutyCycle(cfg.Plan.Name+" "+b.Name, b.DutyPerMille))
	}
	fresh, err := airtime.NewLedger(bands...)
	if err != nil {
		return nil, fmt.Errorf("txlimit: new: %w", err)
	}
	l = &Limiter{cfg: cfg, ledger: fresh, ahead: map[string]radio.Micros{}}
	if saved == nil {
		return l, nil
	}
	old, err := airtime.ParseLedger(saved)
	if err != nil {
		for _, b := range bands {
			l.ledger.Fill(b.Name, now)
		}
		return l, fmt.Errorf("txlimit: new: saved account is damaged, the last hour counts as used up: %w", err)
	}
	old.Resume(now)
	next, added, err := old.Rebudget(bands...)
	if err != nil {
		return nil, fmt.Errorf("txlimit: new: %w", err)
	}
	for _, b := range added {
		next.Fill(b, now)
	}
	l.ledger = next
	return l, nil
}

// Request is a packet that somebody wants sent.
type Request struct {
	Packet radio.TxPacket // Power is not looked at
	EIRP   radio.EIRP     // wanted

	// Lower allows less power than wanted, down to what region and radio allow.
	// Without it, a power above the limit is refused.
	Lower bool
}

// Grant is permission to send one packet.
type Grant struct {
	Power radio.CentiDBm // conducted, to be put into the packet
	OnAir radio.Micros

	band string
	at   radio.Micros
}

// Reserve books a packet that starts at the monotonic instant at. The error is a
// *[region.Refusal], [ErrDutyCycle] or [ErrPower], possibly wrapped, and has the
// numbers.
func (l *Limiter) Reserve(req Request, at radio.Micros) (Grant, error) {
	p := req.Packet
	onAir, err := airtime.OnAir(airtime.Params{
		DataRate: p.DataRate, Coding: p.Coding, PayloadBytes: len(p.Payload),
		PreambleSymbols: int(p.Preamble), ImplicitHeader: p.Implicit, NoCRC: p.NoCRC,
	})
	if err != nil {
		return Grant{}, fmt.Errorf("txlimit: reserve: %w", err)
	}
	eirp, err := l.power(req)
	if err != nil {
		return Grant{}, err
	}
	if err := l.cfg.Plan.CheckTx(region.Tx{
		Frequency: p.Frequency, DataRate: p.DataRate, EIRP: eirp, Gain: l.cfg.Gain,
		OnAir: onAir, Listened: l.cfg.Listens,
	}); err != nil {
		return Grant{}, fmt.Errorf("txlimit: reserve: %w", err)
	}
	g := Grant{Power: eirp.Conducted(l.cfg.Gain), OnAir: onAir, at: at}
	sub, _ := l.cfg.Plan.SubBand(p.Frequency)
	if sub.DutyPerMille >= 1000 {
		return g, nil
	}
	g.band = l.cfg.Plan.Name + " " + sub.Name
	l.mu.Lock()
	defer l.mu.Unlock()
	ok, retry := l.ledger.Reserve(g.band, at, onAir)
	if !ok {
		if retry == airtime.Never {
			return Grant{}, fmt.Errorf("%w: band %s cannot take %v at all", ErrDutyCycle, g.band, onAir.Duration())
		}
		return Grant{}, fmt.Errorf("%w: band %s can take %v again in %v", ErrDutyCycle, g.band, onAir.Duration(), (retry - at).Duration())
	}
	l.ahead[g.band] -= onAir
	return g, nil
}

// power settles how much is radiated.
func (l *Limiter) power(req Request) (radio.EIRP, error) {
	eirp := req.EIRP
	if req.Lower {
		limit, err := l.cfg.Plan.MaxEIRP(req.Packet.Frequency, l.cfg.Gain)
		if err != nil {
			return 0, fmt.Errorf("txlimit: reserve: %w", err)
		}
		eirp = min(eirp, limit, radio.EIRP(l.cfg.MaxPower.Add(l.cfg.Gain)))
	}
	if c := eirp.Conducted(l.cfg.Gain); c > l.cfg.MaxPower || c < l.cfg.MinPower {
		return 0, fmt.Errorf("%w: %v through %v of antenna gain is %v at the connector, the radio has %v to %v",
			ErrPower, eirp, l.cfg.Gain, c, l.cfg.MinPower, l.cfg.MaxPower)
	}
	return eirp, nil
}

// MaxEIRP is a power above every limit: with Lower it asks for the most that
// region and radio allow.
const MaxEIRP = radio.EIRP(10_000)

// Release takes a grant back whose packet was not sent.
func (l *Limiter) Release(g Grant) {
	if g.band == "" {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ledger.Release(g.band, g.at, g.OnAir)
	l.ahead[g.band] += g.OnAir
}

// NeedsSave says that some band has used half of what the last [Limiter.Snapshot]
// booked in advance.
func (l *Limiter) NeedsSave() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range l.ledger.Bands() {
		if l.ahead[b.Name] < b.Budget/20 {
			return true
		}
	}
	return false
}

// Snapshot is the account to be saved. While running, a tenth of each band's
// budget is booked in advance in it (not in the running account), which is what
// may be sent before the next snapshot is due. At a clean end, last is true and
// nothing is added.
func (l *Limiter) Snapshot(now radio.Micros, last bool) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, err := l.ledger.AppendBinary(nil)
	if err != nil || last {
		return b, err
	}
	next, err := airtime.ParseLedger(b)
	if err != nil {
		return nil, fmt.Errorf("txlimit: snapshot: %w", err)
	}
	for _, band := range next.Bands() {
		if ok, _ := next.Reserve(band.Name, now, band.Budget/10); !ok {
			next.Fill(band.Name, now)
		}
		l.ahead[band.Name] = band.Budget / 10
	}
	return next.AppendBinary(nil)
}

// Usage is one band's account for people.
type Usage struct {
	Band    string       `json:"band"`
	Budget  radio.Micros `json:"budget"`  // of time on air in an hour
	Remains radio.Micros `json:"remains"` // of time on air in an hour
}

// Usage lists the accounts at the monotonic instant now.
func (l *Limiter) Usage(now radio.Micros) []Usage {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []Usage
	for _, b := range l.ledger.Bands() {
		out = append(out, Usage{b.Name, b.Budget, l.ledger.Remaining(b.Name, now)})
	}
	return out
}
