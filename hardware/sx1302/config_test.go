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
		{`"radio": 0, "if": -400000`, `"radio": 1, "if": -400000`, "not enabled"},
		{`"radio": 0, "if": -400000`, `"radio": 2, "if": -400000`, "not enabled"},
		{"[ 7, 8", "[ 4, 8", "spreading factor 4"},
		{`"spread_factor": 8`, `"spread_factor": 13`, "SF13"},
		{`"bandwidth": 500000`, `"bandwidth": 400000`, "service"},
		{`"datarate": 50000`, `"datarate": 0`, "bit rate"},
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
