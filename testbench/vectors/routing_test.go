package vectors

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// routingFile is the file's top level.
type routingFile map[string]json.RawMessage

// routingChecks has one check for each section. A check may look at other
// sections, too.
var routingChecks = map[string]func(f routingFile, raw json.RawMessage) error{
	"airtime":                     checkAirtime,
	"captured_session_cns_3_16_8": checkCapturedSession,
	"dc_cost":                     checkDataCredits,
	"devaddr_netid":               checkDevAddrs,
	"frames_1_0":                  checkFrames10,
	"frames_1_1":                  checkFrames11,
	"gateway_mac_from_pubkey":     checkGatewayMACs,
	"gwmp_examples":               checkGWMPExamples,
	"hashes":                      checkHashes,
	"helium_devaddr_ranges":       checkDevAddrRanges,
	"hpr_fns_ul_token":            checkFNSULToken,
	"http_roaming_examples":       checkRoaming,
	"joins":                       checkJoins,
	"packet_router_up_signing":    checkUpSigning,
	"timing_us":                   checkTiming,
}

const routingPath = "testdata/routing_vectors.json"

func readRouting(t *testing.T, path string) routingFile {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var f routingFile
	if err := json.Unmarshal(b, &f); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return f
}

// comment says whether a top-level entry is for people.
func comment(name string, raw json.RawMessage) bool {
	return strings.HasPrefix(name, "_") || name == "note" && len(raw) > 0 && raw[0] == '"'
}

func checkRouting(f routingFile, name string) error {
	if comment(name, f[name]) {
		return nil
	}
	check, ok := routingChecks[name]
	if !ok {
		return errors.New("no check knows this section")
	}
	if isEmpty(f[name]) {
		return errors.New("the section is empty")
	}
	return check(f, f[name])
}

func TestRoutingVectors(t *testing.T) {
	path := os.Getenv("ROUTING_VECTORS")
	if path == "" {
		path = routingPath
	}
	f := readRouting(t, path)
	sections := 0
	for _, name := range slices.Sorted(maps.Keys(f)) {
		if !comment(name, f[name]) {
			sections++
		}
		t.Run(name, func(t *testing.T) {
			if err := checkRouting(f, name); err != nil {
				t.Error(err)
			}
		})
	}
	if sections == 0 {
		t.Error("the file has no section")
	}
}

func TestUnknownSectionFails(t *testing.T) {
	f := routingFile{"surprise": json.RawMessage(`[1]`), "_about": json.RawMessage(`"x"`), "airtime": json.RawMessage(`[]`)}
	for name, fails := range map[string]bool{"surprise": true, "_about": false, "airtime": true} {
		if err := checkRouting(f, name); (err != nil) != fails {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// unnoticed lists the fields whose change leaves a correct file: prose, and
// inputs that nothing else in the file depends on. The last element of a path
// is compared, and the path with its indices taken out.
var unnoticed = map[string]bool{
	"name": true, "source": true, "note": true, "rule": true, "what": true, "gotcha": true, "kind": true,
	"animal_name": true, "ack_down_note": true,

	// Measurements; only their order is checked.
	"captured_session_cns_3_16_8.latency_ms": true,
	"http_roaming_examples.latency_ms":       true,

	// A datagram with another value is another correct datagram.
	"gwmp_examples": true,
	"captured_session_cns_3_16_8.gwmp_push_data_json":      true,
	"captured_session_cns_3_16_8.gwmp_pull_resp_json":      true,
	"captured_session_cns_3_16_8.gwmp_pull_resp_data_json": true,

	// The same goes for what the roaming partners agree between themselves.
	"TransactionID": true, "Description": true, "Lifetime": true, "FCntUp": true, "KEKLabel": true,
	"DLFreq1": true, "DLFreq2": true, "DataRate1": true, "DataRate2": true, "FNSULToken": true, "ULToken": true,
	"http_roaming_examples.pr_start_ans_data.DevEUI": true,

	// Another host in the same network, and keys that the MIC does not need: the
	// file has neither plain text nor FOpts for these frames.
	"devaddr_netid.devaddr": true, "frames_1_1.app_s_key": true, "frames_1_1.nwk_s_enc_key": true,

	// Lower bounds for which the file has no second source.
	"class_c_asap_lead": true, "beacon_guard": true, "beacon_reserved": true,
}

// TestChangesAreNoticed changes each value of our own file in turn and wants its
// section to fail. So no check is one that cannot fail.
func TestChangesAreNoticed(t *testing.T) {
	f := readRouting(t, routingPath)
	changes := 0
	for _, name := range slices.Sorted(maps.Keys(f)) {
		if comment(name, f[name]) || unnoticed[name] {
			continue
		}
		var tree any
		if err := json.Unmarshal(f[name], &tree); err != nil {
			t.Fatal(err)
		}
		walk(tree, name, name, func(at string) {
			raw, err := json.Marshal(tree)
			if err != nil {
				t.Fatal(err)
			}
			changed := maps.Clone(f)
			changed[name] = raw
			changes++
			if checkRouting(changed, name) == nil {
				t.Errorf("a change at %s is not noticed", at)
			}
		})
	}
	t.Logf("%d changes", changes)
	if changes < 100 {
		t.Errorf("only %d values were changed", changes)
	}
}

// walk changes each leaf, calls visit and puts the old value back. at is the
// full path, key the path without indices.
func walk(v any, at, key string, visit func(at string)) {
	last := key[strings.LastIndexByte(key, '.')+1:]
	if unnoticed[key] || unnoticed[last] {
		return
	}
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			child := key + "." + k
			if c, ok := change(e); ok && !unnoticed[k] && !unnoticed[child] {
				v[k] = c
				visit(at + "." + k)
				v[k] = e
				continue
			}
			walk(e, at+"."+k, child, visit)
		}
	case []any:
		for i, e := range v {
			here := fmt.Sprintf("%s[%d]", at, i)
			if c, ok := change(e); ok {
				v[i] = c
				visit(here)
				v[i] = e
				continue
			}
			walk(e, here, key, visit)
		}
	}
}

func change(v any) (any, bool) {
	switch v := v.(type) {
	case bool:
		return !v, true
	case float64:
		return v*100 + 77, true
	case string:
		if v == "" {
			return "x", true
		}
		last := v[len(v)-1]
		switch {
		case last >= '0' && last <= '8', last >= 'a' && last < 'f':
			last++
		case last == '9', last == 'f', last == 'F':
			last--
		default:
			last = '0'
		}
		return v[:len(v)-1] + string(last), true
	}
	return nil, false
}
