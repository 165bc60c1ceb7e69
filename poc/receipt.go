package poc

import "heliograph/provisioning/identity"

// Receipt is the oracle's signed promise that a report is in its journal.
type Receipt struct {
	Report   ID
	Hotspot  identity.HotspotID
	Epoch    Epoch  // the epoch that will judge it
	Received int64  // unix nanoseconds by the oracle's clock
	Shard    uint16 // where in the journal
	Offset   uint64
}

const receiptBody = 2 + 32 + 33 + 4 + 8 + 2 + 8

// SignReceipt encodes and signs with the oracle's key. With an Ed25519 key the
// same receipt always gives the same bytes.
func SignReceipt(rc Receipt, oracle identity.Signer) ([]byte, error) {
	w := newWriter(make([]byte, 0, receiptBody), KindReceipt)
	w.raw(rc.Report[:])
	w.hotspot(rc.Hotspot)
	w.u32(uint32(rc.Epoch))
	w.instant(rc.Received, "received")
	w.u16(rc.Shard)
	w.u64(rc.Offset)
	b, err := w.end(KindReceipt)
	if err != nil {
		return nil, err
	}
	return SignBody(b, oracle)
}

// ParseReceipt reads a receipt and verifies that the oracle signed it.
func ParseReceipt(b []byte, oracle identity.HotspotID) (rc Receipt, err error) {
	body, sig, err := splitSigned(b, receiptBody)
	if err != nil {
		return Receipt{}, err
	}
	r := reader{b: body}
	r.header(KindReceipt)
	rc.Report = r.id("report")
	rc.Hotspot = r.hotspot()
	rc.Epoch = Epoch(r.u32("epoch"))
	if rc.Received = int64(r.u64("received")); rc.Received < 0 {
		r.fail("received before 1970")
	}
	rc.Shard = r.u16("shard")
	rc.Offset = r.u64("offset")
	if sig.BySession {
		r.fail("signed by a session key")
	}
	if err := r.end(KindReceipt); err != nil {
		return Receipt{}, err
	}
	if err := sig.Verify(body, oracle); err != nil {
		return Receipt{}, err
	}
	return rc, nil
}
