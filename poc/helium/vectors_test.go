package helium

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"heliograph/poc/geo"
	"heliograph/provisioning/identity"
)

// The vectors came with the project's specification. POC_VECTORS names another
// file of the same form to try against the same code; a section that it lacks is
// reported as skipped.
const keptVectors = "testdata/poc_vectors.json"

var sections = map[string]func(*testing.T, json.RawMessage){
	"beacon_derivation":   checkBeaconDerivation,
	"datarate_selection":  checkDataRateSelection,
	"conducted_power":     checkConductedPower,
	"distance":            checkDistance,
	"expected_rssi":       checkExpectedRSSI,
	"rssi_check":          checkRSSICheck,
	"frequency_check":     checkFrequencyCheck,
	"lag_check":           checkLagCheck,
	"schedule_check":      checkScheduleCheck,
	"entropy_window":      checkEntropyWindow,
	"reward_units":        checkRewardUnits,
	"witness_selection":   checkWitnessSelection,
	"hex_density":         checkHexDensity,
	"pool_split":          checkPoolSplit,
	"dc_conversion":       checkDCConversion,
	"reward_distribution": checkRewardDistribution,
	"post_hip149_split":   checkPostHIP149Split,
	"packet_dc":           checkPacketDC,
	"airtime_ms":          checkAirtime,
	"pubkey_encoding":     checkPubkeyEncoding,
	"verification_order":  checkVerificationOrder,
	"invalid_reason_enum": checkReasonEnum,
}

func TestVectors(t *testing.T) {
	path := cmp.Or(os.Getenv("POC_VECTORS"), keptVectors)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file := strict[map[string]json.RawMessage](t, b)
	var checked int
	for _, name := range slices.Sorted(maps.Keys(file)) {
		if strings.HasPrefix(name, "_") {
			continue
		}
		checked++
		t.Run(name, func(t *testing.T) {
			check, ok := sections[name]
			if !ok {
				t.Fatal("no check knows this section")
			}
			check(t, file[name])
		})
	}
	if checked == 0 {
		t.Error("the file has no sections")
	}
	for _, name := range slices.Sorted(maps.Keys(sections)) {
		if _, ok := file[name]; ok {
			continue
		}
		if path == keptVectors {
			t.Errorf("section %s is missing", name)
			continue
		}
		t.Run(name, func(t *testing.T) { t.Skip("not in ", path) })
	}
}

// strict decodes JSON without unknown fields and without anything after it.
func strict[T any](t *testing.T, b []byte) T {
	t.Helper()
	var v T
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	if d.More() {
		t.Fatal("data after the value")
	}
	return v
}

// cases insists on a list that is not empty.
func cases[T any](t *testing.T, list []T) []T {
	t.Helper()
	if len(list) == 0 {
		t.Fatal("a case list is missing or empty")
	}
	return list
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func dec(t *testing.T, s string) Decimal {
	t.Helper()
	d, err := ParseDecimal(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func vectorCell(t *testing.T, s string) geo.Cell {
	t.Helper()
	c, err := geo.ParseCellDecimal(s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// outcome turns an expectation such as "ok" or "bad_rssi" into a reason.
func outcome(t *testing.T, s string) Reason {
	t.Helper()
	if s == "ok" {
		return None
	}
	r, err := ParseReason(s)
	if err != nil || r == None {
		t.Fatalf("expectation %q is neither ok nor a reason", s)
	}
	return r
}

func checkPubkeyEncoding(t *testing.T, raw json.RawMessage) {
	v := strict[struct {
		Source string `json:"source"`
		Cases  []struct {
			Text    string `json:"b58"`
			Binary  string `json:"binary_hex"`
			Network string `json:"network"`
			Type    string `json:"type"`
		} `json:"cases"`
		Verify *struct {
			Text string `json:"b58"`
			Msg  string `json:"msg_ascii"`
			Sig  string `json:"sig_hex"`
		} `json:"ed25519_verify"`
	}](t, raw)
	for _, c := range cases(t, v.Cases) {
		id, err := identity.ParseText(c.Text)
		if err != nil {
			t.Fatal(err)
		}
		bin, err := hex.DecodeString(c.Binary)
		if err != nil {
			t.Fatal(err)
		}
		back, err := identity.ParseHotspotID(bin)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "binary", id, back)
		equal(t, "text", back.String(), c.Text)
		equal(t, "network", id.Network().String(), c.Network)
		equal(t, "type", id.Type().String(), c.Type)
	}
	if v.Verify == nil {
		t.Fatal("ed25519_verify is missing")
	}
	id, err := identity.ParseText(v.Verify.Text)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := hex.DecodeString(v.Verify.Sig)
	if err != nil {
		t.Fatal(err)
	}
	if err := id.Verify([]byte(v.Verify.Msg), sig); err != nil {
		t.Error(err)
	}
	if id.Verify([]byte(v.Verify.Msg+"x"), sig) == nil {
		t.Error("another message verifies")
	}
}

// checkVerificationOrder compares with what the code does: the order in which
// faults of a report with every fault come to light (order_test.go), and the
// order that the package tells.
func checkVerificationOrder(t *testing.T, raw json.RawMessage) {
	v := strict[struct {
		Beacon  []string `json:"beacon"`
		Witness []string `json:"witness"`
	}](t, raw)
	compare := func(what string, got, want []string) {
		if !slices.Equal(got, cases(t, want)) {
			t.Errorf("%s:\n got %v\nwant %v", what, got, want)
		}
	}
	compare("observed order of a beacon's checks", observedBeaconOrder(t), v.Beacon)
	compare("observed order of a witness's checks", observedWitnessOrder(t), v.Witness)
	compare("told order of a beacon's checks", labels(BeaconOrder(), SideBeaconer), v.Beacon)
	compare("told order of a witness's checks", labels(WitnessOrder(), SideWitness), v.Witness)
}

func checkReasonEnum(t *testing.T, raw json.RawMessage) {
	want := strict[map[string]uint8](t, raw)
	got := map[string]uint8{}
	for _, r := range Reasons() {
		got[r.String()] = uint8(r)
	}
	if len(want) == 0 || !maps.Equal(got, want) {
		t.Errorf("reasons %v, want %v", got, want)
	}
}
