package ingest

import (
	"context"
	"time"

	"heliograph/oracle/journal"
	"heliograph/oracle/store"
	"heliograph/poc"
	"heliograph/provisioning/identity"
)

// certHotspot reads whose certificate it claims to be, before any signature is
// checked. The hotspot follows kind and version.
func certHotspot(raw []byte) (identity.HotspotID, bool) {
	const head = 2
	if len(raw) < head+identity.Size || poc.Kind(raw[0]) != poc.KindSession {
		return identity.HotspotID{}, false
	}
	return identity.HotspotID(raw[head : head+identity.Size]), true
}

func (k *Core) journalSession(ctx context.Context, raw []byte, now time.Time) error {
	_, err := k.cfg.Journal.Append(ctx, store.ControlShard, journal.Entry{
		Type:     journal.TypeSession,
		Epoch:    k.cfg.Calendar.Epoch(now.UnixNano()),
		Received: now.UnixNano(),
		Data:     raw,
	})
	return err
}
