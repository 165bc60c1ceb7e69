package vectors

import (
	"bytes"
	"encoding/json"
	"strings"

	"heliograph/radio/lorawan"
)

// aesKey reads 32 hexadecimal digits.
type aesKey struct{ lorawan.AESKey }

func (k *aesKey) UnmarshalText(text []byte) (err error) {
	k.AESKey, err = lorawan.ParseAESKey(string(text))
	return err
}

type frame10 struct {
	Name     string          `json:"name"`
	Source   string          `json:"source"`
	Version  string          `json:"version"`
	PHY      hexBytes        `json:"phy_hex"`
	MIC      string          `json:"mic"`
	MType    string          `json:"mtype"`
	Down     string          `json:"direction"`
	DevAddr  lorawan.DevAddr `json:"devaddr"`
	FCnt     uint32          `json:"fcnt"`
	FCntHigh *uint16         `json:"fcnt_high_16,omitempty"`
	FPort    *uint8          `json:"fport,omitempty"`
	Plain    hexBytes        `json:"frm_payload_plain_hex,omitempty"`
	NwkSKey  aesKey          `json:"nwk_s_key"`
	AppSKey  *aesKey         `json:"app_s_key,omitempty"`
}

func checkFrames10(_ routingFile, raw json.RawMessage) error {
	var frames []frame10
	if err := strict(raw, &frames); err != nil {
		return err
	}
	var p problems
	for _, v := range frames {
		v.check(&p)
	}
	return p.err()
}

func (v frame10) check(p *problems) {
	f, err := lorawan.Parse(v.PHY)
	if err != nil {
		p.addf("%s: %v", v.Name, err)
		return
	}
	mtype := "Unconfirmed"
	if f.Confirmed {
		mtype = "Confirmed"
	}
	down := f.Kind == lorawan.DataDown
	direction, verify := "up", lorawan.VerifyUplinkMIC10
	mtype += "DataUp"
	if down {
		direction, verify = "down", lorawan.VerifyDownlinkMIC10
		mtype = strings.TrimSuffix(mtype, "Up") + "Down"
	}
	p.want(v.Version == "1.0.x", "%s: version %s", v.Name, v.Version)
	p.want(v.MType == mtype, "%s: type %s, want %s", v.Name, mtype, v.MType)
	p.want(v.Down == direction, "%s: direction %s, want %s", v.Name, direction, v.Down)
	p.want(f.DevAddr == v.DevAddr, "%s: DevAddr %s, want %s", v.Name, f.DevAddr, v.DevAddr)
	p.want(f.MIC.String() == v.MIC, "%s: MIC %s, want %s", v.Name, f.MIC, v.MIC)
	p.want(f.FCnt16 == uint16(v.FCnt), "%s: FCnt %d, want %d", v.Name, f.FCnt16, v.FCnt)
	p.want(verify(v.PHY, v.NwkSKey.AESKey, v.FCnt), "%s: the MIC is wrong", v.Name)
	p.want(!verify(flip(v.PHY), v.NwkSKey.AESKey, v.FCnt), "%s: a changed frame passes", v.Name)
	if v.FCntHigh != nil {
		p.want(uint32(*v.FCntHigh) == v.FCnt>>16, "%s: upper half of FCnt is %d, want %d", v.Name, v.FCnt>>16, *v.FCntHigh)
	}
	if !down {
		got, ok := lorawan.FindFCnt(v.PHY, v.NwkSKey.AESKey, 0, uint16(v.FCnt>>16))
		p.want(ok && got == v.FCnt, "%s: FindFCnt gives %d, %t, want %d", v.Name, got, ok, v.FCnt)
	}
	if v.FPort != nil {
		p.want(f.HasFPort && f.FPort == *v.FPort, "%s: FPort %d, %t, want %d", v.Name, f.FPort, f.HasFPort, *v.FPort)
	}
	if (v.Plain == nil) != (v.AppSKey == nil) {
		p.addf("%s: plain text and application key go together", v.Name)
	} else if v.Plain != nil {
		plain, err := f.Decrypt(session10(v.NwkSKey, v.AppSKey.AESKey), v.FCnt)
		p.want(err == nil && bytes.Equal(plain, v.Plain), "%s: plain text %x, %v, want %x", v.Name, plain, err, []byte(v.Plain))
	}
}

func session10(nwk aesKey, app lorawan.AESKey) lorawan.SessionKeys {
	return lorawan.SessionKeys{FNwkSInt: nwk.AESKey, SNwkSInt: nwk.AESKey, NwkSEnc: nwk.AESKey, AppS: app}
}

// flip changes one bit of the last byte before the MIC.
func flip(phy []byte) []byte {
	b := bytes.Clone(phy)
	b[len(b)-5] ^= 1
	return b
}

func checkFrames11(_ routingFile, raw json.RawMessage) error {
	var v struct {
		AppSKey     aesKey `json:"app_s_key"`
		FNwkSIntKey aesKey `json:"f_nwk_s_int_key"`
		SNwkSIntKey aesKey `json:"s_nwk_s_int_key"`
		NwkSEncKey  aesKey `json:"nwk_s_enc_key"`
		MIC         struct {
			ConfFCnt uint32 `json:"conf_fcnt"`
			TxCh     uint8  `json:"tx_ch"`
			TxDR     uint8  `json:"tx_dr"`
		} `json:"mic_params_up"`
		Frames []struct {
			Name string   `json:"name"`
			PHY  hexBytes `json:"phy_hex"`
		} `json:"frames"`
		Source string `json:"source"`
	}
	if err := strict(raw, &v); err != nil {
		return err
	}
	var p problems
	keys := lorawan.SessionKeys{
		FNwkSInt: v.FNwkSIntKey.AESKey, SNwkSInt: v.SNwkSIntKey.AESKey,
		NwkSEnc: v.NwkSEncKey.AESKey, AppS: v.AppSKey.AESKey,
	}
	up := lorawan.Uplink11{
		FNwkSIntKey: keys.FNwkSInt, SNwkSIntKey: keys.SNwkSInt,
		ConfFCnt: v.MIC.ConfFCnt, TxDR: v.MIC.TxDR, TxCh: v.MIC.TxCh,
	}
	for _, e := range v.Frames {
		f, err := lorawan.Parse(e.PHY)
		if err != nil {
			p.addf("%s: %v", e.Name, err)
			continue
		}
		fcnt := uint32(f.FCnt16)
		p.want(f.Kind == lorawan.DataUp, "%s: kind %s", e.Name, f.Kind)
		p.want(lorawan.VerifyUplinkMIC11(e.PHY, fcnt, up), "%s: the MIC is wrong", e.Name)
		p.want(lorawan.VerifyUplinkMIC11F(e.PHY, keys.FNwkSInt, fcnt), "%s: the forwarding network's half is wrong", e.Name)
		p.want(!lorawan.VerifyUplinkMIC11(flip(e.PHY), fcnt, up), "%s: a changed frame passes", e.Name)
		plain, err := f.Decrypt(keys, fcnt)
		if err != nil {
			p.addf("%s: %v", e.Name, err)
			continue
		}
		again, err := lorawan.BuildData11(lorawan.Data{
			Confirmed: f.Confirmed, DevAddr: f.DevAddr, FCtrl: f.FCtrl, FCnt: fcnt, FOpts: f.FOpts,
			HasFPort: f.HasFPort, FPort: f.FPort, FRMPayload: plain,
		}, keys, lorawan.Context11{ConfFCnt: v.MIC.ConfFCnt, TxDR: v.MIC.TxDR, TxCh: v.MIC.TxCh})
		p.want(err == nil && (len(f.FOpts) > 0 || bytes.Equal(again, e.PHY)), "%s: built again it is %x, %v", e.Name, again, err)
	}
	return p.err()
}

type join struct {
	Name      string           `json:"name"`
	Source    string           `json:"source"`
	PHY       hexBytes         `json:"phy_hex"`
	MIC       string           `json:"mic,omitempty"`
	AppKey    *aesKey          `json:"app_key,omitempty"`
	Key       *aesKey          `json:"key,omitempty"`
	DevEUI    *lorawan.EUI64   `json:"dev_eui,omitempty"`
	JoinEUI   *lorawan.EUI64   `json:"join_eui,omitempty"`
	DevNonce  *uint16          `json:"dev_nonce,omitempty"`
	RJCount   *uint16          `json:"rj_count,omitempty"`
	DevAddr   *lorawan.DevAddr `json:"devaddr,omitempty"`
	JoinNonce *uint32          `json:"join_nonce,omitempty"`
	NetID     *lorawan.NetID   `json:"net_id,omitempty"`
	RXDelay   *uint8           `json:"rx_delay,omitempty"`
}

func checkJoins(_ routingFile, raw json.RawMessage) error {
	var joins []join
	if err := strict(raw, &joins); err != nil {
		return err
	}
	var p problems
	for _, v := range joins {
		f, err := lorawan.Parse(v.PHY)
		if err != nil {
			p.addf("%s: %v", v.Name, err)
			continue
		}
		switch f.Kind {
		case lorawan.JoinRequest:
			v.checkRequest(&p, f)
		case lorawan.JoinAccept:
			v.checkAccept(&p)
		case lorawan.Rejoin:
			v.checkRejoin(&p, f)
		default:
			p.addf("%s: it is a %s", v.Name, f.Kind)
		}
	}
	return p.err()
}

// same compares a field that the kind of frame must or must not have.
func same[T comparable](p *problems, name, field string, want *T, has bool, got T) {
	switch {
	case want == nil && has:
		p.addf("%s: %s is missing", name, field)
	case want != nil && !has:
		p.addf("%s: %s does not belong to it", name, field)
	case has:
		p.want(*want == got, "%s: %s is %v, want %v", name, field, got, *want)
	}
}

func (v join) checkRequest(p *problems, f lorawan.Frame) {
	same(p, v.Name, "dev_eui", v.DevEUI, true, f.DevEUI)
	same(p, v.Name, "join_eui", v.JoinEUI, true, f.JoinEUI)
	same(p, v.Name, "dev_nonce", v.DevNonce, true, f.DevNonce)
	same(p, v.Name, "mic", &v.MIC, true, f.MIC.String())
	same(p, v.Name, "rj_count", v.RJCount, false, 0)
	same(p, v.Name, "devaddr", v.DevAddr, false, 0)
	same(p, v.Name, "net_id", v.NetID, false, 0)
	if v.AppKey == nil {
		p.addf("%s: app_key is missing", v.Name)
		return
	}
	p.want(lorawan.VerifyJoinRequestMIC(v.PHY, v.AppKey.AESKey), "%s: the MIC is wrong", v.Name)
	p.want(!lorawan.VerifyJoinRequestMIC(flip(v.PHY), v.AppKey.AESKey), "%s: a changed frame passes", v.Name)
}

func (v join) checkAccept(p *problems) {
	if v.AppKey == nil {
		p.addf("%s: app_key is missing", v.Name)
		return
	}
	j, err := lorawan.DecryptJoinAccept(v.PHY, v.AppKey.AESKey)
	if err != nil {
		p.addf("%s: %v", v.Name, err)
		return
	}
	same(p, v.Name, "devaddr", v.DevAddr, true, j.DevAddr)
	same(p, v.Name, "net_id", v.NetID, true, j.NetID)
	same(p, v.Name, "join_nonce", v.JoinNonce, true, j.JoinNonce)
	same(p, v.Name, "rx_delay", v.RXDelay, true, j.RXDelay)
	same(p, v.Name, "mic", &v.MIC, true, j.MIC.String())
	same(p, v.Name, "dev_eui", v.DevEUI, false, 0)
	same(p, v.Name, "rj_count", v.RJCount, false, 0)
	p.want(j.VerifyMIC10(v.AppKey.AESKey), "%s: the MIC is wrong", v.Name)
	again, err := lorawan.BuildJoinAccept10(j.JoinAcceptBody, v.AppKey.AESKey)
	p.want(err == nil && bytes.Equal(again, v.PHY), "%s: built again it is %x, %v", v.Name, again, err)
}

func (v join) checkRejoin(p *problems, f lorawan.Frame) {
	type1 := f.RejoinType == 1
	same(p, v.Name, "dev_eui", v.DevEUI, true, f.DevEUI)
	same(p, v.Name, "rj_count", v.RJCount, true, f.DevNonce)
	same(p, v.Name, "net_id", v.NetID, !type1, f.NetID)
	same(p, v.Name, "join_eui", v.JoinEUI, type1, f.JoinEUI)
	if v.MIC != "" {
		same(p, v.Name, "mic", &v.MIC, true, f.MIC.String())
	}
	if v.Key == nil {
		p.addf("%s: key is missing", v.Name)
		return
	}
	p.want(lorawan.VerifyRejoinMIC(v.PHY, v.Key.AESKey), "%s: the MIC is wrong", v.Name)
	p.want(!lorawan.VerifyRejoinMIC(flip(v.PHY), v.Key.AESKey), "%s: a changed frame passes", v.Name)
}
