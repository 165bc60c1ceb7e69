package poc

import (
	"encoding/binary"

	"heliograph/provisioning/identity"
)

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
	b := putHeader(make([]byte, 0, receiptBody), KindReceipt)
	b = append(b, rc.Report[:]...)
	b = append(b, rc.Hotspot[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(rc.Epoch))
	b = binary.BigEndian.AppendUint64(b, uint64(rc.Received))
	b = binary.BigEndian.AppendUint16(b, rc.Shard)
	b = binary.BigEndian.AppendUint64(b, rc.Offset)
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
	rc.Received = int64(r.u64("received"))
	rc.Shard = r.u16("shard")
	rc.Offset = r.u64("offset")
	if sig.BySession {
		r.fail("signed by a session key")
	}
	if err := r.end(KindReceipt); err != nil {
		return Receipt{}, err
	}
	return rc, sig.Verify(body, oracle)
}
