package lorawan

import (
	"crypto/aes"
	"encoding/binary"
	"fmt"
)

// JoinAcceptBody is the content of a join-accept.
type JoinAcceptBody struct {
	JoinNonce   uint32 // 24 bits
	NetID       NetID
	DevAddr     DevAddr
	OptNeg      bool   // LoRaWAN 1.1 session
	RX1DROffset uint8  // 0..7
	RX2DR       uint8  // 0..15
	RXDelay     uint8  // 0..15: seconds from uplink to RX1; 0 means 1
	CFList      []byte // nil or 16 bytes
}

// DecryptedJoinAccept is a join-accept as its receiver sees it.
type DecryptedJoinAccept struct {
	JoinAcceptBody
	MIC   MIC
	plain []byte // header and body, as signed
}

// DecryptJoinAccept decrypts a join-accept: with the AppKey (1.0) or NwkKey (1.1)
// when it answers a join-request, with the JSEncKey when it answers a rejoin. The
// content means nothing until its MIC is verified.
func DecryptJoinAccept(phy []byte, key AESKey) (DecryptedJoinAccept, error) {
	if Classify(phy) != JoinAccept {
		return DecryptedJoinAccept{}, fmt.Errorf("lorawan: decrypt join-accept: %d bytes that are not one", len(phy))
	}
	plain := append([]byte(nil), phy...)
	crypt(key, plain[1:])
	body, mic := split(plain)
	j := DecryptedJoinAccept{MIC: MIC(mic), plain: body}
	b := body[1:]
	j.JoinNonce, j.NetID, j.DevAddr = wire24(b), NetID(wire24(b[3:])), wireAddr(b[6:])
	j.OptNeg, j.RX1DROffset, j.RX2DR = b[10]&0x80 != 0, b[10]>>4&7, b[10]&0x0f
	j.RXDelay = b[11] & 0x0f
	if len(b) > 12 {
		j.CFList = append([]byte(nil), b[12:]...)
	}
	return j, nil
}

// crypt applies AES encryption block by block: the network decrypts, so that a
// device needs the one direction only.
func crypt(key AESKey, b []byte) {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // impossible: the key has 16 bytes
	}
	for ; len(b) >= 16; b = b[16:] {
		block.Encrypt(b[:16], b[:16])
	}
}

// VerifyMIC10 checks the MIC with the AppKey. It is false for a join-accept that
// announces a 1.1 session.
func (j DecryptedJoinAccept) VerifyMIC10(appKey AESKey) bool {
	if j.OptNeg || len(j.plain) == 0 {
		return false
	}
	sum := newCMAC(&appKey).sum(nil, j.plain)
	return equal(sum[:4], j.MIC[:])
}

// JoinRequestType says what a join-accept answers; it is part of a 1.1 MIC.
type JoinRequestType uint8

// The requests that a join-accept answers.
const (
	AnswersRejoin0 JoinRequestType = 0x00
	AnswersRejoin1 JoinRequestType = 0x01
	AnswersRejoin2 JoinRequestType = 0x02
	AnswersJoin    JoinRequestType = 0xff
)

// JoinContext is the request that a join-accept answers.
type JoinContext struct {
	Type     JoinRequestType
	JoinEUI  EUI64
	DevNonce uint16 // or RJcount
}

// VerifyMIC11 checks the MIC of a join-accept that announces a 1.1 session.
func (j DecryptedJoinAccept) VerifyMIC11(jsIntKey AESKey, c JoinContext) bool {
	if !j.OptNeg || len(j.plain) == 0 {
		return false
	}
	msg := []byte{byte(c.Type)}
	msg = binary.LittleEndian.AppendUint64(msg, uint64(c.JoinEUI))
	msg = binary.LittleEndian.AppendUint16(msg, c.DevNonce)
	sum := newCMAC(&jsIntKey).sum(nil, append(msg, j.plain...))
	return equal(sum[:4], j.MIC[:])
}
