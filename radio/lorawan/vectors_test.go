package lorawan

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"
)

// hexBytes is a hexadecimal field of the vector file.
type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

type vectorFile struct {
	Frames10 []struct {
		Name      string   `json:"name"`
		DevAddr   DevAddr  `json:"devaddr"`
		Direction string   `json:"direction"`
		FCnt      uint32   `json:"fcnt"`
		FPort     uint8    `json:"fport"`
		MIC       hexBytes `json:"mic"`
		MType     string   `json:"mtype"`
		NwkSKey   AESKey   `json:"nwk_s_key"`
		AppSKey   *AESKey  `json:"app_s_key"`
		Plain     hexBytes `json:"frm_payload_plain_hex"`
		PHY       hexBytes `json:"phy_hex"`
	} `json:"frames_1_0"`
	Frames11 struct {
		AppSKey     AESKey `json:"app_s_key"`
		FNwkSIntKey AESKey `json:"f_nwk_s_int_key"`
		SNwkSIntKey AESKey `json:"s_nwk_s_int_key"`
		NwkSEncKey  AESKey `json:"nwk_s_enc_key"`
		MIC         struct {
			ConfFCnt uint32 `json:"conf_fcnt"`
			TxCh     uint8  `json:"tx_ch"`
			TxDR     uint8  `json:"tx_dr"`
		} `json:"mic_params_up"`
		Frames []struct {
			Name string   `json:"name"`
			PHY  hexBytes `json:"phy_hex"`
		} `json:"frames"`
	} `json:"frames_1_1"`
	Joins []struct {
		Name      string   `json:"name"`
		PHY       hexBytes `json:"phy_hex"`
		AppKey    AESKey   `json:"app_key"`
		Key       AESKey   `json:"key"`
		DevEUI    EUI64    `json:"dev_eui"`
		JoinEUI   EUI64    `json:"join_eui"`
		DevNonce  uint16   `json:"dev_nonce"`
		RJCount   uint16   `json:"rj_count"`
		MIC       hexBytes `json:"mic"`
		DevAddr   DevAddr  `json:"devaddr"`
		NetID     NetID    `json:"net_id"`
		JoinNonce uint32   `json:"join_nonce"`
		RxDelay   uint8    `json:"rx_delay"`
	} `json:"joins"`
	Session struct {
		AppKey      AESKey   `json:"app_key"`
		AppSKey     AESKey   `json:"app_s_key"`
		NwkSKey     AESKey   `json:"nwk_s_key"`
		DevEUI      EUI64    `json:"dev_eui"`
		JoinEUI     EUI64    `json:"join_eui"`
		DevNonce    uint16   `json:"dev_nonce"`
		JoinNonce   uint32   `json:"join_nonce"`
		NetID       NetID    `json:"net_id"`
		DevAddr     DevAddr  `json:"devaddr"`
		JoinRequest hexBytes `json:"join_request_hex"`
		JoinAccept  hexBytes `json:"join_accept_hex"`
		Up          hexBytes `json:"confirmed_up_hex"`
		UpPlain     hexBytes `json:"confirmed_up_plain_hex"`
		UpFPort     uint8    `json:"confirmed_up_fport"`
		Ack         hexBytes `json:"ack_down_hex"`
	} `json:"captured_session_cns_3_16_8"`
	DevAddrs []struct {
		DevAddr DevAddr `json:"devaddr"`
		NetID   NetID   `json:"net_id"`
		NwkID   string  `json:"nwk_id_hex"`
		Type    int     `json:"type"`
		Belongs bool    `json:"belongs"`
	} `json:"devaddr_netid"`
	Ranges []struct {
		Start, End string
		NetID      NetID `json:"net_id"`
		Type       int   `json:"type"`
	} `json:"helium_devaddr_ranges"`
	Hashes []struct {
		What, Input, SHA256 string
	} `json:"hashes"`
}

func vectors(t testing.TB) *vectorFile {
	t.Helper()
	raw, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	v := new(vectorFile)
	if err := json.Unmarshal(raw, v); err != nil {
		t.Fatal(err)
	}
	if len(v.Frames10) == 0 || len(v.Frames11.Frames) == 0 || len(v.Joins) == 0 || len(v.DevAddrs) == 0 || len(v.Ranges) == 0 {
		t.Fatal("a section is empty")
	}
	return v
}

func mustParse(t *testing.T, phy []byte) Frame {
	t.Helper()
	f, err := Parse(phy)
	if err != nil {
		t.Fatalf("%x: %v", phy, err)
	}
	return f
}

func TestVectors10(t *testing.T) {
	for _, v := range vectors(t).Frames10 {
		f := mustParse(t, v.PHY)
		key := v.NwkSKey
		if f.Kind != DataUp || f.DevAddr != v.DevAddr || f.FCnt16 != uint16(v.FCnt) || !f.HasFPort || f.FPort != v.FPort ||
			!bytes.Equal(f.MIC[:], v.MIC) || f.Confirmed != strings.HasPrefix(v.MType, "Confirmed") {
			t.Errorf("%s: parsed %+v", v.Name, f)
		}
		if !VerifyUplinkMIC10(v.PHY, key, v.FCnt) {
			t.Errorf("%s: MIC is refused", v.Name)
		}
		if VerifyUplinkMIC10(v.PHY, key, v.FCnt+1<<16) || VerifyUplinkMIC10(v.PHY, key, v.FCnt+1) {
			t.Errorf("%s: MIC passes with another counter", v.Name)
		}
		if got, ok := FindFCnt(v.PHY, key, 0, 7); !ok || got != v.FCnt {
			t.Errorf("%s: found counter %d (%v), want %d", v.Name, got, ok, v.FCnt)
		}
		if v.FCnt>>16 > 0 {
			if _, ok := FindFCnt(v.PHY, key, 0, uint16(v.FCnt>>16)-1); ok {
				t.Errorf("%s: counter found outside the range", v.Name)
			}
		}
		if v.AppSKey != nil {
			plain, err := f.Decrypt(SessionKeys{AppS: *v.AppSKey}, v.FCnt)
			if err != nil || !bytes.Equal(plain, v.Plain) {
				t.Errorf("%s: plain %x (%v), want %x", v.Name, plain, err, v.Plain)
			}
			again, err := BuildData10(rebuild(f, v.FCnt, plain), SessionKeys{FNwkSInt: key, SNwkSInt: key, NwkSEnc: key, AppS: *v.AppSKey})
			if err != nil || !bytes.Equal(again, v.PHY) {
				t.Errorf("%s: rebuilt %x (%v)", v.Name, again, err)
			}
		}
	}
}

// rebuild is the frame to build that f was parsed from.
func rebuild(f Frame, fcnt uint32, plain []byte) Data {
	return Data{Down: f.Kind == DataDown, Confirmed: f.Confirmed, DevAddr: f.DevAddr, FCtrl: f.FCtrl, FCnt: fcnt,
		FOpts: f.FOpts, HasFPort: f.HasFPort, FPort: f.FPort, FRMPayload: plain}
}

func TestVectors11(t *testing.T) {
	v := vectors(t).Frames11
	p := Uplink11{FNwkSIntKey: v.FNwkSIntKey, SNwkSIntKey: v.SNwkSIntKey,
		ConfFCnt: v.MIC.ConfFCnt, TxDR: v.MIC.TxDR, TxCh: v.MIC.TxCh}
	keys := SessionKeys{FNwkSInt: p.FNwkSIntKey, SNwkSInt: p.SNwkSIntKey, NwkSEnc: v.NwkSEncKey, AppS: v.AppSKey}
	for _, frame := range v.Frames {
		f := mustParse(t, frame.PHY)
		fcnt := uint32(f.FCnt16)
		if !VerifyUplinkMIC11(frame.PHY, fcnt, p) || !VerifyUplinkMIC11F(frame.PHY, p.FNwkSIntKey, fcnt) {
			t.Errorf("%s: MIC is refused", frame.Name)
		}
		for name, change := range map[string]func(*Uplink11){
			"data rate": func(p *Uplink11) { p.TxDR++ },
			"channel":   func(p *Uplink11) { p.TxCh++ },
			"F key":     func(p *Uplink11) { p.FNwkSIntKey[0]++ },
			"S key":     func(p *Uplink11) { p.SNwkSIntKey[0]++ },
		} {
			q := p
			change(&q)
			if VerifyUplinkMIC11(frame.PHY, fcnt, q) {
				t.Errorf("%s: MIC passes with another %s", frame.Name, name)
			}
		}
		q := p
		q.ConfFCnt++
		if VerifyUplinkMIC11(frame.PHY, fcnt, q) == f.FCtrl.ACK {
			t.Errorf("%s: ACK %v does not decide whether the acknowledged counter counts", frame.Name, f.FCtrl.ACK)
		}
		plain, err := f.Decrypt(keys, fcnt)
		if err != nil || string(plain) != "hello" {
			t.Errorf("%s: plain %q (%v)", frame.Name, plain, err)
		}
		again, err := BuildData11(rebuild(f, fcnt, plain), keys, Context11{ConfFCnt: p.ConfFCnt, TxDR: p.TxDR, TxCh: p.TxCh})
		if err != nil || !bytes.Equal(again, frame.PHY) {
			t.Errorf("%s: rebuilt %x (%v)", frame.Name, again, err)
		}
	}
}

func TestVectorsJoins(t *testing.T) {
	for _, v := range vectors(t).Joins {
		switch Classify(v.PHY) {
		case JoinRequest:
			f := mustParse(t, v.PHY)
			if f.JoinEUI != v.JoinEUI || f.DevEUI != v.DevEUI || f.DevNonce != v.DevNonce || !bytes.Equal(f.MIC[:], v.MIC) {
				t.Errorf("%s: parsed %+v", v.Name, f)
			}
			if !VerifyJoinRequestMIC(v.PHY, v.AppKey) || VerifyJoinRequestMIC(v.PHY, AESKey{}) {
				t.Errorf("%s: MIC", v.Name)
			}
			again, err := BuildJoinRequest(v.JoinEUI, v.DevEUI, v.DevNonce, v.AppKey)
			if err != nil || !bytes.Equal(again, v.PHY) {
				t.Errorf("%s: rebuilt %x (%v)", v.Name, again, err)
			}
		case JoinAccept:
			j, err := DecryptJoinAccept(v.PHY, v.AppKey)
			if err != nil || j.DevAddr != v.DevAddr || j.NetID != v.NetID || j.JoinNonce != v.JoinNonce ||
				j.RXDelay != v.RxDelay || !bytes.Equal(j.MIC[:], v.MIC) {
				t.Errorf("%s: decrypted %+v (%v)", v.Name, j, err)
			}
			if !j.VerifyMIC10(v.AppKey) || j.VerifyMIC10(AESKey{}) {
				t.Errorf("%s: MIC", v.Name)
			}
			again, err := BuildJoinAccept10(j.JoinAcceptBody, v.AppKey)
			if err != nil || !bytes.Equal(again, v.PHY) {
				t.Errorf("%s: rebuilt %x (%v)", v.Name, again, err)
			}
		case Rejoin:
			f := mustParse(t, v.PHY)
			if f.DevEUI != v.DevEUI || f.JoinEUI != v.JoinEUI || f.NetID != v.NetID || f.DevNonce != v.RJCount {
				t.Errorf("%s: parsed %+v", v.Name, f)
			}
			other := v.Key
			other[3]++
			if !VerifyRejoinMIC(v.PHY, v.Key) || VerifyRejoinMIC(v.PHY, other) {
				t.Errorf("%s: MIC", v.Name)
			}
			again, err := BuildRejoin(f, v.Key)
			if err != nil || !bytes.Equal(again, v.PHY) {
				t.Errorf("%s: rebuilt %x (%v)", v.Name, again, err)
			}
		default:
			t.Errorf("%s: not a join frame", v.Name)
		}
	}
}

func TestVectorsCapturedSession(t *testing.T) {
	s := vectors(t).Session
	appKey := s.AppKey
	req := mustParse(t, s.JoinRequest)
	if req.JoinEUI != s.JoinEUI || req.DevEUI != s.DevEUI || req.DevNonce != s.DevNonce || !VerifyJoinRequestMIC(s.JoinRequest, appKey) {
		t.Errorf("join-request %+v", req)
	}
	j, err := DecryptJoinAccept(s.JoinAccept, appKey)
	if err != nil || !j.VerifyMIC10(appKey) || j.DevAddr != s.DevAddr || j.NetID != s.NetID || j.JoinNonce != s.JoinNonce {
		t.Fatalf("join-accept %+v (%v)", j, err)
	}
	if !j.DevAddr.Belongs(j.NetID) {
		t.Errorf("%v does not belong to %v", j.DevAddr, j.NetID)
	}
	keys := DeriveSession10(appKey, j.JoinNonce, j.NetID, req.DevNonce)
	if keys.FNwkSInt != s.NwkSKey || keys.AppS != s.AppSKey || keys.SNwkSInt != keys.FNwkSInt || keys.NwkSEnc != keys.FNwkSInt {
		t.Fatalf("derived other keys than the network server")
	}
	up := mustParse(t, s.Up)
	fcnt := uint32(up.FCnt16)
	plain, err := up.Decrypt(keys, fcnt)
	if !VerifyUplinkMIC10(s.Up, keys.FNwkSInt, fcnt) || !up.Confirmed || up.FPort != s.UpFPort || err != nil || !bytes.Equal(plain, s.UpPlain) {
		t.Errorf("uplink %+v, plain %x (%v)", up, plain, err)
	}
	ack := mustParse(t, s.Ack)
	if ack.Kind != DataDown || !ack.FCtrl.ACK || !ack.FCtrl.ADR || hex.EncodeToString(ack.FOpts) != "0301070001" {
		t.Errorf("acknowledgement %+v", ack)
	}
	if !VerifyDownlinkMIC10(s.Ack, keys.FNwkSInt, uint32(ack.FCnt16)) {
		t.Error("the acknowledgement's MIC is refused")
	}
	if VerifyUplinkMIC10(s.Ack, keys.FNwkSInt, 0) || VerifyDownlinkMIC10(s.Up, keys.FNwkSInt, fcnt) {
		t.Error("a frame passes for the other direction")
	}
}

func TestVectorsAddresses(t *testing.T) {
	v := vectors(t)
	for _, c := range v.DevAddrs {
		want, err := strconv.ParseUint(c.NwkID, 16, 32)
		if err != nil {
			t.Fatal(err)
		}
		id, ok := c.DevAddr.NwkID()
		if c.DevAddr.NetIDType() != c.Type || c.NetID.Type() != c.Type || !ok || id != uint32(want) || c.DevAddr.Belongs(c.NetID) != c.Belongs {
			t.Errorf("%v in %v: type %d, NwkID %x, belongs %v", c.DevAddr, c.NetID, c.DevAddr.NetIDType(), id, c.DevAddr.Belongs(c.NetID))
		}
	}
	for _, r := range v.Ranges {
		first, last := r.NetID.DevAddrs()
		start, err1 := ParseDevAddr(r.Start)
		end, err2 := ParseDevAddr(r.End)
		if err1 != nil || err2 != nil || r.NetID.Type() != r.Type {
			t.Fatal(r, err1, err2)
		}
		if first > start || last < end || !start.Belongs(r.NetID) || !end.Belongs(r.NetID) {
			t.Errorf("%v assigns %v..%v, which does not hold %v..%v", r.NetID, first, last, start, end)
		}
	}
}

func TestVectorPacketHash(t *testing.T) {
	for _, h := range vectors(t).Hashes {
		if h.What != "packet hash" {
			continue
		}
		phy, err := base64.StdEncoding.DecodeString(strings.Fields(h.Input)[1])
		if err != nil {
			t.Fatal(err)
		}
		if sum := PacketHash(phy); hex.EncodeToString(sum[:]) != h.SHA256 {
			t.Errorf("hash %x, want %s", sum, h.SHA256)
		}
		return
	}
	t.Error("no packet hash in the vectors")
}
