package sx1302

import (
	"context"
	"slices"
	"testing"

	"heliograph/hardware/sx1302/calc"
	"heliograph/radio"
)

// startVariant starts the driver on a recording's configuration with a change.
func startVariant(t *testing.T, set string, change func(*Config)) (*Concentrator, *fakeChip) {
	t.Helper()
	c, chip := makeFake(t, setConf(t, set))
	change(&c.cfg)
	c.lbt = c.cfg.SX1261.Enable
	if err := c.cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	if err := c.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	return c, chip
}

// field reads a register field of the chip.
func (f *fakeChip) field(g field) int { return g.extract(f.mem[g.addr()]) }

func TestPrivateNetwork(t *testing.T) {
	_, chip := startVariant(t, "spi_sx1250_eu868", func(c *Config) { c.Public = false })
	for _, f := range []field{regRxTopFrameSynch0Sf7to12Peak1PosSf7to12, regRxTopLoraServiceFskFrameSynch0Peak1Pos} {
		if v := chip.field(f); v != 2 {
			t.Errorf("first sync peak is %d", v)
		}
	}
}

// TestService goes through the rules of the service channel (c.15, c.17, e.2).
func TestService(t *testing.T) {
	for _, tt := range []struct {
		sf                                         radio.SpreadingFactor
		bw                                         radio.Hertz
		p, i, preamble, fine, ppm, peak, bandwidth int
	}{
		{5, 125_000, 4, 0, 12, 1, 0, 2, 4},
		{6, 250_000, 4, 0, 12, 1, 0, 2, 5},
		{7, 250_000, 6, 0, 8, 0, 0, 6, 5},
		{10, 500_000, 6, 0, 8, 0, 0, 6, 6},
		{11, 125_000, 7, 1, 8, 0, 1, 6, 4},
		{11, 250_000, 7, 2, 8, 0, 0, 6, 5},
		{12, 250_000, 7, 2, 8, 0, 1, 6, 5},
		{12, 500_000, 7, 3, 8, 0, 0, 6, 6},
	} {
		_, chip := startVariant(t, "spi_sx1250_eu868", func(c *Config) { c.Service.SF, c.Service.Bandwidth = tt.sf, tt.bw })
		for _, v := range []struct {
			name string
			f    field
			want int
		}{
			{"P_PREAMB", regRxTopLoraServiceFskFineTiming1GainPPreamb, tt.p},
			{"I_EN", regRxTopLoraServiceFskFineTiming2GainIEn, tt.i},
			{"preamble", regRxTopLoraServiceFskTxrxCfg6PreambleSymbNb, tt.preamble},
			{"FINE_SYNCH_EN", regRxTopLoraServiceFskTxrxCfg2FineSynchEn, tt.fine},
			{"PPM", regRxTopLoraServiceFskTxrxCfg1PpmOffset, tt.ppm},
			{"peak", regRxTopLoraServiceFskFrameSynch0Peak1Pos, tt.peak},
			{"BW", regRxTopLoraServiceFskTxrxCfg0ModemBw, tt.bandwidth},
			{"SF", regRxTopLoraServiceFskTxrxCfg0ModemSf, int(tt.sf)},
		} {
			if got := chip.field(v.f); got != v.want {
				t.Errorf("SF%d at %v: %s is %d, want %d", tt.sf, tt.bw, v.name, got, v.want)
			}
		}
	}
}

func TestImplicitService(t *testing.T) {
	c, chip := startVariant(t, "spi_sx1250_eu868", func(c *Config) {
		c.Service.ImplicitHeader, c.Service.ImplicitLength, c.Service.ImplicitCoding = true, 17, 3
	})
	if chip.field(regRxTopLoraServiceFskTxrxCfg2ImplicitHeader) != 1 || chip.field(regRxTopLoraServiceFskTxrxCfg3PayloadLength) != 17 ||
		chip.field(regRxTopLoraServiceFskTxrxCfg1CodingRate) != 3 || chip.field(regRxTopLoraServiceFskTxrxCfg2CrcEn) != 0 {
		t.Error("implicit header is not set up")
	}
	e := entry([]byte("seventeen bytes.."), ChanService, 0, 0) // its head says 4/5 and CRC
	chip.fifo = e
	ps, err := c.Receive(context.Background())
	if err != nil || len(ps) != 1 || ps[0].Coding != 3 || ps[0].CRC != radio.CRCNone || ps[0].DataRate.Bandwidth != 250_000 {
		t.Errorf("%+v, %v", ps, err)
	}
}

func TestOneRadio(t *testing.T) {
	off := func(c *Config, i uint8) {
		c.Radios[i] = Radio{}
		for j := range c.Channels {
			if c.Channels[j].Radio == i {
				c.Channels[j] = Channel{}
			}
		}
		if c.Service.Radio == i {
			c.Service = Service{}
		}
		if c.FSK.Radio == i {
			c.FSK = FSK{}
		}
	}
	_, chip := startVariant(t, "spi_sx1250_eu868", func(c *Config) { off(c, 1) })
	if v := chip.field(regRxTopCorrelatorEnCorrEn); v != 0xF8 {
		t.Errorf("correlators %#02x", v)
	}
	if chip.mode[1] != 0 {
		t.Error("the radio that is off was spoken to")
	}
	_, chip = startVariant(t, "spi_sx1250_eu868", func(c *Config) { off(c, 0); c.ClockSource = 1 })
	if chip.mem[0x57C0] != 6 {
		t.Errorf("clock selection %#02x", chip.mem[0x57C0])
	}
	// Alone, a radio calibrates its receiver with its own transmitter.
	_, chip = startVariant(t, "spi_sx1257_eu868", func(c *Config) { off(c, 1) })
	if !slices.ContainsFunc(chip.writes, func(w write) bool { return w.mux == 1 && w.addr == fxMode && w.data == "0f" }) {
		t.Error("no loopback")
	}
}

// TestCalibrationKeeps starts on front ends whose registers are not zero after a
// reset, and checks that the calibration narrows the transmit PLL and leaves the
// analog filter and, for a tone of the radio's own, the DAC's clock as they were.
func TestCalibrationKeeps(t *testing.T) {
	const txBW, clock = 0x75, 0x00 // PLL 3, filter 0x15
	for _, alone := range []bool{false, true} {
		c, chip := makeFake(t, setConf(t, "spi_sx1257_eu868"))
		if alone {
			c.cfg.Radios[1] = Radio{}
		}
		for i := range chip.radio {
			chip.radio[i][fxTxBW], chip.radio[i][fxClkSelect] = txBW, clock
		}
		if err := c.Start(context.Background()); err != nil {
			t.Fatal(err)
		}
		seen := 0
		state := [2]struct{ bw, clock string }{{"75", "00"}, {"75", "00"}}
		for _, w := range chip.writes {
			if w.mux != 1 && w.mux != 2 {
				continue
			}
			s := &state[w.mux-1]
			switch w.addr {
			case fxTxBW:
				s.bw = w.data
			case fxClkSelect:
				s.clock = w.data
			case fxMode:
				if w.data != "0d" && w.data != "0f" {
					continue
				}
				seen++
				if s.bw != "15" {
					t.Errorf("alone %v: radio %d sends with TX_BW %s", alone, w.mux-1, s.bw)
				}
				want := "05" // carrier: loopback, clock from the concentrator
				if w.data == "0d" {
					want = "00"
				} else if alone && seen <= calRuns {
					want = "04"
				}
				if s.clock != want {
					t.Errorf("alone %v: run %d: radio %d sends with CLK_SELECT %s, want %s", alone, seen, w.mux-1, s.clock, want)
				}
			}
		}
		if seen < 2*calRuns {
			t.Errorf("%d tones", seen)
		}
	}
}

func TestSX1255(t *testing.T) {
	c, chip := startVariant(t, "spi_sx1257_eu868", func(c *Config) {
		for i := range c.Radios {
			c.Radios[i].Kind, c.Radios[i].Frequency = calc.SX1255, 490*radio.MHz
		}
	})
	want, err := calc.SX125xFrequency(calc.SX1255, 490*radio.MHz)
	if err != nil {
		t.Fatal(err)
	}
	r := chip.radio[0]
	if got := uint32(r[1])<<16 | uint32(r[2])<<8 | uint32(r[3]); got != want {
		t.Errorf("FRF_RX %#x, want %#x", got, want)
	}
	if r[fxXosc1255] != 0x2D || r[fxXosc1257] != 0 {
		t.Errorf("oscillator registers %#02x, %#02x", r[fxXosc1255], r[fxXosc1257])
	}
	if len(c.offsets[0]) == 0 || len(c.offsets[1]) != 0 {
		t.Errorf("carrier corrections %v", c.offsets)
	}
}

func TestFullDuplex(t *testing.T) {
	_, chip := startVariant(t, "spi_sx1257_eu868", func(c *Config) { c.FullDuplex = true })
	if chip.mem[0x5785] != 0xCF || chip.mem[0x5786] != 0x42 {
		t.Errorf("amplifier tables %#02x, %#02x", chip.mem[0x5785], chip.mem[0x5786])
	}
}

func TestListenBeforeTalkStarts(t *testing.T) {
	_, chip := startVariant(t, "spi_sx1250_eu868", func(c *Config) {
		c.SX1261 = SX1261{Enable: true, LBT: true, Threshold: radio.DBm(-70), Channels: []LBTChannel{
			{Frequency: 868_100_000, Bandwidth: 125_000, Scan: 128, Transmit: 400_000},
		}}
	})
	var got []string
	for _, w := range chip.writes {
		if w.mux == muxSX1261 {
			s := newStream()
			s.feed([]write{w})
			if n := len(got); n == 0 || got[n-1] != s.events[0] {
				got = append(got, s.events[0])
			}
		}
	}
	want := []string{
		"SX1261:80 00", "SX1261:0D 061010", "SX1261:00 program", "SX1261:0D 061000", "SX1261:D9 ",
		"SX1261:98 d7db", "SX1261:80 00", "SX1261:8F 8080", "SX1261:0D 08accb",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestFSK sends an FSK packet and receives one.
func TestFSK(t *testing.T) {
	c, chip := startVariant(t, "spi_sx1250_eu868", func(c *Config) { c.FSK.SyncWord = []byte{1, 2, 3, 4, 5} })
	if chip.field(regRxTopLoraServiceFskFskCfg1Psize) != 4 || chip.mem[0x5B5D] != 1 || chip.mem[0x5B61] != 5 || chip.mem[0x5B62] != 0 {
		t.Errorf("sync word % x", chip.mem[0x5B5D:0x5B65])
	}
	chip.emit = true
	now, _ := c.Now()
	p := downlink(now.Add(100_000))
	p.DataRate, p.Coding = radio.FSKRate(50_000), 0
	if res, err := c.Send(context.Background(), p); err != nil || res.Status != radio.TxOK {
		t.Fatalf("%+v, %v", res, err)
	}
	if chip.mem[addrTxBuffer] != byte(len(p.Payload)) || string(chip.mem[addrTxBuffer+1:][:len(p.Payload)]) != string(p.Payload) {
		t.Errorf("buffer % x", chip.mem[addrTxBuffer:addrTxBuffer+9])
	}
	if chip.mem[0x5209] != 1 || chip.mem[0x520C] != 0x80 || chip.mem[0x5244] != 2 || chip.mem[0x5245] != 0x80 {
		t.Errorf("modulation %d, bandwidth %#02x, bit rate % x", chip.mem[0x5209], chip.mem[0x520C], chip.mem[0x5244:0x5246])
	}
	if chip.mem[0x578A] != 0 || chip.mem[0x578B] != 0x66 || chip.mem[0x578C] != 0x66 { // 25 kHz * 2^25 / 32 MHz = 0x6666
		t.Errorf("deviation % x", chip.mem[0x578A:0x578D])
	}
	e := entry([]byte("fsk"), ChanFSK, 0, 0)
	e[offModem], e[offFlags] = modemFSK, 1
	e[len(e)-1] = calc.Checksum(e[:len(e)-1])
	chip.fifo = e
	ps, err := c.Receive(context.Background())
	if err != nil || len(ps) != 1 || ps[0].DataRate != radio.FSKRate(50_000) || ps[0].HasSignalRSSI || ps[0].HasOffset {
		t.Errorf("%+v, %v", ps, err)
	}
}
