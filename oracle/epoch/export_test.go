package epoch

import (
	"context"
	"time"

	"heliograph/poc"
)

// SecretKey is where an epoch's secret lies.
func SecretKey(e poc.Epoch) []byte { return epochKey(secretPrefix, e) }

// Deliver pushes the challenges that are due.
func (m *Manager) Deliver(now time.Time) { m.push.deliver(now) }

// PushVerdicts sends verdicts to those who became ready, until the context ends.
func (m *Manager) PushVerdicts(ctx context.Context) { m.pushVerdicts(ctx) }
