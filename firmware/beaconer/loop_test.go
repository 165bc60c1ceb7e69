package beaconer

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/poc"
	"heliograph/radio"
)

// drive runs a loop in virtual time and gives what it did.
func drive(t *testing.T, prove func(poc.Challenge) ([]byte, error), send func(context.Context, radio.TxPacket) (radio.TxResult, error)) string {
	t.Helper()
	var log []string
	lim := limits(t)
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		ch := make(chan poc.Challenge)
		done := make(chan struct{})
		go func() {
			defer close(done)
			Loop{
				Machine: New(Config{Hotspot: key.ID(), Limits: lim}), Prove: prove, Send: send,
				Now: func() Now { return at(time.Since(start)) },
				Apply: func(fx Effects) {
					fx.Wake = 0
					if s := show(fx); s != "" {
						log = append(log, time.Since(start).String()+": "+s)
					}
				},
			}.Run(ctx, ch, nil)
		}()
		ch <- challenge(10*time.Second, 1)
		time.Sleep(time.Minute)
		cancel()
		<-done
	})
	return strings.Join(log, "\n")
}

func prove(c poc.Challenge) ([]byte, error) { return c.Prove(key) }

func TestLoop(t *testing.T) {
	const sent = "8s: transmit 867.5 MHz SF8BW125 12 dBm at 17000000"
	tests := []struct {
		name  string
		prove func(poc.Challenge) ([]byte, error)
		send  func(context.Context, radio.TxPacket) (radio.TxResult, error)
		want  string
	}{
		{"sent", prove, func(context.Context, radio.TxPacket) (radio.TxResult, error) {
			time.Sleep(20 * time.Millisecond)
			return radio.TxResult{Status: radio.TxOK, Power: radio.DBm(12)}, nil
		}, sent + "\n8.02s: beacon 12 dBm tick 17000000 at +10s ±5ms"},
		{"radio fails", prove, func(context.Context, radio.TxPacket) (radio.TxResult, error) {
			return radio.TxResult{}, errors.New("broken")
		}, sent + "\n8s: decline radio"},
		{"radio hangs", prove, func(ctx context.Context, _ radio.TxPacket) (radio.TxResult, error) {
			<-ctx.Done()
			return radio.TxResult{}, ctx.Err()
		}, sent + "\n20s: decline radio"},
		{"key fails", func(poc.Challenge) ([]byte, error) { return nil, errors.New("no secure element") }, nil, "0s: decline radio"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := drive(t, tt.prove, tt.send); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}
