package sx1302

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestUnreadKeys(t *testing.T) {
	text := smallConf
	for from, to := range map[string]string{
		`"rf_power": 1`:     `"desc": "TX gain", "rf_power": 1`,
		`"lorawan_public"`:  `"lorawan_pubic": true, "LoRaWAN_Public"`, // case does not matter to the decoder
		`"chan_multiSF_0":`: `"chan_multiSF_9": {"if": 0}, "chan_multiSF_0":`,
		`"if": -400000`:     `"IF": -400000, "bandwith": 125000`,
		`"gateway_ID"`:      `"gps_tty_path": "/dev/ttyS0", "gateway_ID"`,
	} {
		if !strings.Contains(text, from) {
			t.Fatalf("nothing like %s", from)
		}
		text = strings.ReplaceAll(text, from, to)
	}
	g, err := ParseGlobalConf([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"SX130x_conf.chan_multiSF_0.bandwith", "SX130x_conf.chan_multiSF_9", "SX130x_conf.lorawan_pubic", "SX130x_conf.note",
		"SX130x_conf.radio_0.tx_gain_lut[].desc", "gateway_conf.gateway_ID",
	}
	if !slices.Equal(g.Unread, want) {
		t.Errorf("unread: %q\nwant:   %q", g.Unread, want)
	}
	if g.GNSSPath != "/dev/ttyS0" {
		t.Errorf("receiver at %q", g.GNSSPath)
	}
}

// TestVendorKeysAreRead looks at the configurations of the recordings: of what is
// about the concentrator every key is read.
func TestVendorKeysAreRead(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(tracesDir(), "*_conf.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no configuration in %s: %v", tracesDir(), err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		g, err := ParseGlobalConf(b)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range g.Unread {
			if !strings.HasPrefix(k, "gateway_conf.") {
				t.Errorf("%s: %s", filepath.Base(file), k)
			}
		}
	}
}

func TestUnreadKeysBounded(t *testing.T) {
	var more strings.Builder
	for i := range 2 * maxUnread {
		more.WriteString(`, "k` + strconv.Itoa(i) + `": [{}]`)
	}
	g, err := ParseGlobalConf([]byte(strings.TrimSuffix(smallConf, "}") + more.String() + "}"))
	if err != nil || len(g.Unread) != maxUnread {
		t.Errorf("%d keys, %v", len(g.Unread), err)
	}
}
