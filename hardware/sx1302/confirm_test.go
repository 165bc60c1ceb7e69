package sx1302

import (
	"context"
	"testing"
	"time"

	"heliograph/radio"
)

// TestConfirmRidesAlong sends while packets are received: that the packet went on
// air is learnt from the polls, and only programming it is work of its own.
func TestConfirmRidesAlong(t *testing.T) {
	for _, tc := range []struct {
		name      string
		receiving bool
		starts    bool
		want      radio.TxStatus
		looks     int // reads of the state by Send itself
	}{
		{"nobody receives", false, true, radio.TxOK, 1},
		{"while receiving", true, true, radio.TxOK, 0},
		{"never starts, while receiving", true, false, radio.TxTooLate, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ctx := context.Background()
			c, chip := startFake(t, setConf(t, "usb_sx1250_eu868"))
			chip.emit = tc.starts
			next := chip.clock.Now()
			polls := 0
			poll := func(now time.Time) {
				if tc.receiving && !now.Before(next) {
					next = now.Add(pollTime)
					polls++
					if _, err := c.fetch(ctx); err != nil {
						t.Error(err)
					}
				}
			}
			if tc.receiving {
				c.receiving.Add(1) // the polls are made from within the clock
			}
			chip.clock.after = poll
			before := c.link.count.Sends
			now, _ := c.Now()
			p := downlink(now.Add(60_000))
			p.Payload = []byte("hello-downln")
			res, err := c.Send(ctx, p)
			if err != nil || res.Status != tc.want {
				t.Fatalf("%+v, %v", res, err)
			}
			chip.clock.after = nil
			// Programming begins with a read of registers that were unknown.
			own := int(c.link.count.Sends-before) - polls
			if tc.want == radio.TxOK {
				if learnt := 1; own < 1+tc.looks || own > 1+tc.looks+learnt {
					t.Errorf("%d messages beside %d polls, want 1, %d looks and perhaps a read of unknown registers", own, polls, tc.looks)
				}
				if until := c.tx[0].until.Sub(chip.clock.Now()); until > 500*time.Millisecond {
					t.Errorf("the air is taken for another %v", until)
				}
			}
			if tc.receiving && polls == 0 {
				t.Error("nothing was polled")
			}
		})
	}
}
