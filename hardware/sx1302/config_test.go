package sx1302

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"heliograph/hardware/sx1302/calc"
	"heliograph/radio"
)

const smallConf = "\xEF\xBB\xBF" + `{ /* concentrator */ "SX130x_conf": {
	"com_type": "SPI", "com_path": "/dev/spidev0.0", // not /* a comment
	"lorawan_public": true, "clksrc": 0, "antenna_gain": 2.15, /* dBi */
	"radio_0": { "enable": true, "type": "SX1250", "freq": 904300000, "rssi_offset": -215.4,
		"rssi_tcomp": {"coeff_a": 0, "coeff_b": 0, "coeff_c": 20.41, "coeff_d": 2162.56, "coeff_e": 0},
		"tx_enable": true, "tx_freq_min": 923000000, "tx_freq_max": 928000000,
		"tx_gain_lut": [ {"rf_power": 12, "pa_gain": 0, "pwr_idx": 15},
			{"rf_power": 14, "pa_gain": 0, "pwr_idx": 18}, {"rf_power": 13, "pa_gain": 0, "pwr_idx": 16}, ], },
	"radio_1": { "enable": false, "type": "no such type" },
	"chan_multiSF_All": {"spreading_factor_enable": [ 7, 8, 9, 10 ]},
	"chan_multiSF_0": { "enable": true, "radio": 0, "if": -400000 },
	"chan_multiSF_1": { "enable": false, "radio": 1, "if": 100000 },
	"chan_Lora_std": { "enable": true, "radio": 0, "if": 300000, "bandwidth": 500000, "spread_factor": 8,
		"implicit_hdr": false, "implicit_payload_length": 17, "implicit_crc_en": true, "implicit_coderate": 1 },
	"chan_FSK": { "enable": true, "radio": 0, "if": 300000, "freq_deviation": 25000, "datarate": 50000 },
	"note": "a // in a string, and a \" quote /* too */"
}, "gateway_conf": { "gateway_ID": "AA555A0000000000" } }`

func TestParseGlobalConf(t *testing.T) {
	g, err := ParseGlobalConf([]byte(smallConf))
	if err != nil {
		t.Fatal(err)
	}
	want := GlobalConf{Path: "/dev/spidev0.0", Unread: []string{"SX130x_conf.note", "gateway_conf.gateway_ID"}, Config: Config{
		Public: true, AntennaGain: 215, SF: 0x3C,
		Service: Service{Enable: true, IF: 300_000, Bandwidth: 500_000, SF: 8},
		FSK:     FSK{Enable: true, IF: 300_000, Bandwidth: 100_000, BitRate: 50_000},
	}}
	want.Radios[0] = Radio{
		Enable: true, Kind: calc.SX1250, Frequency: 904_300_000, RSSIOffset: -21540, TempComp: calc.CoreCell(),
		TxEnable: true, TxMin: 923_000_000, TxMax: 928_000_000,
		Gains: []calc.Gain{
			{Power: radio.DBm(12), PowerIndex: 15, DAC: 3, Mixer: 5},
			{Power: radio.DBm(13), PowerIndex: 16, DAC: 3, Mixer: 5}, // the one before it can never be chosen
		},
	}
	want.Channels[0] = Channel{Enable: true, IF: -400_000}
	if !reflect.DeepEqual(g, want) {
		t.Errorf("got  %+v\nwant %+v", g, want)
	}
	if f, ok := g.Frequency(ChanService); f != 904_600_000 || !ok {
		t.Errorf("service channel at %v, %v", f, ok)
	}
	if _, ok := g.Frequency(1); ok {
		t.Error("a channel that is off has a frequency")
	}
}

func TestParseGlobalConfRefuses(t *testing.T) {
	for _, tt := range []struct{ from, to, text string }{
		{smallConf, "", "global_conf"},
		{`"SX130x_conf"`, `"SX1301_conf"`, "another concentrator"},
		{`quote /* too */"`, "quote\" /* too", "comment without end"},
		{`"clksrc": 0`, `"clksrc": 1`, "clock source"},
		{`"clksrc": 0`, `"clksrc": -1`, "clksrc"},
		{`"com_type": "SPI"`, `"com_type": "I2C"`, "neither SPI nor USB"},
		{`"type": "SX1250"`, `"type": "SX1276"`, "SX1276"},
		{"904300000", "904300000e9", "freq"},
		{`"if": -400000`, `"if": -740000`, "800 kHz"},
		{`"radio": 0, "if": -400000`, `"radio": 2, "if": -400000`, "there are two"},
		{"[ 7, 8", "[ 4, 8", "spreading factor 4"},
		{`"spread_factor": 8`, `"spread_factor": 13`, "SF13"},
		{`"bandwidth": 500000`, `"bandwidth": 400000`, "service"},
		{`"datarate": 50000`, `"datarate": 400`, "bit rate"},
		{"[ 7, 8", "[ 5, 6, 7, 8, 9, 10, 11, 7, 8", "more than 8"},
		{`"pwr_idx": 15`, `"pwr_idx": 23`, "power index"},
		{`"tx_freq_max": 928000000`, `"tx_freq_max": 900000000`, "transmit frequencies"},
	} {
		text := strings.Replace(smallConf, tt.from, tt.to, 1)
		_, err := ParseGlobalConf([]byte(text))
		if err == nil || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%s -> %s: %v", tt.from[:min(30, len(tt.from))], tt.to, err)
		}
		if f, ok := FaultOf(err); err != nil && (!ok || f != FaultConfig) {
			t.Errorf("%s: fault %v", tt.to, f)
		}
	}
	if _, err := ParseGlobalConf(bytes.Repeat([]byte(" "), MaxGlobalConf+1)); err == nil {
		t.Error("a file without bound passes")
	}
}

// TestParseGlobalConfMissing checks that what a file leaves out is what the
// forwarder of the vendor's HAL 2.1.0 starts with, and that a file which cannot
// work as meant says so.
func TestParseGlobalConfMissing(t *testing.T) {
	for _, tt := range []struct {
		from, to string
		got      func(GlobalConf) any
		want     any
		warning  string
	}{
		{`"bandwidth": 500000, "spread_factor": 8,`, "", func(g GlobalConf) any { return [2]int{int(g.Service.Bandwidth), int(g.Service.SF)} }, [2]int{250_000, 7}, ""},
		{`"freq_deviation": 25000, "datarate": 50000`, `"bandwidth": 0`, func(g GlobalConf) any { return [2]int{int(g.FSK.Bandwidth), int(g.FSK.BitRate)} }, [2]int{250_000, 64_000}, ""},
		{`"datarate": 50000`, `"bandwidth": 600000, "datarate": 50000`, func(g GlobalConf) any { return g.FSK.Bandwidth }, 250 * radio.KHz, ""},
		{`{"spreading_factor_enable": [ 7, 8, 9, 10 ]}`, "{}", func(g GlobalConf) any { return g.SF }, uint8(0xFF), ""},
		{`[ 7, 8, 9, 10 ]`, "[]", func(g GlobalConf) any { return g.SF }, uint8(0), ""},
		{`"antenna_gain"`, `"fine_timestamp": {"enable": true, "mode": "HIGH_CAPACITY"}, "antenna_gain"`, func(g GlobalConf) any { return g.Fine }, FineHighCapacity, ""},
		{`"tx_gain_lut"`, `"lut"`, func(g GlobalConf) any { return g.Radios[0].TxEnable }, false, "radio_0: tx_gain_lut is missing"},
		{`"radio": 0, "if": -400000`, `"radio": 1, "if": -400000`, func(g GlobalConf) any { _, ok := g.Frequency(0); return ok }, false, "IF chain 0 uses radio_1"},
		{`"radio_0"`, `"sx1261_conf": {"lbt": {"enable": true}}, "radio_0"`, func(g GlobalConf) any { return g.SX1261.Enable }, true, "nothing may be sent"},
	} {
		text := strings.Replace(smallConf, tt.from, tt.to, 1)
		g, err := ParseGlobalConf([]byte(text))
		if err != nil || text == smallConf {
			t.Errorf("%s -> %s: %v", tt.from, tt.to, err)
			continue
		}
		if got := tt.got(g); got != tt.want {
			t.Errorf("%s -> %s: %v, want %v", tt.from, tt.to, got, tt.want)
		}
		if got := strings.Join(g.Warnings, "; "); (tt.warning == "") != (got == "") || !strings.Contains(got, tt.warning) {
			t.Errorf("%s -> %s: warnings %q, want %q", tt.from, tt.to, got, tt.warning)
		}
	}
}

// TestPowerTables reads tables as the forwarder does: their kind is that of the
// first entry, and the gains of an SX1257 that no power can choose are calibrated
// with the others, in the file's order.
func TestPowerTables(t *testing.T) {
	conf := func(lut string) Radio {
		t.Helper()
		text := strings.Replace(smallConf, `"SX1250"`, `"SX1257"`, 1)
		from := strings.Index(text, `"tx_gain_lut"`)
		to := from + strings.Index(text[from:], "]")
		g, err := ParseGlobalConf([]byte(text[:from] + lut + text[to+1:]))
		if err != nil {
			t.Fatal(err)
		}
		return g.Radios[0]
	}
	if r := conf(`"note": ""`); !r.TxEnable || !reflect.DeepEqual(r.Gains, []calc.Gain{{Power: radio.DBm(14), PA: 2, DAC: 3, Mixer: 10}}) {
		t.Errorf("without a table: %+v", r)
	}
	if r := conf(`"tx_gain_lut": [{"rf_power": 14, "pa_gain": 1, "dig_gain": 2, "pwr_idx": 9}]`); r.Gains[0] != (calc.Gain{Power: radio.DBm(14), PA: 1, Mixer: 5}) {
		t.Errorf("with the table of an SX1250: %+v", r.Gains)
	}
	r := conf(`"tx_gain_lut": [{"rf_power": 14, "mix_gain": 10}, {"rf_power": 10, "mix_gain": 8}, {"rf_power": 20, "mix_gain": 12}]`)
	var mixers []byte
	for _, g := range r.Calibrate {
		mixers = append(mixers, g.Mixer)
	}
	if !bytes.Equal(mixers, []byte{10, 8, 12}) || len(r.Gains) != 2 || r.Gains[0].Mixer != 8 || r.Gains[1].Mixer != 12 {
		t.Errorf("unsorted: %+v calibrates %v", r.Gains, mixers)
	}
}

func TestNewRefuses(t *testing.T) {
	g, err := ParseGlobalConf(setConf(t, "spi_sx1257_eu868"))
	if err != nil {
		t.Fatal(err)
	}
	chip := newFakeChip(&fakeClock{})
	if _, err := New(Options{Config: g.Config}); err == nil {
		t.Error("no bus passes")
	}
	if _, err := New(Options{SPI: chip}); err == nil {
		t.Error("an empty configuration passes")
	}
	if _, err := New(Options{USB: (&fakeBridge{}).dial, Config: g.Config}); err == nil {
		t.Error("SX1257 over USB passes")
	}
	g.SX1261 = SX1261{Enable: true}
	if _, err := New(Options{SPI: chip, Config: g.Config}); err == nil {
		t.Error("an SX1261 without a wire passes")
	}
}

func FuzzGlobalConf(f *testing.F) {
	f.Add([]byte(smallConf))
	files, _ := filepath.Glob(filepath.Join("testdata", "traces", "*_conf.json"))
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		g, err := ParseGlobalConf(b)
		if !bytes.Equal(b, before) {
			t.Fatal("the input was changed")
		}
		if err != nil {
			return
		}
		if err := g.Validate(); err != nil {
			t.Fatalf("invalid: %v", err)
		}
		c, err := New(Options{SPI: newFakeChip(&fakeClock{}), SX1261: &fakeSX1261{}, Config: g.Config})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.setChannelizer(); err != nil {
			t.Fatal(err)
		}
		if err := c.setMultiSF(); err != nil {
			t.Fatal(err)
		}
	})
}
