package calc

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"heliograph/radio"
	"heliograph/radio/airtime"
)

// Where the vendor is off, the truth is the time on air: header end + payload.
func TestFineCorrectionCountsRealSymbols(t *testing.T) {
	for _, dr := range []radio.DataRate{
		radio.LoRaRate(11, 250*radio.KHz), radio.LoRaRate(11, 500*radio.KHz), radio.LoRaRate(12, 500*radio.KHz),
	} {
		for n := range 256 {
			p := Packet{DataRate: dr, Coding: 1, CRC: true, Bytes: n}
			whole, err := airtime.OnAir(airtime.Params{DataRate: dr, Coding: 1, PayloadBytes: n})
			if err != nil {
				t.Fatal(err)
			}
			header := airtime.Symbol(dr) * (8*4 + 17 + 8*4) / 4
			got := FineCorrection(p)
			if d := whole - header - got; d < 5 || d > 19 { // the filter's delay
				t.Fatalf("%v %d bytes: correction %d, payload lasts %d", dr, n, got, whole-header)
			}
			if VendorFineCorrection(p) < got {
				t.Fatalf("%v %d bytes: the vendor's figure is smaller", dr, n)
			}
		}
	}
}

func TestCorrectionsRefuse(t *testing.T) {
	good := Packet{DataRate: radio.LoRaRate(7, 125*radio.KHz), Coding: 1, Bytes: 10}
	if LegacyCorrection(good) >= 0 {
		t.Error("the legacy correction is not negative")
	}
	for _, change := range []func(*Packet){
		func(p *Packet) { p.DataRate.SF = 13 }, func(p *Packet) { p.DataRate.Bandwidth = 7 },
		func(p *Packet) { p.Coding = 0 }, func(p *Packet) { p.Coding = 5 },
		func(p *Packet) { p.Bytes = -1 }, func(p *Packet) { p.Bytes = 256 }, func(p *Packet) { *p = Packet{} },
	} {
		p := good
		change(&p)
		if l, f, v := LegacyCorrection(p), FineCorrection(p), VendorFineCorrection(p); l != 0 || f != 0 || v != 0 {
			t.Errorf("%+v: corrections %d %d %d", p, l, f, v)
		}
	}
	fsk := Packet{DataRate: radio.FSKRate(50_000)}
	if LegacyCorrection(fsk) != -7 || FineCorrection(fsk) != -7 { // 680000/50000 - 20
		t.Errorf("FSK correction = %d", LegacyCorrection(fsk))
	}
	ms, err := VendorAirMS(airtime.Params{DataRate: radio.FSKRate(50_000), PayloadBytes: 20})
	if err != nil || ms != 5 { // 8*(5+3+1+20+2)/50 = 4.96, +1
		t.Errorf("FSK time on air = %d ms, %v", ms, err)
	}
}

func TestRegisters(t *testing.T) {
	check := func(name string, got uint32, err error, want uint32) {
		t.Helper()
		if err != nil || got != want {
			t.Errorf("%s = %#x, %v; want %#x", name, got, err, want)
		}
	}
	// The recorded downlink of trace usb_sx1250_eu868: FREQ_RF 6C 89 99, FREQ_DEV 2 00.
	v, err := TxFrequency(SX1250, 868_300_000)
	check("FREQ_RF", v, err, 0x6C8999)
	v, err = TxFrequency(SX1255, 433_500_000)
	check("FREQ_RF of SX1255", v, err, 0x6C6000)
	d, err := TxDeviation(125 * radio.KHz / 2)
	check("FREQ_DEV", uint32(d), err, 0x200)
	v, err = SX1250Frequency(867_500_000)
	check("SET_RF_FREQUENCY", v, err, 0x36380000)
	v, err = SX125xFrequency(SX1257, 867_500_000)
	check("FRF SX1257", v, err, 0xD8E000)
	v, err = SX125xFrequency(SX1255, 433_500_000)
	check("FRF SX1255", v, err, 0xD8C000)
	v, err = SX1250Deviation(25_000)
	check("deviation", v, err, 26214)
	b, err := BitRate(50_000)
	check("bit rate", uint32(b), err, 640)
	// The vendor splits the SX125x word into whole and fraction parts; it is the same number.
	for f := uint64(860_000_000); f < 1_000_000_000; f += 777_777 {
		got, err := SX125xFrequency(SX1257, radio.Hertz(f))
		whole, rest := f/(15625<<8), f%(15625<<8)
		check("FRF", got, err, uint32(whole<<16|rest<<8/15625))
	}
	for _, f := range []radio.Hertz{-1, 0, 5_000_000_000} {
		if _, err := SX1250Frequency(f); err == nil {
			t.Errorf("SX1250 tunes to %d", f)
		}
		if _, err := TxFrequency(SX1257, f); err == nil {
			t.Errorf("FREQ_RF takes %d", f)
		}
	}
	if _, err := SX125xFrequency(SX1250, 868_000_000); err == nil {
		t.Error("an SX1250 has FRF")
	}
	if _, err := TxDeviation(500 * radio.KHz); err == nil {
		t.Error("FREQ_DEV takes 500 kHz")
	}
	if _, err := BitRate(0); err == nil {
		t.Error("bit rate 0 passes")
	}
}

func TestIFLimits(t *testing.T) {
	if _, err := IFRegister(2_000_000); err == nil {
		t.Error("2 MHz fits 13 bits")
	}
	for f := radio.Hertz(-1_999_000); f < 2_000_000; f += 997 {
		r, err := IFRegister(f)
		msb, lsb := r.Bytes()
		back := int16(uint16(msb)<<11|uint16(lsb)<<3) >> 3 // 13 bits, sign-extended
		if err != nil || IF(back) != r {
			t.Fatalf("IF %d = %d, bytes give %d, %v", f, r, back, err)
		}
		if e := r.Error(f); e > 489 || e < -489 {
			t.Fatalf("IF %d is off by %d", f, e)
		}
	}
	if CheckIF(-737_500, 125*radio.KHz) != nil || CheckIF(737_501, 125*radio.KHz) == nil || CheckIF(-600_000, 500*radio.KHz) == nil {
		t.Error("the radio's filter limits are wrong")
	}
}

func TestFrequencyOffset(t *testing.T) {
	for _, tt := range []struct {
		reg  int32
		bw   radio.Hertz
		ifE  radio.Hertz
		want radio.Hertz
	}{
		{0, 125_000, 0, 0}, {8388, 125_000, 0, 999}, {-8388, 125_000, 0, -999}, {-1, 500_000, 0, 0},
		{8389, 250_000, 391, 2000 + 391}, {-8389, 500_000, -98, -4000 - 98 - 0}, {131072, 125_000, 0, 15625},
		{5, 62_500, 0, 0},
	} {
		if got := FrequencyOffset(tt.reg, tt.bw, tt.ifE); got != tt.want {
			t.Errorf("FrequencyOffset(%d, %d, %d) = %d, want %d", tt.reg, tt.bw, tt.ifE, got, tt.want)
		}
	}
	if SignExtend20(0xFF, 0xFF, 0xFF) != -1 || SignExtend20(0, 0, 0xF8) != -524288 || SignExtend20(1, 2, 0xF7) != 0x70201 {
		t.Error("20-bit sign extension is wrong")
	}
	if OffsetStep(125*radio.KHz) != 119209 {
		t.Errorf("step = %d µHz", OffsetStep(125*radio.KHz))
	}
}

func TestDriftNeverLeavesTwelveBits(t *testing.T) {
	for f := 130 * radio.MHz; f <= 2600*radio.MHz; f += radio.MHz {
		for _, bw := range []radio.Hertz{125_000, 250_000, 500_000} {
			if d, err := FrequencyToTimeDrift(f, bw); err != nil || d.Mantissa < 2048 || d.Mantissa > 4095 {
				t.Fatalf("drift at %v %v = %+v, %v", f, bw, d, err)
			}
		}
	}
	if _, err := FrequencyToTimeDrift(0, 125_000); err == nil {
		t.Error("drift at 0 Hz")
	}
}

func TestCalibrationBand(t *testing.T) {
	for f, want := range map[radio.Hertz][2]byte{
		433_500_000: {0x6B, 0x6F}, 475_000_000: {0x75, 0x81}, 780_000_000: {0xC1, 0xC5},
		868_500_000: {0xD7, 0xDB}, 902_000_001: {0xE1, 0xE9},
	} {
		if a, b, err := CalibrationBand(f); err != nil || [2]byte{a, b} != want {
			t.Errorf("band of %v = %x %x, %v", f, a, b, err)
		}
	}
	for _, f := range []radio.Hertz{430_000_000, 440_000_000, 870_000_000, 902_000_000, 928_000_000, 0} {
		if _, _, err := CalibrationBand(f); err == nil {
			t.Errorf("%v has a band", f)
		}
	}
}

func TestStartDelay(t *testing.T) {
	for _, tt := range []struct {
		kind FrontEnd
		dr   radio.DataRate
		want uint16
	}{
		{SX1250, radio.LoRaRate(9, 125_000), 47413},
		{SX1250, radio.LoRaRate(12, 500_000), 47709},
		{SX1257, radio.LoRaRate(9, 125_000), 47332},
	} {
		if got, err := StartDelay(tt.kind, tt.dr); err != nil || got != tt.want {
			t.Errorf("start delay %v %v = %d, %v; want %d", tt.kind, tt.dr, got, err, tt.want)
		}
	}
	if _, err := StartDelay(SX1250, radio.FSKRate(50_000)); err == nil {
		t.Error("FSK has a start delay")
	}
	if _, err := StartDelay(0, radio.LoRaRate(9, 125_000)); err == nil {
		t.Error("no front end has a start delay")
	}
	if got, want := Trigger(1<<27+10, 47413), uint32(1<<32+320-47413); got != want {
		t.Errorf("trigger = %#x, want %#x", got, want)
	}
}

func TestGain(t *testing.T) {
	lut := []Gain{{Power: 1200, PowerIndex: 15}, {Power: 1700, PowerIndex: 22}, {Power: 2700, PA: 1, PowerIndex: 14}}
	if err := CheckGains(SX1250, lut); err != nil {
		t.Fatal(err)
	}
	for want, exp := range map[radio.CentiDBm]struct {
		i  int
		ok bool
	}{1100: {0, false}, 1200: {0, true}, 1699: {0, true}, 1700: {1, true}, 3000: {2, true}} {
		if g, ok := ChooseGain(lut, want); g != lut[exp.i] || ok != exp.ok {
			t.Errorf("gain for %v = %+v, %v", want, g, ok)
		}
	}
	if g, ok := ChooseGain(nil, 0); ok || g != (Gain{}) {
		t.Error("an empty table has a gain")
	}
	if lut[2].Register(SX1250) != 0x4E || lut[1].Register(SX1250) != 22 {
		t.Errorf("AGC_TX_PWR = %#x", lut[2].Register(SX1250))
	}
	if r := (Gain{PA: 2, DAC: 3, Mixer: 10}).Register(SX1257); r != 0xBA {
		t.Errorf("AGC_TX_PWR of an SX1257 = %#x", r)
	}
	for name, bad := range map[string][]Gain{
		"empty": nil, "long": make([]Gain, 17), "index": {{PowerIndex: 23}}, "pa": {{PA: 4}},
		"order": {{Power: 10}, {Power: 10}},
	} {
		if CheckGains(SX1250, bad) == nil {
			t.Errorf("%s table passes", name)
		}
	}
	if CheckGains(SX1257, lut) == nil {
		t.Error("mixer gain 0 passes")
	}
}

func TestSignal(t *testing.T) {
	if got := RSSI(115, -21540, CoreCell().At(25)); got != -9938 {
		t.Errorf("RSSI = %v", got)
	}
	if SNR(-37) != -925 || SNR(127) != 3175 {
		t.Error("SNR is not a quarter dB a step")
	}
	if got := FSKRSSI(0, -21540, 0); got != -12476 {
		t.Errorf("FSK RSSI = %v", got)
	}
	if (TempComp{A: 1e300}).At(85) != 0 {
		t.Error("an absurd curve compensates")
	}
}

func TestCRCKnown(t *testing.T) {
	if got := PayloadCRC([]byte("123456789")); got != 0xBEEF {
		t.Errorf("CRC = %#x", got)
	}
	if got := CRC16([]byte("123456789")); got != 0x31C3 {
		t.Errorf("XMODEM = %#x", got)
	}
	if PayloadCRC(nil) != 0 || Checksum([]byte{0xFF, 2}) != 1 {
		t.Error("edge cases")
	}
	// The definition: bits shifted in at the bottom, no augmentation.
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 256 {
		b := make([]byte, n)
		var reg uint16
		for i := range b {
			b[i] = byte(r.Uint32())
			for bit := 7; bit >= 0; bit-- {
				top := reg & 0x8000
				reg = reg<<1 | uint16(b[i]>>bit&1)
				if top != 0 {
					reg ^= 0x1021
				}
			}
		}
		if got := PayloadCRC(b); got != reg {
			t.Fatalf("%d bytes: %#x, want %#x", n, got, reg)
		}
	}
}

func TestImage(t *testing.T) {
	img := make([]byte, ImageBytes)
	for i := 0; i < len(img); i += 2 {
		w := ParityWord(uint16(i * 2654435761 >> 3))
		img[i], img[i+1] = byte(w), byte(w>>8)
	}
	if err := CheckImage(img); err != nil {
		t.Fatal(err)
	}
	if ParityWord(0xFFFF) != 0xBFFF {
		t.Errorf("blank word = %#x", ParityWord(0xFFFF))
	}
	for bit := range 16 {
		img[4000+bit/8] ^= 1 << (bit % 8)
		if CheckImage(img) == nil {
			t.Errorf("bit %d of a word may flip", bit)
		}
		img[4000+bit/8] ^= 1 << (bit % 8)
	}
	if CheckImage(img[:ImageBytes-2]) == nil {
		t.Error("a short image passes")
	}
}

func TestBoard(t *testing.T) {
	if STTS751Celsius(0x19, 0x80) != 25.5 || STTS751Celsius(0xFF, 0x80) != -0.5 {
		t.Error("STTS751")
	}
	if _, ok := BridgeCelsius(-1); ok {
		t.Error("a bridge without a reading has a temperature")
	}
	if c, ok := BridgeCelsius(3125); !ok || c != 31.25 {
		t.Error("bridge temperature")
	}
	if h, l, err := AD5338R(2510); err != nil || h != 128 || l != 0x80 { // code 514
		t.Errorf("DAC = %d %#x, %v", h, l, err)
	}
	if v, err := ListenThreshold(-8050); err != nil || v != 161 {
		t.Errorf("threshold = %d, %v", v, err)
	}
	if n, err := ListenScans(5000); err != nil || n != 715 {
		t.Errorf("scans = %d, %v", n, err)
	}
	for _, err := range []error{second(ListenScans(1)), second(ListenThreshold(1)), second(ListenThreshold(-13000)), third(AD5338R(5000))} {
		if err == nil {
			t.Error("a bad board value passes")
		}
	}
	if SpectralLevel(32, -1100) != SpectralLevel(31, -1100) || SpectralLevel(2, -1100) != -1900 {
		t.Error("spectral levels")
	}
}

func second[T any](_ T, err error) error   { return err }
func third[T any](_, _ T, err error) error { return err }

func TestCounterAcrossWrapsAndPauses(t *testing.T) {
	var c Counter
	if _, ok := c.Stamp(5); ok {
		t.Error("a stamp before the first reading")
	}
	const start = 0xFFFF_0000
	truth, host := Cycles(start), time.Duration(0)
	r := rand.New(rand.NewPCG(3, 4))
	for i := range 20_000 {
		got, err := c.Read(uint32(truth), host)
		if err != nil || got != truth {
			t.Fatalf("reading %d: %d, %v; want %d", i, got, err, truth)
		}
		event := truth - min(truth-start, Cycles(r.Uint64N(130*xtalHz)))
		if got, ok := c.Stamp(uint32(event)); !ok || got != event {
			t.Fatalf("reading %d: stamp %d, want %d", i, got, event)
		}
		if got, _ := c.Stamp(uint32(truth + 1_900_000*CyclesPerMicro)); got != truth+1_900_000*CyclesPerMicro {
			t.Fatalf("a stamp after the reading: %d, truth %d", got, truth)
		}
		step := time.Duration(r.Int64N(int64(20 * time.Millisecond)))
		switch r.IntN(50) {
		case 0:
			step = time.Duration(r.Int64N(int64(10 * time.Minute))) // longer than a wrap
		case 1:
			step = 0
		}
		host += step
		truth += Cycles(float64(step) * 0.032 * 1.00002) // 20 ppm fast
	}
}

func TestCounterFaults(t *testing.T) {
	at := func(ms int) time.Duration { return time.Duration(ms) * time.Millisecond }
	raw := func(ms int) uint32 { return uint32(1<<30 + ms*32_000) }
	for name, bad := range map[string]struct {
		raw uint32
		at  time.Duration
	}{
		"backwards":       {raw(990), at(1000)},
		"reset":           {3, at(1010)},
		"jump ahead":      {raw(3000), at(1010)},
		"stuck":           {raw(1000), at(1600)},
		"host backwards":  {raw(1001), at(999)},
		"host wild":       {raw(1001), 1 << 62},
		"all ones (bus)":  {0xFFFFFFFF, at(1010)},
		"all zeros (bus)": {0, at(1010)},
	} {
		var c Counter
		for _, ms := range []int{0, 500, 1000} {
			if _, err := c.Read(raw(ms), at(ms)); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := c.Read(bad.raw, bad.at); !errors.Is(err, ErrCounter) {
			t.Errorf("%s: %d, %v", name, got, err)
		}
		if got, err := c.Read(raw(1020), at(1020)); err != nil || got != 1<<30+1020*32_000 {
			t.Errorf("%s: the next good reading gives %d, %v", name, got, err)
		}
	}
}

func TestCounterStuckIsFoundWhilePolling(t *testing.T) {
	var c Counter
	for ms := range 3000 {
		v := uint32(min(ms, 1000) * 32_000)
		if _, err := c.Read(v, time.Duration(ms)*time.Millisecond); err != nil {
			if ms < 1000 || ms > 1510 {
				t.Errorf("found after %d ms", ms-1000)
			}
			return
		}
	}
	t.Error("never found")
}

func TestCounterStartsLate(t *testing.T) {
	var c Counter
	if _, err := c.Read(1000, 0); err != nil {
		t.Fatal(err)
	}
	if got, _ := c.Stamp(990); got != 990 {
		t.Errorf("stamp = %d", got)
	}
	if got := CyclesOf(77); got != 77*32 || got.Tick() != 77 || (got+31).Tick() != 77 {
		t.Error("ticks and cycles disagree")
	}
	if now, ok := c.Last(); !ok || now != 1000 {
		t.Error("Last")
	}
}
