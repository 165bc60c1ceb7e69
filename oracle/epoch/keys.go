package epoch

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"heliograph/oracle/policy"
	"heliograph/oracle/store"
	"heliograph/poc"
	"heliograph/provisioning/identity"
)

// Keys of the KV. Epochs are big-endian; where the newest should come first, all
// bits are inverted.
const (
	secretPrefix  = "e/secret/"  // epoch -> secret
	recordPrefix  = "e/record/"  // inverted epoch -> Record
	rowPrefix     = "e/row/"     // epoch, hotspot -> Row
	beaconPrefix  = "e/beacon/"  // inverted epoch, inverted instant, report -> Beacon
	verdictPrefix = "e/verdict/" // epoch, hotspot -> verdicts
	termsPrefix   = "e/terms/"   // epoch -> fixedTerms
	carryPrefix   = "e/carry/"   // epoch, wallet -> amount that is carried over to the next one
	policyPrefix  = "e/policy/"  // hash -> policy.Signed
	chainKey      = "e/chain"    // -> epoch, journal.Chain
)

func epochKey(prefix string, e poc.Epoch) []byte {
	return binary.BigEndian.AppendUint32([]byte(prefix), uint32(e))
}

func recordKey(e poc.Epoch) []byte { return epochKey(recordPrefix, ^e) }

func rowKey(e poc.Epoch, h identity.HotspotID) []byte { return append(epochKey(rowPrefix, e), h[:]...) }

func carryKey(e poc.Epoch, w poc.Wallet) []byte { return append(epochKey(carryPrefix, e), w[:]...) }

func policyKey(h policy.Hash) []byte { return append([]byte(policyPrefix), h[:]...) }

func verdictKey(e poc.Epoch, h identity.HotspotID) []byte {
	return append(epochKey(verdictPrefix, e), h[:]...)
}

func beaconKey(e poc.Epoch, b Beacon) []byte {
	k := binary.BigEndian.AppendUint64(epochKey(beaconPrefix, ^e), ^uint64(b.UnixNano))
	return append(k, b.Report[:8]...)
}

func putJSON(tx store.Tx, key []byte, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("epoch: encode %q: %w", key, err)
	}
	return tx.Put(key, b)
}

// getJSON says whether the key is there.
func getJSON(tx store.Tx, key []byte, v any) (bool, error) {
	b, err := tx.Get(key)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, decodeJSON(key, b, v)
}

func decodeJSON(key, b []byte, v any) error {
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("epoch: stored value of %q is damaged: %w", key, err)
	}
	return nil
}

// epochOfKey reads the epoch behind a prefix; the key must be long enough.
func epochOfKey(prefix string, key []byte) poc.Epoch {
	return poc.Epoch(binary.BigEndian.Uint32(key[len(prefix):]))
}

// perTransaction keeps transactions below store.MaxTxKeys.
const perTransaction = 900
