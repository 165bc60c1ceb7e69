package beaconer

import (
	"context"
	"sync"
	"time"

	"heliograph/poc"
	"heliograph/radio"
)

// Loop drives a [Machine]. All fields must be set.
type Loop struct {
	Machine *Machine
	Prove   func(poc.Challenge) ([]byte, error) // signs with the hotspot's key
	Send    func(context.Context, radio.TxPacket) (radio.TxResult, error)
	Now     func() Now

	// Apply receives the effects for reports and counters, from one goroutine,
	// before the loop transmits. It must not block for long.
	Apply func(Effects)
}

type outcome struct {
	id poc.ID
	r  radio.TxResult
}

// Run serves challenges until ctx ends or the channel is closed, and returns
// when all its goroutines have ended. resync may be signalled when the clock was
// set.
func (l Loop) Run(ctx context.Context, challenges <-chan poc.Challenge, resync <-chan struct{}) {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan outcome)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		var fx Effects
		select {
		case <-ctx.Done():
			return
		case c, ok := <-challenges:
			if !ok {
				return
			}
			fx = l.challenge(c)
		case <-resync:
			fx = l.Machine.Tick(l.Now())
		case <-timer.C:
			fx = l.Machine.Tick(l.Now())
		case o := <-results:
			fx = l.Machine.Result(l.Now(), o.id, o.r)
		}
		l.Apply(fx)
		for _, t := range fx.Transmit {
			wg.Go(func() {
				r, err := l.Send(ctx, t.Packet)
				if err != nil {
					r = radio.TxResult{Status: radio.TxFailed}
				}
				select {
				case results <- outcome{t.Challenge, r}:
				case <-ctx.Done():
				}
			})
		}
		wait := time.Hour
		if fx.Wake != 0 {
			wait = max(0, fx.Wake-l.Now().Mono)
		}
		timer.Reset(wait)
	}
}

func (l Loop) challenge(c poc.Challenge) Effects {
	if !l.Machine.Expects(c) {
		return l.Machine.Challenge(l.Now(), c, nil)
	}
	proof, err := l.Prove(c)
	if err != nil {
		return l.Machine.fail(l.Now(), c, err)
	}
	return l.Machine.Challenge(l.Now(), c, proof)
}

// fail declines a challenge that could not be proved.
func (m *Machine) fail(now Now, c poc.Challenge, err error) Effects {
	var fx Effects
	m.decline(&fx, now, &task{id: c.ID(), c: c}, poc.DeclineRadio, err)
	m.advance(now, &fx)
	return fx
}
