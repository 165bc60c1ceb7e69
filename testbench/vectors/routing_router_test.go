package vectors

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"regexp"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"heliograph/firmware/forwarder"
	"heliograph/oracle/router"
	"heliograph/provisioning/identity"
	"heliograph/radio"
	"heliograph/radio/airtime"
	"heliograph/radio/gwmp"
	"heliograph/radio/lorawan"
	"heliograph/radio/region"
)

func checkAirtime(_ routingFile, raw json.RawMessage) error {
	var rows []struct {
		BW       int64                 `json:"bw_khz"`
		CR       string                `json:"cr"`
		Explicit bool                  `json:"explicit_header"`
		LDRO     bool                  `json:"low_dr_opt"`
		Bytes    int                   `json:"phy_bytes"`
		Preamble int                   `json:"preamble"`
		SF       radio.SpreadingFactor `json:"sf"`
		NoCRC    json.Number           `json:"no_crc_ms"`
		WithCRC  json.Number           `json:"with_crc_ms"`
	}
	if err := strict(raw, &rows); err != nil {
		return err
	}
	var p problems
	for i, r := range rows {
		n, ok := strings.CutPrefix(r.CR, "4/")
		cr, err := strconv.Atoi(n)
		if !ok || err != nil {
			p.addf("row %d: coding rate %s", i, r.CR)
			continue
		}
		dr := radio.LoRaRate(r.SF, radio.Hertz(r.BW)*radio.KHz)
		p.want(airtime.LowDataRateOptimize(dr) == r.LDRO, "row %d: low data rate optimisation is %t", i, !r.LDRO)
		for noCRC, ms := range map[bool]json.Number{true: r.NoCRC, false: r.WithCRC} {
			got, err := airtime.OnAir(airtime.Params{
				DataRate: dr, Coding: radio.CodingRate(cr - 4), PayloadBytes: r.Bytes,
				PreambleSymbols: r.Preamble, ImplicitHeader: !r.Explicit, NoCRC: noCRC,
			})
			want, ok := new(big.Rat).SetString(ms.String())
			if err != nil || !ok {
				p.addf("row %d: %s ms, %v", i, ms, err)
				continue
			}
			p.want(want.Mul(want, big.NewRat(1000, 1)).Cmp(big.NewRat(int64(got), 1)) == 0, "row %d: %d µs, want %s ms", i, got, ms)
		}
	}
	return p.err()
}

func checkDataCredits(_ routingFile, raw json.RawMessage) error {
	var v struct {
		Rule    string      `json:"rule"`
		Vectors [][2]uint64 `json:"vectors"`
	}
	if err := strict(raw, &v); err != nil {
		return err
	}
	var p problems
	for _, e := range v.Vectors {
		got := router.DataCredits(int(e[0]))
		p.want(got == e[1], "%d bytes cost %d, want %d", e[0], got, e[1])
	}
	return p.err()
}

func checkDevAddrs(_ routingFile, raw json.RawMessage) error {
	var rows []struct {
		Belongs bool            `json:"belongs"`
		DevAddr lorawan.DevAddr `json:"devaddr"`
		NetID   lorawan.NetID   `json:"net_id"`
		NwkID   hexBytes        `json:"nwk_id_hex"`
		Type    int             `json:"type"`
	}
	if err := strict(raw, &rows); err != nil {
		return err
	}
	var p problems
	for _, r := range rows {
		p.want(r.DevAddr.Belongs(r.NetID) == r.Belongs, "%s: belongs to %s: %t", r.DevAddr, r.NetID, !r.Belongs)
		p.want(r.DevAddr.NetIDType() == r.Type, "%s: type %d, want %d", r.DevAddr, r.DevAddr.NetIDType(), r.Type)
		id, ok := r.DevAddr.NwkID()
		p.want(ok && new(big.Int).SetBytes(r.NwkID).Cmp(big.NewInt(int64(id))) == 0, "%s: NwkID %x, want %x", r.DevAddr, id, []byte(r.NwkID))
	}
	return p.err()
}

func checkDevAddrRanges(_ routingFile, raw json.RawMessage) error {
	var rows []struct {
		Start lorawan.DevAddr `json:"start"`
		End   lorawan.DevAddr `json:"end"`
		NetID lorawan.NetID   `json:"net_id"`
		Type  int             `json:"type"`
	}
	if err := strict(raw, &rows); err != nil {
		return err
	}
	var p problems
	for _, r := range rows {
		first, last := r.NetID.DevAddrs()
		p.want(first == r.Start && last == r.End, "%s: %s..%s, want %s..%s", r.NetID, first, last, r.Start, r.End)
		p.want(r.NetID.Type() == r.Type, "%s: type %d, want %d", r.NetID, r.NetID.Type(), r.Type)
	}
	return p.err()
}

func checkGatewayMACs(_ routingFile, raw json.RawMessage) error {
	var v struct {
		Rule    string `json:"rule"`
		Vectors []struct {
			Animal string   `json:"animal_name,omitempty"`
			MAC    string   `json:"gwmp_mac"`
			Text   string   `json:"pubkey_b58"`
			Bin    hexBytes `json:"pubkey_bin_hex"`
		} `json:"vectors"`
	}
	if err := strict(raw, &v); err != nil {
		return err
	}
	var p problems
	for _, e := range v.Vectors {
		id, err := identity.ParseText(e.Text)
		p.want(err == nil && bytes.Equal(id.Bytes(), e.Bin), "%s: key %x, %v, want %x", e.Text, id.Bytes(), err, []byte(e.Bin))
		got := gwmp.MACFromPublicKey(e.Bin)
		p.want(got.String() == e.MAC, "%s: gateway %s, want %s", e.Text, got, e.MAC)
	}
	return p.err()
}

var hashInput = regexp.MustCompile(`^PHYPayload (\S+) \(base64\)$`)

func checkHashes(_ routingFile, raw json.RawMessage) error {
	var rows []struct {
		What   string   `json:"what"`
		Input  string   `json:"input,omitempty"`
		SHA    hexBytes `json:"sha256,omitempty"`
		LNS    string   `json:"lns,omitempty"`
		LNSKey hexBytes `json:"sha256_of_packet_hash_then_lns,omitempty"`
	}
	if err := strict(raw, &rows); err != nil {
		return err
	}
	var p problems
	var packet []byte // the hash that the keys after it start from
	for _, r := range rows {
		if r.LNS != "" && r.LNSKey != nil && packet != nil {
			got := sha256.Sum256(append(bytes.Clone(packet), r.LNS...))
			p.want(bytes.Equal(got[:], r.LNSKey), "%s: %x, want %x", r.What, got, []byte(r.LNSKey))
			continue
		}
		m := hashInput.FindStringSubmatch(r.Input)
		if m == nil || r.SHA == nil {
			p.addf("%s: not understood", r.What)
			continue
		}
		phy, err := base64.StdEncoding.DecodeString(m[1])
		if err != nil {
			p.addf("%s: %v", r.What, err)
			continue
		}
		got := lorawan.PacketHash(phy)
		p.want(bytes.Equal(got[:], r.SHA), "%s: %x, want %x", r.What, got, []byte(r.SHA))
		packet = got[:]
	}
	return p.err()
}

func checkFNSULToken(_ routingFile, raw json.RawMessage) error {
	var v struct {
		Rule   string   `json:"rule"`
		Key    hexBytes `json:"pubkey_bin_hex"`
		Region string   `json:"region"`
		Route  string   `json:"route_id"`
		Tmst   uint32   `json:"tmst"`
		Token  string   `json:"token"`
	}
	if err := strict(raw, &v); err != nil {
		return err
	}
	var p problems
	_, err := identity.ParseHotspotID(v.Key)
	p.want(err == nil, "key: %v", err)
	got := "0x" + hex.EncodeToString(fmt.Appendf(nil, "%s::%d::%s::%s", v.Region, v.Tmst, v.Route, []byte(v.Key)))
	p.want(got == v.Token, "token %s, want %s", got, v.Token)
	return p.err()
}

func checkUpSigning(_ routingFile, raw json.RawMessage) error {
	var v struct {
		Rule    string   `json:"rule"`
		Text    string   `json:"gateway_b58"`
		Gateway hexBytes `json:"gateway_pubkey_bin_hex"`
		Session hexBytes `json:"session_pubkey_bin_hex"`
		GwSeed  string   `json:"gateway_seed_sha256_of"`
		SesSeed string   `json:"session_seed_sha256_of"`
		Cases   []struct {
			Name      string   `json:"name"`
			Unsigned  hexBytes `json:"unsigned_hex"`
			ByGateway hexBytes `json:"signature_by_gateway_key_hex,omitempty"`
			BySession hexBytes `json:"signature_by_session_key_hex,omitempty"`
		} `json:"cases"`
	}
	if err := strict(raw, &v); err != nil {
		return err
	}
	var p problems
	gateway, session := keyOf(&p, v.GwSeed, v.Gateway), keyOf(&p, v.SesSeed, v.Session)
	if gateway == nil || session == nil {
		return p.err()
	}
	id, err := identity.ParseText(v.Text)
	p.want(err == nil && id == gateway.ID(), "%s is not the gateway's key: %v", v.Text, err)
	for _, c := range v.Cases {
		if again, err := upPacket(c.Unsigned, v.Gateway); err != nil {
			p.addf("%s: %v", c.Name, err)
		} else {
			p.want(bytes.Equal(again, c.Unsigned), "%s: encoded again it is %x", c.Name, again)
		}
		p.want(c.ByGateway != nil || c.BySession != nil, "%s: no signature", c.Name)
		signed(&p, c.Name+", gateway", gateway, c.Unsigned, c.ByGateway)
		signed(&p, c.Name+", session", session, c.Unsigned, c.BySession)
	}
	return p.err()
}

func keyOf(p *problems, seedText string, bin []byte) *identity.Key {
	key := identity.NewEd25519(sha256.Sum256([]byte(seedText)))
	if !bytes.Equal(key.ID().Bytes(), bin) {
		p.addf("the seed of %q gives the key %x, want %x", seedText, key.ID().Bytes(), bin)
		return nil
	}
	return key
}

// signed verifies a signature and makes it again: Ed25519 is deterministic.
func signed(p *problems, name string, key *identity.Key, msg, sig []byte) {
	if sig == nil {
		return
	}
	if err := key.ID().Verify(msg, sig); err != nil {
		p.addf("%s: %v", name, err)
	}
	again, err := key.Sign(msg)
	p.want(err == nil && bytes.Equal(again, sig), "%s: signature %x, %v", name, again, err)
	p.want(key.ID().Verify(msg[1:], sig) != nil, "%s: a changed message passes", name)
}

// upTypes are the wire types of packet_router_packet_up, by field number.
var upTypes = map[protowire.Number]protowire.Type{
	1: protowire.BytesType, 2: protowire.VarintType, 3: protowire.VarintType, 4: protowire.VarintType,
	5: protowire.VarintType, 6: protowire.Fixed32Type, 7: protowire.VarintType, 8: protowire.VarintType,
	9: protowire.BytesType,
}

// upPacket reads the fields and writes those that are not zero again, in the
// order of their numbers.
func upPacket(b, gateway []byte) ([]byte, error) {
	numbers := make(map[protowire.Number]uint64)
	blobs := make(map[protowire.Number][]byte)
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return nil, protowire.ParseError(n)
		}
		if upTypes[num] != typ || num > 9 || num < 1 {
			return nil, fmt.Errorf("field %d of type %d does not belong there", num, typ)
		}
		b = b[n:]
		switch typ {
		case protowire.BytesType:
			blobs[num], n = protowire.ConsumeBytes(b)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(b)
			numbers[num] = uint64(v)
		default:
			numbers[num], n = protowire.ConsumeVarint(b)
		}
		if n < 0 {
			return nil, protowire.ParseError(n)
		}
		b = b[n:]
	}
	if !bytes.Equal(blobs[9], gateway) {
		return nil, fmt.Errorf("gateway %x", blobs[9])
	}
	if !lorawan.Classify(blobs[1]).Uplink() {
		return nil, fmt.Errorf("payload %x is not an uplink", blobs[1])
	}
	var out []byte
	for num := protowire.Number(1); num <= 9; num++ {
		switch typ := upTypes[num]; {
		case typ == protowire.BytesType && len(blobs[num]) > 0:
			out = protowire.AppendBytes(protowire.AppendTag(out, num, typ), blobs[num])
		case typ == protowire.VarintType && numbers[num] != 0:
			out = protowire.AppendVarint(protowire.AppendTag(out, num, typ), numbers[num])
		case typ == protowire.Fixed32Type && numbers[num] != 0:
			out = protowire.AppendFixed32(protowire.AppendTag(out, num, typ), uint32(numbers[num]))
		}
	}
	return out, nil
}

func checkTiming(_ routingFile, raw json.RawMessage) error {
	var v struct {
		BeaconGuard    radio.Micros `json:"beacon_guard"`
		BeaconReserved radio.Micros `json:"beacon_reserved"`
		ClassC         radio.Micros `json:"class_c_asap_lead"`
		MaxAdvance     radio.Micros `json:"jit_max_advance"`
		MinLead        radio.Micros `json:"jit_min_lead"`
		JITDelay       radio.Micros `json:"jit_tx_jit_delay"`
		Margin         radio.Micros `json:"jit_tx_margin"`
		StartDelay     radio.Micros `json:"jit_tx_start_delay"`
		JoinAccept1    radio.Micros `json:"join_accept_1"`
		JoinAccept2    radio.Micros `json:"join_accept_2"`
		RX1            radio.Micros `json:"rx1_default"`
		RX2            radio.Micros `json:"rx2_default"`
	}
	if err := strict(raw, &v); err != nil {
		return err
	}
	const second radio.Micros = 1_000_000
	var p problems
	p.want(v.MinLead == v.StartDelay+v.Margin+v.JITDelay, "least lead %d is not the sum of its parts", v.MinLead)
	p.want(v.ClassC > v.MinLead, "class C lead %d leaves no time", v.ClassC)
	p.want(v.MaxAdvance == forwarder.MaxAdvance, "greatest advance %d, want %d", v.MaxAdvance, forwarder.MaxAdvance)
	p.want(v.BeaconReserved > 0 && v.BeaconGuard > v.BeaconReserved, "beacon guard %d, reserved %d", v.BeaconGuard, v.BeaconReserved)
	p.want(v.RX2 == v.RX1+second && v.JoinAccept2 == v.JoinAccept1+second, "second windows are not one second after the first")
	names := region.Names()
	p.want(len(names) > 0, "no region is known")
	want := region.Delays{RX1: v.RX1, RX2: v.RX2, JoinAccept1: v.JoinAccept1, JoinAccept2: v.JoinAccept2}
	for _, name := range names {
		plan, err := region.ByName(name)
		if err != nil {
			p.addf("%v", err)
			continue
		}
		p.want(plan.Delays == want, "%s: windows %+v, want %+v", name, plan.Delays, want)
	}
	return p.err()
}
