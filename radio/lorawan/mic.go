package lorawan

import (
	"crypto/subtle"
	"encoding/binary"
)

// micBlock is the block that goes before a data frame in its integrity code
// (TS001-1.0.4, section 4.4; LoRaWAN 1.1, section 4.4). The first five bytes
// after 0x49 are zero but for B1 and, in 1.1, downlinks.
func micBlock(phy []byte, down bool, fcnt uint32) (b [16]byte) {
	b[0] = 0x49
	if down {
		b[5] = 1
	}
	copy(b[6:10], phy[1:5]) // DevAddr, as on the wire
	binary.LittleEndian.PutUint32(b[10:], fcnt)
	b[15] = byte(len(phy) - 4)
	return b
}

// split separates the integrity code and what it covers.
func split(phy []byte) (msg, mic []byte) { return phy[:len(phy)-4], phy[len(phy)-4:] }

// dataFrame says whether phy is a data frame of that kind whose counter on the
// air is the low half of fcnt.
func dataFrame(phy []byte, kind Kind, fcnt uint32) bool {
	return Classify(phy) == kind && binary.LittleEndian.Uint16(phy[6:]) == uint16(fcnt)
}

func equal(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }

// VerifyUplinkMIC10 checks a LoRaWAN 1.0 data uplink with its full frame
// counter. It is false for anything that is not a data uplink.
func VerifyUplinkMIC10(phy []byte, nwkSKey AESKey, fcnt uint32) bool {
	if !dataFrame(phy, DataUp, fcnt) {
		return false
	}
	msg, mic := split(phy)
	b0 := micBlock(phy, false, fcnt)
	sum := newCMAC(&nwkSKey).sum(&b0, msg)
	return equal(sum[:4], mic)
}

// FindFCnt tries the upper halves first..last of the frame counter, in this
// order, and returns the full counter with which the uplink's LoRaWAN 1.0 MIC is
// right. All 65,536 take 4 ms for a short frame and 30 ms for the longest on a
// server core; a router bounds the range.
func FindFCnt(phy []byte, nwkSKey AESKey, first, last uint16) (fcnt uint32, ok bool) {
	if Classify(phy) != DataUp {
		return 0, false
	}
	msg, mic := split(phy)
	low := uint32(binary.LittleEndian.Uint16(phy[6:]))
	c := newCMAC(&nwkSKey)
	for high := uint32(first); high <= uint32(last); high++ {
		b0 := micBlock(phy, false, high<<16|low)
		if sum := c.sum(&b0, msg); equal(sum[:4], mic) {
			return high<<16 | low, true
		}
	}
	return 0, false
}

// Uplink11 is what a LoRaWAN 1.1 uplink's MIC depends on besides the frame.
type Uplink11 struct {
	FNwkSIntKey AESKey
	SNwkSIntKey AESKey
	// ConfFCnt is the counter of the confirmed downlink that the frame
	// acknowledges; it counts only when the frame's ACK bit is set.
	ConfFCnt uint32
	TxDR     uint8 // data rate index of the uplink
	TxCh     uint8 // channel index of the uplink
}

// VerifyUplinkMIC11 checks both halves of a LoRaWAN 1.1 data uplink's MIC.
func VerifyUplinkMIC11(phy []byte, fcnt uint32, p Uplink11) bool {
	if !dataFrame(phy, DataUp, fcnt) {
		return false
	}
	msg, mic := split(phy)
	b0 := micBlock(phy, false, fcnt)
	b1 := b0
	binary.LittleEndian.PutUint16(b1[1:], confirmed(phy, p.ConfFCnt))
	b1[3], b1[4] = p.TxDR, p.TxCh
	s := newCMAC(&p.SNwkSIntKey).sum(&b1, msg)
	f := newCMAC(&p.FNwkSIntKey).sum(&b0, msg)
	return equal([]byte{s[0], s[1], f[0], f[1]}, mic)
}

// VerifyUplinkMIC11F checks the half of a LoRaWAN 1.1 data uplink's MIC for
// which a forwarding network has the key. Chance passes one in 65,536.
func VerifyUplinkMIC11F(phy []byte, fNwkSIntKey AESKey, fcnt uint32) bool {
	if !dataFrame(phy, DataUp, fcnt) {
		return false
	}
	msg, mic := split(phy)
	b0 := micBlock(phy, false, fcnt)
	f := newCMAC(&fNwkSIntKey).sum(&b0, msg)
	return equal(f[:2], mic[2:])
}

// confirmed is the acknowledged counter's low half, 0 without the ACK bit.
func confirmed(phy []byte, confFCnt uint32) uint16 {
	if phy[5]&0x20 == 0 {
		return 0
	}
	return uint16(confFCnt)
}

// VerifyDownlinkMIC10 checks a LoRaWAN 1.0 data downlink.
func VerifyDownlinkMIC10(phy []byte, nwkSKey AESKey, fcnt uint32) bool {
	return verifyDownlink(phy, nwkSKey, fcnt, 0)
}

// VerifyDownlinkMIC11 checks a LoRaWAN 1.1 data downlink. confFCnt is the counter
// of the confirmed uplink that it acknowledges; it counts only with the ACK bit.
func VerifyDownlinkMIC11(phy []byte, sNwkSIntKey AESKey, fcnt, confFCnt uint32) bool {
	return verifyDownlink(phy, sNwkSIntKey, fcnt, confFCnt)
}

func verifyDownlink(phy []byte, key AESKey, fcnt, confFCnt uint32) bool {
	if !dataFrame(phy, DataDown, fcnt) {
		return false
	}
	msg, mic := split(phy)
	b0 := micBlock(phy, true, fcnt)
	binary.LittleEndian.PutUint16(b0[1:], confirmed(phy, confFCnt))
	sum := newCMAC(&key).sum(&b0, msg)
	return equal(sum[:4], mic)
}

// VerifyJoinRequestMIC checks a join-request with the AppKey (1.0) or NwkKey (1.1).
func VerifyJoinRequestMIC(phy []byte, key AESKey) bool {
	return Classify(phy) == JoinRequest && plainMIC(phy, key)
}

// VerifyRejoinMIC checks a rejoin-request: types 0 and 2 with the SNwkSIntKey,
// type 1 with the JSIntKey.
func VerifyRejoinMIC(phy []byte, key AESKey) bool {
	return Classify(phy) == Rejoin && plainMIC(phy, key)
}

func plainMIC(phy []byte, key AESKey) bool {
	msg, mic := split(phy)
	sum := newCMAC(&key).sum(nil, msg)
	return equal(sum[:4], mic)
}
