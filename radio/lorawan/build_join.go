package lorawan

import (
	"fmt"

	codec "github.com/brocaar/lorawan"
)

// BuildJoinAccept10 builds the answer to a 1.0 join-request.
func BuildJoinAccept10(body JoinAcceptBody, appKey AESKey) ([]byte, error) {
	if body.OptNeg {
		return nil, fmt.Errorf("lorawan: build join-accept: OptNeg belongs to a 1.1 session")
	}
	return buildJoinAccept(body, appKey, appKey, JoinContext{Type: AnswersJoin})
}

// BuildJoinAccept11 builds the answer that starts a 1.1 session, signed with the
// JSIntKey. encKey is the NwkKey in answer to a join-request, the JSEncKey in
// answer to a rejoin.
func BuildJoinAccept11(body JoinAcceptBody, jsIntKey, encKey AESKey, c JoinContext) ([]byte, error) {
	if !body.OptNeg {
		return nil, fmt.Errorf("lorawan: build join-accept: a 1.1 session needs OptNeg")
	}
	return buildJoinAccept(body, jsIntKey, encKey, c)
}

func buildJoinAccept(body JoinAcceptBody, micKey, encKey AESKey, c JoinContext) ([]byte, error) {
	switch {
	case body.JoinNonce >= 1<<24:
		return nil, fmt.Errorf("lorawan: build join-accept: JoinNonce %d has more than 24 bits", body.JoinNonce)
	case body.NetID > MaxNetID:
		return nil, fmt.Errorf("lorawan: build join-accept: NetID %v has more than 24 bits", body.NetID)
	case body.RX1DROffset > 7 || body.RX2DR > 15 || body.RXDelay > 15:
		return nil, fmt.Errorf("lorawan: build join-accept: offset %d, RX2 data rate %d or delay %d is too large",
			body.RX1DROffset, body.RX2DR, body.RXDelay)
	case body.CFList != nil && len(body.CFList) != 16:
		return nil, fmt.Errorf("lorawan: build join-accept: CFList of %d bytes, want none or 16", len(body.CFList))
	}
	accept := &codec.JoinAcceptPayload{
		JoinNonce: codec.JoinNonce(body.JoinNonce),
		HomeNetID: codecNetID(body.NetID),
		DevAddr:   codecAddr(body.DevAddr),
		DLSettings: codec.DLSettings{OptNeg: body.OptNeg, RX1DROffset: body.RX1DROffset,
			RX2DataRate: body.RX2DR},
		RXDelay: body.RXDelay,
	}
	if body.CFList != nil {
		list := &codec.DataPayload{Bytes: append([]byte(nil), body.CFList[:15]...)}
		accept.CFList = &codec.CFList{Payload: list, CFListType: codec.CFListType(body.CFList[15])}
	}
	p := &codec.PHYPayload{MHDR: codec.MHDR{MType: codec.JoinAccept, Major: codec.LoRaWANR1}, MACPayload: accept}
	err := p.SetDownlinkJoinMIC(codec.JoinType(c.Type), codecEUI(c.JoinEUI), codec.DevNonce(c.DevNonce), codec.AES128Key(micKey))
	if err == nil {
		err = p.EncryptJoinAcceptPayload(codec.AES128Key(encKey))
	}
	return finish(p, err)
}
