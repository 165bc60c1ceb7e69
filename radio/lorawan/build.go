package lorawan

import (
	"errors"
	"fmt"

	codec "github.com/brocaar/lorawan"

	"heliograph/radio"
)

// Data is a data frame to be built. Payloads are in plain text.
type Data struct {
	Down       bool
	Confirmed  bool
	DevAddr    DevAddr
	FCtrl      FCtrl
	FCnt       uint32 // the full counter
	FOpts      []byte // 0..15 bytes of MAC commands
	HasFPort   bool
	FPort      uint8
	FRMPayload []byte // needs HasFPort; MAC commands when FPort is 0
}

// BuildData10 builds a LoRaWAN 1.0 data frame: encrypted and with its MIC. It
// fails when the frame would break the format or exceed 255 bytes.
func BuildData10(d Data, keys SessionKeys) ([]byte, error) {
	p, err := d.encode(keys)
	if err != nil {
		return nil, err
	}
	nwk := codec.AES128Key(keys.FNwkSInt)
	if d.Down {
		err = p.SetDownlinkDataMIC(codec.LoRaWAN1_0, 0, nwk)
	} else {
		err = p.SetUplinkDataMIC(codec.LoRaWAN1_0, 0, 0, 0, nwk, nwk)
	}
	return finish(p, err)
}

// Context11 is what a 1.1 data frame's MIC depends on besides the frame.
type Context11 struct {
	ConfFCnt   uint32 // counter of the confirmed frame that this one acknowledges
	TxDR, TxCh uint8  // uplinks: data rate and channel index
}

// BuildData11 builds a LoRaWAN 1.1 data frame. FOpts are encrypted too.
func BuildData11(d Data, keys SessionKeys, c Context11) ([]byte, error) {
	p, err := d.encode(keys)
	if err != nil {
		return nil, err
	}
	if err := p.EncryptFOpts(codec.AES128Key(keys.NwkSEnc)); err != nil {
		return nil, fmt.Errorf("lorawan: build data frame: %w", err)
	}
	sInt := codec.AES128Key(keys.SNwkSInt)
	if d.Down {
		err = p.SetDownlinkDataMIC(codec.LoRaWAN1_1, c.ConfFCnt, sInt)
	} else {
		err = p.SetUplinkDataMIC(codec.LoRaWAN1_1, c.ConfFCnt, c.TxDR, c.TxCh, codec.AES128Key(keys.FNwkSInt), sInt)
	}
	return finish(p, err)
}

// encode makes the codec's frame with its FRMPayload encrypted.
func (d Data) encode(keys SessionKeys) (*codec.PHYPayload, error) {
	switch {
	case len(d.FOpts) > maxFOpts:
		return nil, fmt.Errorf("lorawan: build data frame: FOpts of %d bytes: at most %d fit", len(d.FOpts), maxFOpts)
	case len(d.FRMPayload) > 0 && !d.HasFPort:
		return nil, errors.New("lorawan: build data frame: FRMPayload needs an FPort")
	case d.HasFPort && d.FPort == 0 && len(d.FOpts) > 0:
		return nil, errors.New("lorawan: build data frame: FPort 0 and FOpts exclude each other")
	case minDataLen+len(d.FOpts)+1+len(d.FRMPayload) > radio.MaxPayload:
		return nil, fmt.Errorf("lorawan: build data frame: payload of %d bytes does not fit into %d", len(d.FRMPayload), radio.MaxPayload)
	}
	mac := &codec.MACPayload{FHDR: codec.FHDR{
		DevAddr: codecAddr(d.DevAddr),
		FCnt:    d.FCnt,
		FCtrl: codec.FCtrl{ADR: d.FCtrl.ADR, ADRACKReq: d.FCtrl.ADRACKReq && !d.Down, ACK: d.FCtrl.ACK,
			FPending: d.FCtrl.FPending && d.Down, ClassB: d.FCtrl.ClassB && !d.Down},
	}}
	if len(d.FOpts) > 0 {
		mac.FHDR.FOpts = []codec.Payload{&codec.DataPayload{Bytes: append([]byte(nil), d.FOpts...)}}
	}
	if d.HasFPort {
		port := d.FPort
		mac.FPort = &port
		key := keys.AppS
		if port == 0 {
			key = keys.NwkSEnc
		}
		if enc := CryptFRMPayload(key, d.Down, d.DevAddr, d.FCnt, d.FRMPayload); len(enc) > 0 {
			mac.FRMPayload = []codec.Payload{&codec.DataPayload{Bytes: enc}}
		}
	}
	return &codec.PHYPayload{MHDR: codec.MHDR{MType: d.mType(), Major: codec.LoRaWANR1}, MACPayload: mac}, nil
}

func (d Data) mType() codec.MType {
	switch {
	case d.Down && d.Confirmed:
		return codec.ConfirmedDataDown
	case d.Down:
		return codec.UnconfirmedDataDown
	case d.Confirmed:
		return codec.ConfirmedDataUp
	}
	return codec.UnconfirmedDataUp
}

func finish(p *codec.PHYPayload, err error) ([]byte, error) {
	if err != nil {
		return nil, fmt.Errorf("lorawan: build frame: %w", err)
	}
	phy, err := p.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("lorawan: build frame: %w", err)
	}
	if Classify(phy) == 0 {
		return nil, errors.New("lorawan: build frame: the result is not a frame")
	}
	return phy, nil
}

// codecAddr and codecEUI give the codec's types, which hold display order.
func codecAddr(a DevAddr) codec.DevAddr {
	return codec.DevAddr{byte(a >> 24), byte(a >> 16), byte(a >> 8), byte(a)}
}

func codecEUI(e EUI64) (out codec.EUI64) {
	for i := range out {
		out[i] = byte(e >> (56 - 8*i))
	}
	return out
}

func codecNetID(n NetID) codec.NetID { return codec.NetID{byte(n >> 16), byte(n >> 8), byte(n)} }

// BuildJoinRequest builds a join-request; key is the AppKey (1.0) or NwkKey (1.1).
func BuildJoinRequest(joinEUI, devEUI EUI64, devNonce uint16, key AESKey) ([]byte, error) {
	p := &codec.PHYPayload{
		MHDR: codec.MHDR{MType: codec.JoinRequest, Major: codec.LoRaWANR1},
		MACPayload: &codec.JoinRequestPayload{JoinEUI: codecEUI(joinEUI), DevEUI: codecEUI(devEUI),
			DevNonce: codec.DevNonce(devNonce)},
	}
	return finish(p, p.SetUplinkJoinMIC(codec.AES128Key(key)))
}

// BuildRejoin builds a rejoin-request from the fields RejoinType, NetID or
// JoinEUI, DevEUI and DevNonce (RJcount) of f. Types 0 and 2 are signed with the
// SNwkSIntKey, type 1 with the JSIntKey.
func BuildRejoin(f Frame, key AESKey) ([]byte, error) {
	p := &codec.PHYPayload{MHDR: codec.MHDR{MType: codec.RejoinRequest, Major: codec.LoRaWANR1}}
	switch f.RejoinType {
	case 0, 2:
		if f.NetID > MaxNetID {
			return nil, fmt.Errorf("lorawan: build rejoin: NetID %v has more than 24 bits", f.NetID)
		}
		p.MACPayload = &codec.RejoinRequestType02Payload{RejoinType: codec.JoinType(f.RejoinType),
			NetID: codecNetID(f.NetID), DevEUI: codecEUI(f.DevEUI), RJCount0: f.DevNonce}
	case 1:
		p.MACPayload = &codec.RejoinRequestType1Payload{RejoinType: 1,
			JoinEUI: codecEUI(f.JoinEUI), DevEUI: codecEUI(f.DevEUI), RJCount1: f.DevNonce}
	default:
		return nil, fmt.Errorf("lorawan: build rejoin: type %d is not 0, 1 or 2", f.RejoinType)
	}
	return finish(p, p.SetUplinkJoinMIC(codec.AES128Key(key)))
}
