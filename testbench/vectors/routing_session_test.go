package vectors

import (
	"bytes"
	"encoding/json"
	"fmt"

	"heliograph/radio"
	"heliograph/radio/gwmp"
	"heliograph/radio/lorawan"
	"heliograph/radio/region"
)

type capturedSession struct {
	Source         string          `json:"source"`
	AppKey         aesKey          `json:"app_key"`
	DevEUI         lorawan.EUI64   `json:"dev_eui"`
	JoinEUI        lorawan.EUI64   `json:"join_eui"`
	DevNonce       uint16          `json:"dev_nonce"`
	JoinNonce      uint32          `json:"join_nonce"`
	NetID          lorawan.NetID   `json:"net_id"`
	DevAddr        lorawan.DevAddr `json:"devaddr"`
	NwkSKey        aesKey          `json:"nwk_s_key"`
	AppSKey        aesKey          `json:"app_s_key"`
	JoinRequest    hexBytes        `json:"join_request_hex"`
	JoinAccept     hexBytes        `json:"join_accept_hex"`
	ConfirmedUp    hexBytes        `json:"confirmed_up_hex"`
	ConfirmedPort  uint8           `json:"confirmed_up_fport"`
	ConfirmedPlain hexBytes        `json:"confirmed_up_plain_hex"`
	AckDown        hexBytes        `json:"ack_down_hex"`
	AckDownNote    string          `json:"ack_down_note"`
	PushData       json.RawMessage `json:"gwmp_push_data_json"`
	PullRespJoin   json.RawMessage `json:"gwmp_pull_resp_json"`
	PullRespData   json.RawMessage `json:"gwmp_pull_resp_data_json"`
	Latency        struct {
		Dedup    float64 `json:"configured_dedup"`
		Downlink float64 `json:"configured_get_downlink_data_delay"`
		Median   float64 `json:"confirmed_up_to_pull_resp_median_of_20"`
		Join     float64 `json:"join_request_to_pull_resp"`
		Max      float64 `json:"max"`
		Min      float64 `json:"min"`
	} `json:"latency_ms"`
}

func checkCapturedSession(_ routingFile, raw json.RawMessage) error {
	var v capturedSession
	if err := strict(raw, &v); err != nil {
		return err
	}
	var p problems
	v.checkJoin(&p)
	v.checkData(&p)
	v.checkGWMP(&p)
	l := v.Latency
	p.want(l.Min <= l.Median && l.Median <= l.Max && l.Min >= l.Dedup+l.Downlink && l.Join > 0, "latencies %+v are not in order", l)
	return p.err()
}

func (v capturedSession) checkJoin(p *problems) {
	req, err := lorawan.Parse(v.JoinRequest)
	if err != nil {
		p.addf("join-request: %v", err)
		return
	}
	p.want(req.Kind == lorawan.JoinRequest && req.DevEUI == v.DevEUI && req.JoinEUI == v.JoinEUI && req.DevNonce == v.DevNonce,
		"join-request: %s of %s, %s, nonce %d", req.Kind, req.DevEUI, req.JoinEUI, req.DevNonce)
	p.want(lorawan.VerifyJoinRequestMIC(v.JoinRequest, v.AppKey.AESKey), "join-request: the MIC is wrong")
	again, err := lorawan.BuildJoinRequest(v.JoinEUI, v.DevEUI, v.DevNonce, v.AppKey.AESKey)
	p.want(err == nil && bytes.Equal(again, v.JoinRequest), "join-request: built again it is %x, %v", again, err)

	acc, err := lorawan.DecryptJoinAccept(v.JoinAccept, v.AppKey.AESKey)
	if err != nil {
		p.addf("join-accept: %v", err)
		return
	}
	p.want(acc.VerifyMIC10(v.AppKey.AESKey), "join-accept: the MIC is wrong")
	p.want(acc.JoinNonce == v.JoinNonce && acc.NetID == v.NetID && acc.DevAddr == v.DevAddr,
		"join-accept: nonce %d, NetID %s, DevAddr %s", acc.JoinNonce, acc.NetID, acc.DevAddr)
	p.want(v.DevAddr.Belongs(v.NetID), "DevAddr %s does not belong to NetID %s", v.DevAddr, v.NetID)
	keys := lorawan.DeriveSession10(v.AppKey.AESKey, acc.JoinNonce, acc.NetID, req.DevNonce)
	p.want(keys.FNwkSInt == v.NwkSKey.AESKey, "NwkSKey is %s, want %s", keys.FNwkSInt.Hex(), v.NwkSKey.Hex())
	p.want(keys.AppS == v.AppSKey.AESKey, "AppSKey is %s, want %s", keys.AppS.Hex(), v.AppSKey.Hex())
}

func (v capturedSession) checkData(p *problems) {
	up, err := lorawan.Parse(v.ConfirmedUp)
	if err != nil {
		p.addf("confirmed uplink: %v", err)
		return
	}
	fcnt := uint32(up.FCnt16)
	p.want(up.Kind == lorawan.DataUp && up.Confirmed && up.DevAddr == v.DevAddr && up.HasFPort && up.FPort == v.ConfirmedPort,
		"confirmed uplink: %s, confirmed %t, %s, FPort %d", up.Kind, up.Confirmed, up.DevAddr, up.FPort)
	p.want(lorawan.VerifyUplinkMIC10(v.ConfirmedUp, v.NwkSKey.AESKey, fcnt), "confirmed uplink: the MIC is wrong")
	plain, err := up.Decrypt(session10(v.NwkSKey, v.AppSKey.AESKey), fcnt)
	p.want(err == nil && bytes.Equal(plain, v.ConfirmedPlain), "confirmed uplink: plain text %x, %v", plain, err)

	down, err := lorawan.Parse(v.AckDown)
	if err != nil {
		p.addf("downlink: %v", err)
		return
	}
	p.want(down.Kind == lorawan.DataDown && down.FCtrl.ACK && down.DevAddr == v.DevAddr,
		"downlink: %s, ACK %t, %s", down.Kind, down.FCtrl.ACK, down.DevAddr)
	p.want(lorawan.VerifyDownlinkMIC10(v.AckDown, v.NwkSKey.AESKey, uint32(down.FCnt16)), "downlink: the MIC is wrong")
}

func (v capturedSession) checkGWMP(p *problems) {
	up, err := parseGWMP(gwmp.KindPushData, v.PushData)
	if err != nil {
		p.addf("PUSH_DATA: %v", err)
		return
	}
	push := up.(gwmp.PushData)
	if len(push.RxPKs) != 1 || len(push.Bad) != 0 {
		p.addf("PUSH_DATA: %d packets, errors %v", len(push.RxPKs), push.Bad)
		return
	}
	compareGWMP(p, "PUSH_DATA", v.PushData, up)
	rx := push.RxPKs[0].Packet(0)
	p.want(bytes.Equal(rx.Payload, v.JoinRequest), "PUSH_DATA: payload %x is not the join-request", rx.Payload)
	plan, err := region.ByName("EU868")
	if err != nil {
		p.addf("%v", err)
		return
	}
	for _, d := range []struct {
		name    string
		json    json.RawMessage
		payload []byte
		delay   radio.Micros // 0 when the file does not have the uplink that it answers
	}{
		{"join PULL_RESP", v.PullRespJoin, v.JoinAccept, plan.Delays.JoinAccept1},
		{"data PULL_RESP", v.PullRespData, v.AckDown, 0},
	} {
		m, err := parseGWMP(gwmp.KindPullResp, d.json)
		if err != nil {
			p.addf("%s: %v", d.name, err)
			continue
		}
		compareGWMP(p, d.name, d.json, m)
		tx := m.(gwmp.PullResp).TxPK.Packet(rx.Tick)
		p.want(bytes.Equal(tx.Payload, d.payload), "%s: payload %x, want %x", d.name, tx.Payload, d.payload)
		p.want(tx.When == radio.AtTick && tx.InvertIQ, "%s: sent at %d, inverted %t", d.name, tx.When, tx.InvertIQ)
		if d.delay != 0 {
			p.want(tx.Frequency == rx.Frequency && tx.DataRate == rx.DataRate, "%s: RX1 is not on the uplink's channel", d.name)
			p.want(tx.Tick.Sub(rx.Tick) == d.delay, "%s: %d µs after the uplink, want %d", d.name, tx.Tick.Sub(rx.Tick), d.delay)
		}
	}
}

type roamingBase struct {
	ProtocolVersion string          `json:"ProtocolVersion"`
	SenderID        lorawan.NetID   `json:"SenderID"`
	ReceiverID      lorawan.NetID   `json:"ReceiverID"`
	TransactionID   uint32          `json:"TransactionID"`
	MessageType     string          `json:"MessageType"`
	VSExtension     json.RawMessage `json:"VSExtension" empty:"ok"`
}

type dlMetaData struct {
	DevEUI     lorawan.EUI64 `json:"DevEUI"`
	DLFreq1    float64       `json:"DLFreq1"`
	DLFreq2    float64       `json:"DLFreq2"`
	RXDelay1   radio.Micros  `json:"RXDelay1"` // seconds
	ClassMode  string        `json:"ClassMode"`
	DataRate1  region.DR     `json:"DataRate1"`
	DataRate2  region.DR     `json:"DataRate2"`
	FNSULToken hexBytes      `json:"FNSULToken"`
	GWInfo     []struct {
		ULToken hexBytes `json:"ULToken"`
	} `json:"GWInfo"`
}

type prStartAns struct {
	roamingBase
	Result struct {
		ResultCode  string `json:"ResultCode"`
		Description string `json:"Description" empty:"ok"`
	} `json:"Result"`
	DevEUI     lorawan.EUI64 `json:"DevEUI"`
	Lifetime   int           `json:"Lifetime"`
	FCntUp     uint32        `json:"FCntUp"`
	PHYPayload hexBytes      `json:"PHYPayload,omitempty"`
	NwkSKey    *struct {
		KEKLabel string `json:"KEKLabel" empty:"ok"`
		AESKey   aesKey `json:"AESKey"`
	} `json:"NwkSKey,omitempty"`
	DLMetaData *dlMetaData      `json:"DLMetaData,omitempty"`
	DevAddr    *lorawan.DevAddr `json:"DevAddr,omitempty"`
}

type roaming struct {
	Source  string `json:"source"`
	Latency struct {
		AnsData float64 `json:"pr_start_ans_data"`
		AnsJoin float64 `json:"pr_start_ans_join"`
		Xmit    float64 `json:"xmit_data_req_after_uplink"`
	} `json:"latency_ms"`
	AnsData prStartAns `json:"pr_start_ans_data"`
	AnsJoin prStartAns `json:"pr_start_ans_join"`
	Xmit    struct {
		roamingBase
		PHYPayload hexBytes   `json:"PHYPayload"`
		DLMetaData dlMetaData `json:"DLMetaData"`
	} `json:"xmit_data_req"`
}

func checkRoaming(f routingFile, raw json.RawMessage) error {
	var v roaming
	if err := strict(raw, &v); err != nil {
		return err
	}
	var captured struct {
		AppKey aesKey `json:"app_key"`
	}
	if err := json.Unmarshal(f["captured_session_cns_3_16_8"], &captured); err != nil {
		return fmt.Errorf("the captured session has the key: %w", err)
	}
	var p problems
	v.AnsData.check(&p, "data answer", "PRStartAns", v.AnsJoin)
	v.AnsJoin.check(&p, "join answer", "PRStartAns", v.AnsJoin)
	p.want(v.Xmit.MessageType == "XmitDataReq" && v.Xmit.ProtocolVersion == "1.0", "request is a %s %s", v.Xmit.MessageType, v.Xmit.ProtocolVersion)
	p.want(v.Xmit.SenderID == v.AnsJoin.SenderID && v.Xmit.ReceiverID == v.AnsJoin.ReceiverID, "the partners of the request are others")
	p.want(v.Latency.AnsData > 0 && v.Latency.AnsJoin > 0 && v.Latency.Xmit > 0, "latencies %+v", v.Latency)
	v.checkFrames(&p, captured.AppKey.AESKey)
	return p.err()
}

func (a prStartAns) check(p *problems, name, kind string, partner prStartAns) {
	p.want(a.ProtocolVersion == "1.0" && a.MessageType == kind, "%s: %s of version %s", name, a.MessageType, a.ProtocolVersion)
	p.want(a.Result.ResultCode == "Success", "%s: result %s", name, a.Result.ResultCode)
	p.want(a.SenderID == partner.SenderID && a.ReceiverID == partner.ReceiverID && a.SenderID != a.ReceiverID, "%s: from %s to %s", name, a.SenderID, a.ReceiverID)
}

// checkFrames follows the device from its join to the downlink.
func (v roaming) checkFrames(p *problems, appKey lorawan.AESKey) {
	join := v.AnsJoin
	if join.PHYPayload == nil || join.NwkSKey == nil || join.DLMetaData == nil || join.DevAddr == nil {
		p.addf("join answer: a field is missing")
		return
	}
	acc, err := lorawan.DecryptJoinAccept(join.PHYPayload, appKey)
	if err != nil {
		p.addf("join answer: %v", err)
		return
	}
	p.want(acc.VerifyMIC10(appKey), "join answer: the join-accept's MIC is wrong")
	p.want(acc.NetID == join.SenderID && acc.DevAddr == *join.DevAddr, "join answer: NetID %s, DevAddr %s", acc.NetID, acc.DevAddr)
	p.want(knowsKey(appKey, acc, join.NwkSKey.AESKey.AESKey), "join answer: NwkSKey follows from no DevNonce")
	plan, err := region.ByName("EU868")
	if err != nil {
		p.addf("%v", err)
		return
	}
	p.want(join.DLMetaData.RXDelay1*1_000_000 == plan.Delays.JoinAccept1, "join answer: RX1 after %d s", join.DLMetaData.RXDelay1)

	down, err := lorawan.Parse(v.Xmit.PHYPayload)
	if err != nil {
		p.addf("request: %v", err)
		return
	}
	p.want(down.Kind == lorawan.DataDown && down.DevAddr == *join.DevAddr, "request: %s for %s", down.Kind, down.DevAddr)
	p.want(lorawan.VerifyDownlinkMIC10(v.Xmit.PHYPayload, join.NwkSKey.AESKey.AESKey, uint32(down.FCnt16)), "request: the MIC is wrong")
	delay := max(acc.RXDelay, 1)
	p.want(v.Xmit.DLMetaData.RXDelay1 == radio.Micros(delay), "request: RX1 after %d s, the join-accept said %d", v.Xmit.DLMetaData.RXDelay1, delay)
	for name, m := range map[string]dlMetaData{"join answer": *join.DLMetaData, "request": v.Xmit.DLMetaData} {
		p.want(m.ClassMode == "A" && m.DevEUI == join.DevEUI, "%s: class %s for %s", name, m.ClassMode, m.DevEUI)
		for _, mhz := range []float64{m.DLFreq1, m.DLFreq2} {
			f, err := radio.HertzFromMHz(mhz)
			p.want(err == nil && f > 0, "%s: frequency %v, %v", name, mhz, err)
		}
		p.want(m.DataRate1 <= 15 && m.DataRate2 <= 15, "%s: data rates %d, %d", name, m.DataRate1, m.DataRate2)
	}
}

// knowsKey looks for the DevNonce, which the answer does not repeat.
func knowsKey(appKey lorawan.AESKey, acc lorawan.DecryptedJoinAccept, nwkSKey lorawan.AESKey) bool {
	for n := range 1 << 16 {
		if lorawan.DeriveSession10(appKey, acc.JoinNonce, acc.NetID, uint16(n)).FNwkSInt == nwkSKey {
			return true
		}
	}
	return false
}
