package lorawan

import "encoding/binary"

// SessionKeys are a session's keys. In LoRaWAN 1.0 the three network keys are
// one, the NwkSKey.
type SessionKeys struct {
	FNwkSInt, SNwkSInt, NwkSEnc AESKey
	AppS                        AESKey
}

// DeriveSession10 derives the keys of a 1.0 session (TS001-1.0.4, section 6.2.5).
func DeriveSession10(appKey AESKey, joinNonce uint32, netID NetID, devNonce uint16) SessionKeys {
	tail := append24(nil, joinNonce)
	tail = append24(tail, uint32(netID))
	tail = binary.LittleEndian.AppendUint16(tail, devNonce)
	nwk := derive(appKey, 1, tail)
	return SessionKeys{FNwkSInt: nwk, SNwkSInt: nwk, NwkSEnc: nwk, AppS: derive(appKey, 2, tail)}
}

// DeriveSession11 derives the keys of a 1.1 session (LoRaWAN 1.1, section 6.2.5).
// devNonce is the RJcount when the session began with a rejoin.
func DeriveSession11(nwkKey, appKey AESKey, joinNonce uint32, joinEUI EUI64, devNonce uint16) SessionKeys {
	tail := append24(nil, joinNonce)
	tail = binary.LittleEndian.AppendUint64(tail, uint64(joinEUI))
	tail = binary.LittleEndian.AppendUint16(tail, devNonce)
	return SessionKeys{
		FNwkSInt: derive(nwkKey, 1, tail),
		SNwkSInt: derive(nwkKey, 3, tail),
		NwkSEnc:  derive(nwkKey, 4, tail),
		AppS:     derive(appKey, 2, tail),
	}
}

// DeriveJoinServerKeys derives the lifetime keys of a 1.1 device (LoRaWAN 1.1,
// section 6.1.1.3): the one that signs join-accepts and rejoins of type 1, and
// the one that encrypts join-accepts to rejoins.
func DeriveJoinServerKeys(nwkKey AESKey, devEUI EUI64) (jsInt, jsEnc AESKey) {
	tail := binary.LittleEndian.AppendUint64(nil, uint64(devEUI))
	return derive(nwkKey, 6, tail), derive(nwkKey, 5, tail)
}

func derive(key AESKey, label byte, tail []byte) AESKey {
	var out AESKey
	out[0] = label
	copy(out[1:], tail)
	crypt(key, out[:])
	return out
}

func append24(b []byte, v uint32) []byte { return append(b, byte(v), byte(v>>8), byte(v>>16)) }
