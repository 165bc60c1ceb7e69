package sx1302

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"time"

	"heliograph/hardware/sx1302/calc"
	"heliograph/radio"
)

// MaxGlobalConf is the longest configuration file that [ParseGlobalConf] reads.
const MaxGlobalConf = 1 << 20

// GlobalConf is what a packet forwarder's global_conf.json says about the
// concentrator: its configuration, and how the file's author reached it, which is
// for the caller to use.
type GlobalConf struct {
	Config
	USB        bool   // com_type: over a tty rather than SPI
	Path       string // com_path: the device
	SX1261Path string // sx1261_conf.spi_path: the device
	Survey     Survey // sx1261_conf.spectral_scan
	GNSSPath   string // gateway_conf.gps_tty_path: the receiver's device

	// Unread are keys of the file that nothing here looks at, at most 200.
	Unread []string

	// Warnings say what the file asks for that cannot do what its author meant.
	// The forwarder starts with it all the same, and so does the driver.
	Warnings []string
}

// Survey is a spectral scan that is repeated: Channels frequencies, SurveyStep
// apart, are measured in turn, one every Pace.
type Survey struct {
	First    radio.Hertz
	Channels int    // 0: none
	Scans    uint16 // readings of one measurement
	Pace     time.Duration
}

// SurveyStep is the distance of the frequencies of a [Survey].
const SurveyStep = 200 * radio.KHz

// ParseGlobalConf reads the configuration file of Semtech's packet forwarder
// (i): it takes the comments that the vendor's parser allows, lists what it
// does not know, and treats what is missing as the forwarder does. The result is
// valid (see [Config.Validate]).
func ParseGlobalConf(b []byte) (GlobalConf, error) {
	if len(b) > MaxGlobalConf {
		return GlobalConf{}, bad("file has %d bytes, more than %d", len(b), MaxGlobalConf)
	}
	plain, err := stripComments(bytes.TrimPrefix(b, []byte("\xEF\xBB\xBF")))
	if err != nil {
		return GlobalConf{}, err
	}
	var file confFile
	if err := json.Unmarshal(plain, &file); err != nil {
		return GlobalConf{}, fault(FaultConfig, err, "global_conf")
	}
	if file.Board == nil {
		return GlobalConf{}, bad("global_conf lacks SX130x_conf: it is for another concentrator")
	}
	g, err := file.Board.config()
	if err != nil {
		return GlobalConf{}, err
	}
	if err := g.Validate(); err != nil {
		return GlobalConf{}, err
	}
	g.GNSSPath = file.Gateway.GNSS
	if g.Unread, err = unread(plain, reflect.TypeFor[confFile]()); err != nil {
		return GlobalConf{}, fault(FaultConfig, err, "global_conf")
	}
	return g, nil
}

// stripComments turns /* */ and // comments outside strings, and commas before a
// closing bracket, into spaces.
func stripComments(b []byte) ([]byte, error) {
	out := make([]byte, len(b))
	copy(out, b)
	comma := -1 // a comma after which only space and comments came
	for i := 0; i < len(out); i++ {
		switch c := out[i]; {
		case c == '"':
			comma = -1
			for i++; i < len(out) && out[i] != '"'; i++ {
				if out[i] == '\\' {
					i++
				}
			}
		case c == '/' && i+1 < len(out) && out[i+1] == '*':
			n := bytes.Index(out[i+2:], []byte("*/"))
			if n < 0 {
				return nil, bad("global_conf: comment without end")
			}
			blank(out[i : i+n+4])
			i += n + 3
		case c == '/' && i+1 < len(out) && out[i+1] == '/':
			n := bytes.IndexByte(out[i:], '\n')
			if n < 0 {
				n = len(out) - i
			}
			blank(out[i : i+n])
			i += n - 1
		case c == ',':
			comma = i
		case c == '}' || c == ']':
			if comma >= 0 {
				out[comma] = ' '
			}
			comma = -1
		case c != ' ' && c != '\t' && c != '\n' && c != '\r':
			comma = -1
		}
	}
	return out, nil
}

func blank(b []byte) {
	for i := range b {
		if b[i] != '\n' {
			b[i] = ' '
		}
	}
}

// reader collects the first number that is out of range.
type reader struct{ err error }

func (r *reader) note(what string, v float64) {
	if r.err == nil {
		r.err = bad("global_conf: %s is %v", what, v)
	}
}

func (r *reader) hertz(what string, v float64) radio.Hertz {
	if !(math.Abs(v) <= 1e10) {
		r.note(what, v)
		return 0
	}
	return radio.Hertz(math.Round(v))
}

func (r *reader) db(what string, v float64) radio.CentiDB {
	d, err := radio.CentiDBFrom(v)
	if err != nil {
		r.note(what, v)
	}
	return d
}

func (b *confBoard) config() (GlobalConf, error) {
	var r reader
	g := GlobalConf{Path: b.ComPath, SX1261Path: b.SX1261.Path}
	switch kind := strings.ToUpper(b.ComType); {
	case kind == "", strings.HasPrefix(kind, "SPI"):
	case strings.HasPrefix(kind, "USB"):
		g.USB = true
	default:
		return g, bad("global_conf: com_type %q is neither SPI nor USB", b.ComType)
	}
	g.Public, g.ClockSource, g.FullDuplex = b.Public, b.ClockSource, b.FullDuplex
	g.AntennaGain = r.db("antenna_gain", b.AntennaGain)
	if b.Fine.Enable {
		switch strings.ToLower(b.Fine.Mode) {
		case "high_capacity":
			g.Fine = FineHighCapacity
		case "all_sf":
			g.Fine = FineAllSF
		default:
			return g, bad("global_conf: fine_timestamp mode %q is neither high_capacity nor all_sf", b.Fine.Mode)
		}
	}
	for i, c := range []*confRadio{&b.Radio0, &b.Radio1} {
		var err error
		if g.Radios[i], err = c.radio(&r, fmt.Sprintf("radio_%d", i)); err != nil {
			return g, err
		}
	}
	for i, c := range []confChannel{b.Chan0, b.Chan1, b.Chan2, b.Chan3, b.Chan4, b.Chan5, b.Chan6, b.Chan7} {
		if c.Enable {
			g.Channels[i] = Channel{true, c.Radio, r.hertz("if", c.IF)}
		}
	}
	g.SF = 0xFF
	if b.All != nil && b.All.SF != nil {
		g.SF = 0
		if n := len(*b.All.SF); n > 8 {
			return g, bad("global_conf: spreading_factor_enable has %d entries, more than 8", n)
		}
		for _, sf := range *b.All.SF {
			if sf < 5 || sf > 12 {
				return g, bad("global_conf: spreading factor %d", sf)
			}
			g.SF |= 1 << (sf - 5)
		}
	}
	g.powerTables()
	g.Service = b.Service.service(&r)
	g.FSK = b.FSK.fsk(&r)
	g.SX1261, g.Survey = b.SX1261.sx1261(&r), b.SX1261.survey(&r)
	g.warn()
	return g, r.err
}

// powerTables gives each transmitter the table that the forwarder would use.
func (g *GlobalConf) powerTables() {
	for i := range g.Radios {
		r := &g.Radios[i]
		if !r.TxEnable {
			continue
		}
		if len(r.Gains) == 0 && r.Kind == calc.SX1250 {
			// The forwarder's own table is an SX1255's: what an SX1250 would send
			// with it is not known, so it does not send.
			r.TxEnable, r.TxMin, r.TxMax = false, 0, 0
			g.Warnings = append(g.Warnings, fmt.Sprintf("radio_%d: tx_gain_lut is missing, so it only receives", i))
			continue
		}
		if len(r.Gains) == 0 {
			r.Gains = []calc.Gain{{Power: radio.DBm(14), PA: 2, DAC: 3, Mixer: 10}}
			g.Warnings = append(g.Warnings, fmt.Sprintf("radio_%d: tx_gain_lut is missing: it sends with the forwarder's one power, 14 dBm", i))
		}
		if rising := reachable(r.Gains); len(rising) != len(r.Gains) {
			if r.Kind != calc.SX1250 {
				r.Calibrate = r.Gains
			}
			r.Gains = rising
		}
	}
}

// warn looks for channels that will never carry anything.
func (g *GlobalConf) warn() {
	for i := range IFChains {
		if on, rf, _, _ := g.ifChain(i); on && rf < RFChains && !g.Radios[rf].Enable {
			g.Warnings = append(g.Warnings, fmt.Sprintf("IF chain %d uses radio_%d, which is not enabled: it hears nothing", i, rf))
		}
	}
	if g.SX1261.LBT && len(g.SX1261.Channels) == 0 {
		g.Warnings = append(g.Warnings, "lbt is enabled without channels: nothing may be sent")
	}
}

func (c *confService) service(r *reader) Service {
	if !c.Enable {
		return Service{}
	}
	s := Service{
		Enable: true, Radio: c.Radio, IF: r.hertz("if", c.IF), Bandwidth: r.hertz("bandwidth", c.Bandwidth),
		SF: radio.SpreadingFactor(c.SF), ImplicitHeader: c.ImplicitHeader,
	}
	if s.Bandwidth == 0 {
		s.Bandwidth = 250 * radio.KHz
	}
	if s.SF == 0 {
		s.SF = 7
	}
	if s.ImplicitHeader { // otherwise the forwarder ignores the three
		s.ImplicitLength, s.ImplicitCRC, s.ImplicitCoding = c.ImplicitLength, c.ImplicitCRC, radio.CodingRate(c.ImplicitCoding)
	}
	return s
}

func (c *confFSK) fsk(r *reader) FSK {
	if !c.Enable {
		return FSK{}
	}
	f := FSK{
		Enable: true, Radio: c.Radio, IF: r.hertz("if", c.IF),
		Bandwidth: r.hertz("bandwidth", c.Bandwidth), BitRate: c.BitRate,
	}
	if dev := r.hertz("freq_deviation", c.Deviation); f.Bandwidth == 0 && dev != 0 { // then the forwarder derives it
		f.Bandwidth = 2*dev + radio.Hertz(c.BitRate)
	}
	if f.Bandwidth <= 0 || f.Bandwidth > 500*radio.KHz {
		f.Bandwidth = 250 * radio.KHz
	}
	if f.BitRate == 0 {
		f.BitRate = 64_000
	}
	return f
}

func (c *confRadio) radio(r *reader, name string) (Radio, error) {
	if !c.Enable {
		return Radio{}, nil
	}
	out := Radio{
		Enable: true, SingleInput: c.SingleInput, TxEnable: c.TxEnable,
		Frequency: r.hertz("freq", c.Frequency), RSSIOffset: r.db("rssi_offset", c.RSSIOffset),
		TempComp: calc.TempComp(c.TempComp),
	}
	for _, v := range []float64{c.TempComp.A, c.TempComp.B, c.TempComp.C, c.TempComp.D, c.TempComp.E} {
		if math.IsInf(v, 0) || math.IsNaN(v) {
			r.note("rssi_tcomp", v)
		}
	}
	switch {
	case strings.HasPrefix(c.Type, "SX1250"):
		out.Kind = calc.SX1250
	case strings.HasPrefix(c.Type, "SX1255"):
		out.Kind = calc.SX1255
	case strings.HasPrefix(c.Type, "SX1257"):
		out.Kind = calc.SX1257
	default:
		return out, bad("global_conf: %s: type %q is none of SX1250, SX1255, SX1257", name, c.Type)
	}
	if !c.TxEnable {
		return out, nil
	}
	out.TxMin, out.TxMax = r.hertz("tx_freq_min", c.TxMin), r.hertz("tx_freq_max", c.TxMax)
	if len(c.Gains) > MaxGains {
		return out, bad("global_conf: %s: power table has %d entries, more than %d", name, len(c.Gains), MaxGains)
	}
	// The forwarder takes the kind of table from its first entry, not from the radio.
	indexed := len(c.Gains) > 0 && c.Gains[0].PowerIndex != nil
	for _, e := range c.Gains {
		out.Gains = append(out.Gains, e.gain(r, out.Kind, indexed))
	}
	return out, nil
}

// gain is an entry of a power table; indexed says that the table is one for SX1250.
func (e *confGain) gain(r *reader, kind calc.FrontEnd, indexed bool) calc.Gain {
	g := calc.Gain{Power: radio.CentiDBm(r.db("rf_power", e.Power)), PA: e.PA, Digital: e.Digital, DAC: 3, Mixer: 14}
	switch {
	case kind == calc.SX1250:
		g.Mixer = 5
		if indexed && e.PowerIndex != nil {
			g.PowerIndex = *e.PowerIndex
		}
		return g
	case indexed:
		g.Digital, g.DAC, g.Mixer = 0, 0, 5
		return g
	}
	if e.DAC != nil {
		g.DAC = *e.DAC
	}
	if e.Mixer != nil {
		g.Mixer = *e.Mixer
	}
	return g
}

// reachable drops the entries of a power table that the forwarder can never choose
// because a later one is not stronger. What is left rises.
func reachable(gains []calc.Gain) []calc.Gain {
	var out []calc.Gain
	for _, g := range gains {
		for len(out) > 0 && out[len(out)-1].Power >= g.Power {
			out = out[:len(out)-1]
		}
		out = append(out, g)
	}
	return out
}

func (c *confSX1261) survey(r *reader) Survey {
	if !c.Scan.Enable {
		return Survey{}
	}
	return Survey{
		First: r.hertz("freq_start", c.Scan.First), Channels: int(c.Scan.Channels), Scans: c.Scan.Scans,
		Pace: time.Duration(max(c.Scan.Pace, 1)) * time.Second,
	}
}

func (c *confSX1261) sx1261(r *reader) SX1261 {
	x := SX1261{
		Enable: c.LBT.Enable || c.Scan.Enable, LBT: c.LBT.Enable,
		RSSIOffset: r.db("rssi_offset", c.RSSIOffset),
	}
	if !c.LBT.Enable {
		return x
	}
	x.Threshold = radio.CentiDBm(r.db("rssi_target", c.LBT.Threshold))
	for _, ch := range c.LBT.Channels {
		x.Channels = append(x.Channels, LBTChannel{
			Frequency: r.hertz("freq_hz", ch.Frequency), Bandwidth: r.hertz("bandwidth", ch.Bandwidth),
			Scan:     radio.Micros(r.hertz("scan_time_us", ch.ScanUS)),
			Transmit: 1000 * radio.Micros(r.hertz("transmit_time_ms", ch.TxMS)),
		})
	}
	return x
}
