package lorawan

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"heliograph/radio"
)

// Kind tells frames apart. The zero value is not a LoRaWAN frame.
type Kind uint8

// The kinds of frame.
const (
	JoinRequest Kind = 1
	JoinAccept  Kind = 2 // encrypted; see [DecryptJoinAccept]
	DataUp      Kind = 3
	DataDown    Kind = 4
	Rejoin      Kind = 5
	Proprietary Kind = 6
)

var kindNames = [...]string{"invalid", "join_request", "join_accept", "data_up", "data_down", "rejoin", "proprietary"}

// String is the kind in snake case, fit for a metric's label.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "invalid"
}

// Uplink says whether a device sends frames of this kind to a network. A
// proprietary frame may be either; it is not an uplink.
func (k Kind) Uplink() bool { return k == JoinRequest || k == DataUp || k == Rejoin }

// mType is the frame type in the upper three bits of the first byte.
const (
	mJoinRequest     = 0
	mJoinAccept      = 1
	mUnconfirmedUp   = 2
	mUnconfirmedDown = 3
	mConfirmedUp     = 4
	mConfirmedDown   = 5
	mRejoin          = 6
	mProprietary     = 7
)

// Sizes of whole frames: header byte, body, four bytes of MIC.
const (
	joinRequestLen       = 1 + 18 + 4
	joinAcceptLen        = 1 + 12 + 4
	joinAcceptCFLen      = joinAcceptLen + 16
	rejoin02Len          = 1 + 14 + 4
	rejoin1Len           = 1 + 19 + 4
	minDataLen           = 1 + 7 + 4
	fhdrEnd              = 1 + 7 // end of the fixed part of FHDR
	maxFOpts             = 15
	majorMask       byte = 0x03
)

// FCtrl is the frame control byte without the length of FOpts.
type FCtrl struct {
	ADR       bool
	ADRACKReq bool // uplinks; reserved in downlinks
	ACK       bool
	// FPending and ClassB share a bit: the first is for downlinks, the second
	// for uplinks.
	FPending bool
	ClassB   bool
}

// Frame is a parsed PHYPayload. Which fields are set depends on the kind.
type Frame struct {
	Kind Kind
	Raw  []byte // the whole PHYPayload; other slices point into it
	MIC  MIC    // not for Proprietary; encrypted in a JoinAccept

	// DataUp, DataDown.
	Confirmed  bool
	DevAddr    DevAddr
	FCtrl      FCtrl
	FCnt16     uint16 // the low half of the frame counter
	FOpts      []byte // 0..15 bytes; encrypted in LoRaWAN 1.1
	HasFPort   bool
	FPort      uint8
	FRMPayload []byte // encrypted

	// JoinRequest; EUIs and counter also Rejoin.
	JoinEUI  EUI64 // not for rejoin types 0 and 2
	DevEUI   EUI64
	DevNonce uint16 // a rejoin's RJcount

	// Rejoin.
	RejoinType uint8 // 0, 1 or 2
	NetID      NetID // types 0 and 2
}

var errFrame = errors.New("lorawan: parse frame")

// Classify names the kind of a PHYPayload, with the checks that its header and
// length allow; it allocates nothing. It gives 0 exactly when [Parse] fails.
func Classify(phy []byte) Kind {
	k, _ := classify(phy)
	return k
}

func classify(phy []byte) (Kind, string) {
	if len(phy) == 0 || len(phy) > radio.MaxPayload {
		return 0, "length is outside 1..255"
	}
	mtype := phy[0] >> 5
	if mtype == mProprietary {
		return Proprietary, ""
	}
	if phy[0]&majorMask != 0 {
		return 0, "major version is not LoRaWAN R1"
	}
	switch mtype {
	case mJoinRequest:
		if len(phy) == joinRequestLen {
			return JoinRequest, ""
		}
		return 0, "a join-request has 23 bytes"
	case mJoinAccept:
		if len(phy) == joinAcceptLen || len(phy) == joinAcceptCFLen {
			return JoinAccept, ""
		}
		return 0, "a join-accept has 17 or 33 bytes"
	case mRejoin:
		return classifyRejoin(phy)
	}
	if why := checkData(phy); why != "" {
		return 0, why
	}
	if mtype == mUnconfirmedUp || mtype == mConfirmedUp {
		return DataUp, ""
	}
	return DataDown, ""
}

func classifyRejoin(phy []byte) (Kind, string) {
	if len(phy) < 2 || phy[1] > 2 {
		return 0, "rejoin type is not 0, 1 or 2"
	}
	want := rejoin02Len
	if phy[1] == 1 {
		want = rejoin1Len
	}
	if len(phy) != want {
		return 0, "a rejoin-request has 19 bytes, or 24 in type 1"
	}
	return Rejoin, ""
}

func checkData(phy []byte) string {
	if len(phy) < minDataLen {
		return "a data frame has at least 12 bytes"
	}
	opts := int(phy[5] & 0x0f)
	if len(phy) < minDataLen+opts {
		return "FOpts reach beyond the frame"
	}
	if opts > 0 && len(phy) > minDataLen+opts && phy[fhdrEnd+opts] == 0 {
		return "FPort is 0 although FOpts are there"
	}
	return ""
}

// Parse reads a PHYPayload of 1..255 bytes and keeps a copy of it. It checks the
// form only, not the MIC. Reserved bits of the first byte are ignored.
func Parse(phy []byte) (Frame, error) {
	k, why := classify(phy)
	if k == 0 {
		return Frame{}, fmt.Errorf("%w: %d bytes: %s", errFrame, len(phy), why)
	}
	raw := append([]byte(nil), phy...)
	f := Frame{Kind: k, Raw: raw}
	if k == Proprietary {
		return f, nil
	}
	copy(f.MIC[:], raw[len(raw)-4:])
	switch k {
	case JoinRequest:
		f.JoinEUI, f.DevEUI = wireEUI(raw[1:]), wireEUI(raw[9:])
		f.DevNonce = binary.LittleEndian.Uint16(raw[17:])
	case Rejoin:
		f.rejoin()
	case DataUp, DataDown:
		f.data()
	}
	return f, nil
}

func (f *Frame) rejoin() {
	f.RejoinType = f.Raw[1]
	b := f.Raw[2:]
	if f.RejoinType == 1 {
		f.JoinEUI, b = wireEUI(b), b[8:]
	} else {
		f.NetID, b = NetID(wire24(b)), b[3:]
	}
	f.DevEUI, f.DevNonce = wireEUI(b), binary.LittleEndian.Uint16(b[8:])
}

func (f *Frame) data() {
	mtype, c := f.Raw[0]>>5, f.Raw[5]
	f.Confirmed = mtype == mConfirmedUp || mtype == mConfirmedDown
	f.DevAddr = wireAddr(f.Raw[1:])
	f.FCtrl = FCtrl{ADR: c&0x80 != 0, ACK: c&0x20 != 0}
	if f.Kind == DataUp {
		f.FCtrl.ADRACKReq, f.FCtrl.ClassB = c&0x40 != 0, c&0x10 != 0
	} else {
		f.FCtrl.FPending = c&0x10 != 0
	}
	f.FCnt16 = binary.LittleEndian.Uint16(f.Raw[6:])
	end := fhdrEnd + int(c&0x0f)
	f.FOpts = f.Raw[fhdrEnd:end:end]
	if body := f.Raw[end : len(f.Raw)-4 : len(f.Raw)-4]; len(body) > 0 {
		f.HasFPort, f.FPort, f.FRMPayload = true, body[0], body[1:]
	}
}

// PacketHash is the SHA-256 of a PHYPayload: the name of a packet in
// deduplication and in acknowledgements.
func PacketHash(phy []byte) [32]byte { return sha256.Sum256(phy) }
