package sx1302

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"heliograph/hardware/sx1302/calc"
)

// Firmware are the programs of the chip's microcontrollers, 8192 bytes each. They
// are Semtech's and not part of this module; [KnownImages] says how to recognize
// them.
type Firmware struct {
	AGC    []byte // gain control: the one for the configured kind of front end
	ARB    []byte // arbiter of the demodulators
	Cal    []byte // calibration: with SX1255 and SX1257 only
	SX1261 []byte // patch of the SX1261, 1544 bytes: with listen-before-talk or scan only
}

// Image describes a microcontroller image of sx1302_hal V2.1.0.
type Image struct {
	Name    string // as the hotspot stores it
	Array   string // in the vendor's sources
	File    string // there, under libloragw/src
	Size    int    // bytes
	SHA256  string // lower-case hex, of the bytes as they are sent
	Version byte   // that the running program reports, 0 when it does not
}

// KnownImages are the images that the driver was written for (h).
func KnownImages() []Image {
	return []Image{
		{"agc_sx1250", "agc_firmware_sx1250", "agc_fw_sx1250.var", 8192, "8f612e878b946b8c7cc59a5fc27ad33bb18ab92ad6e291d873f5d6bb7daae0d4", versionAGC1250},
		{"agc_sx125x", "agc_firmware_sx125x", "agc_fw_sx1257.var", 8192, "28d05612240627fb9e61ec43eba661e96d24805e1ce62b2d800c8461d400ae66", versionAGC125x},
		{"arb", "arb_firmware", "arb_fw.var", 8192, "a6f542395e29cd258917f5948d1067ab18e3cf08ce5ee250e2caa08539f80fd0", versionARB},
		{"cal_sx125x", "cal_firmware_sx125x", "cal_fw.var", 8192, "48b381021068a760d53e6366094f51e35084097f272c801ba8b47e7226d68d44", versionCal},
		{"sx1261", "sx1261_pram", "sx1261_pram.var", 1544, "2f1a728415a38298d07b77ebb1b54c9b9cdfe21fd830bf842d79d73f23b99074", 0},
	}
}

// IdentifyImage finds which known image the bytes are.
func IdentifyImage(b []byte) (Image, bool) {
	sum := sha256.Sum256(b)
	text := hex.EncodeToString(sum[:])
	for _, k := range KnownImages() {
		if k.SHA256 == text {
			return k, true
		}
	}
	return Image{}, false
}

// Versions that the programs report (c.5, c.6, c.3).
const (
	versionAGC1250 = 10
	versionAGC125x = 6
	versionARB     = 2
	versionCal     = 1
)

// CheckFirmware says, before any wire is touched, whether a chip with that
// configuration can be started with those images: the error is an [*Error] that names
// the image that is missing or damaged.
func CheckFirmware(cfg *Config, fw *Firmware) error {
	kind := cfg.Radios[cfg.ClockSource].Kind
	need := []struct {
		name string
		b    []byte
		on   bool
	}{
		{"agc_sx1250", fw.AGC, kind == calc.SX1250},
		{"agc_sx125x", fw.AGC, kind != calc.SX1250},
		{"arb", fw.ARB, true},
		{"cal_sx125x", fw.Cal, kind != calc.SX1250},
	}
	for _, n := range need {
		if !n.on {
			continue
		}
		if len(n.b) == 0 {
			return fault(FaultNoImage, nil, "%s", n.name)
		}
		if err := calc.CheckImage(n.b); err != nil {
			return fault(FaultImage, err, "%s", n.name)
		}
	}
	if cfg.SX1261.Enable {
		switch {
		case len(fw.SX1261) == 0:
			return fault(FaultNoImage, nil, "sx1261")
		case len(fw.SX1261) != sx1261ImageSize:
			return fault(FaultImage, nil, "sx1261 has %d bytes instead of %d", len(fw.SX1261), sx1261ImageSize)
		}
	}
	return nil
}

// mcu is one of the chip's two microcontrollers.
type mcu struct {
	name         string
	memory       uint16
	status       uint16
	clear, prog  field
	parityOf     field
	controlBytes uint16
}

func agcMCU() mcu {
	return mcu{
		name: "AGC", memory: addrAGCMemory, status: regAgcMcuMcuAgcStatusMcuAgcStatus.addr(),
		clear: regAgcMcuCtrlMcuClear, prog: regAgcMcuCtrlHostProg, parityOf: regAgcMcuCtrlParityError,
		controlBytes: regAgcMcuCtrlParityError.addr(),
	}
}

func arbMCU() mcu {
	return mcu{
		name: "ARB", memory: addrARBMemory, status: regArbMcuMcuArbStatusMcuArbStatus.addr(),
		clear: regArbMcuCtrlMcuClear, prog: regArbMcuCtrlHostProg, parityOf: regArbMcuCtrlParityError,
		controlBytes: regArbMcuCtrlParityError.addr(),
	}
}

// load writes a program, reads it back, and starts it (c.4).
func (c *Concentrator) load(ctx context.Context, m mcu, image []byte) error {
	for _, s := range []fieldValue{{m.clear, 1}, {m.prog, 1}, {regCommonPagePage, 0}} {
		if err := c.regs.put(ctx, s.f, s.v); err != nil {
			return err
		}
	}
	if err := c.link.write(ctx, m.memory, image); err != nil {
		return err
	}
	back := make([]byte, len(image))
	if err := c.link.read(ctx, m.memory, back); err != nil {
		return err
	}
	if !bytes.Equal(back, image) {
		n, first := 0, -1
		for i := range back {
			if back[i] != image[i] {
				if n++; first < 0 {
					first = i
				}
			}
		}
		return fault(FaultReadBack, nil, "%s: %d of %d bytes differ, the first at %#04x", m.name, n, len(image), first)
	}
	for _, s := range []fieldValue{{m.prog, 0}, {m.clear, 0}} {
		if err := c.regs.put(ctx, s.f, s.v); err != nil {
			return err
		}
	}
	b, err := c.link.readByte(ctx, m.controlBytes)
	if err != nil {
		return err
	}
	if m.parityOf.extract(b) != 0 {
		return fault(FaultParity, nil, "%s after loading", m.name)
	}
	return nil
}

type fieldValue struct {
	f field
	v int
}

// Waiting for a microcontroller.
const (
	mcuTimeout = time.Second
	mcuPoll    = time.Millisecond
)

// mailbox is what the AGC or calibration program shows: its status and the bytes
// 3, 2, 1, 0 that it sends.
type mailbox struct{ status, m3, m2, m1, m0 byte }

// readMailbox reads the status, and then, in the same go, the bytes.
func (c *Concentrator) readMailbox(ctx context.Context, bytesToo bool) (mailbox, error) {
	l := c.link
	l.begin()
	i := l.addRead(agcMCU().status, 1, false)
	if bytesToo {
		l.addRead(regAgcMcuMcuMailBoxRdDataByte3McuMailBoxRdData.addr(), 4, false)
	}
	if err := l.send(ctx); err != nil {
		return mailbox{}, err
	}
	m := mailbox{status: l.frames[i].r[readStart]}
	if bytesToo {
		b := l.frames[i+1].r[readStart:]
		m.m3, m.m2, m.m1, m.m0 = b[0], b[1], b[2], b[3]
	}
	return m, nil
}

// waitAGC waits until the AGC's status has the wanted value and returns its bytes.
func (c *Concentrator) waitAGC(ctx context.Context, want byte) (mailbox, error) {
	return c.waitMailbox(ctx, want, true)
}

func (c *Concentrator) waitMailbox(ctx context.Context, want byte, bytesToo bool) (mailbox, error) {
	end := c.clock.Now().Add(mcuTimeout)
	for {
		m, err := c.readMailbox(ctx, bytesToo)
		if err != nil || m.status == want {
			return m, err
		}
		if !c.clock.Now().Before(end) {
			return m, fault(FaultMCUSilent, nil, "AGC: status %#02x instead of %#02x within %v", m.status, want, mcuTimeout)
		}
		if err := c.sleep(ctx, mcuPoll); err != nil {
			return m, err
		}
	}
}

// tell writes the AGC's mailbox: bytes 0, 1, 2 as given, then byte 3, which makes
// the program look at the others.
func (c *Concentrator) tell(ctx context.Context, m3 byte, params ...byte) error {
	for i, p := range params {
		c.regs.set(regAgcMcuMcuMailBoxWrDataByte0McuMailBoxWrData.plus(-uint16(i)), int(p))
	}
	if err := c.regs.flush(ctx); err != nil {
		return err
	}
	return c.regs.put(ctx, regAgcMcuMcuMailBoxWrDataByte3McuMailBoxWrData, int(m3))
}

// step is one move of the AGC's start dialogue (c.5): parameters for the mailbox
// bytes 0, 1, 2, the command, and the status and the echo that must follow.
type step struct {
	name   string
	params []byte
	cmd    byte
	status byte
	echo   []byte // nil: as params
}

// agcSteps is the start dialogue for a kind of front end.
func agcSteps(cfg *Config) []step {
	auto := byte(0xFF)
	lbt := byte(0)
	if cfg.SX1261.LBT {
		lbt = 1
	}
	if cfg.Radios[cfg.ClockSource].Kind == calc.SX1250 {
		return []step{
			{"gain of radio 0", []byte{auto, auto}, 0x80, 0x02, []byte{auto, auto, 0}},
			{"gain of radio 1", []byte{auto, auto}, 0x20, 0x03, []byte{auto, auto, 0}},
			{"analog gain", []byte{1, 13}, 0x03, 0x04, nil},
			{"analog thresholds", []byte{3, 12}, 0x04, 0x05, nil},
			{"decimator attenuation", []byte{4, 15}, 0x05, 0x06, nil},
			{"decimator thresholds", []byte{40, 80, 90}, 0x06, 0x07, nil},
			{"channel attenuation", []byte{4, 14}, 0x07, 0x08, nil},
			{"channel thresholds", []byte{52, 132}, 0x08, 0x09, nil},
			{"power amplifier", []byte{0, 7, 4}, 0x09, 0x0A, nil},
			{"amplifier delay", []byte{8}, 0x0A, 0x0B, nil},
			{"listen before talk", []byte{lbt}, 0x0B, 0x0F, nil},
		}
	}
	fdd := byte(0)
	if cfg.FullDuplex {
		fdd = 1
	}
	return []step{
		{"gain of radio 0", []byte{auto, auto, fdd}, 0x80, 0x02, nil},
		{"gain of radio 1", []byte{auto, auto, fdd}, 0x20, 0x03, nil},
		{"analog gain", []byte{0, 9}, 0x03, 0x04, nil},
		{"analog thresholds", []byte{16, 35}, 0x04, 0x05, nil},
		{"decimator attenuation", []byte{7, 11}, 0x05, 0x06, nil},
		{"decimator thresholds", []byte{45, 100, 115}, 0x06, 0x07, nil},
		{"channel attenuation", []byte{4, 14}, 0x07, 0x08, nil},
		{"channel thresholds", []byte{52, 132}, 0x08, 0x09, nil},
		{"amplifier delay", []byte{8}, 0x0A, 0x0B, nil},
		{"listen before talk", []byte{lbt}, 0x0B, 0x0F, nil},
	}
}

// startAGC loads the gain control's program and hands it its parameters.
func (c *Concentrator) startAGC(ctx context.Context) error {
	if err := c.load(ctx, agcMCU(), c.fw.AGC); err != nil {
		return err
	}
	m, err := c.waitAGC(ctx, 1)
	if err != nil {
		return err
	}
	want := byte(versionAGC125x)
	if c.cfg.Radios[c.cfg.ClockSource].Kind == calc.SX1250 {
		want = versionAGC1250
	}
	if m.m0 != want {
		return fault(FaultMCUVersion, nil, "AGC: version %d instead of %d", m.m0, want)
	}
	for _, s := range agcSteps(&c.cfg) {
		if err := c.tell(ctx, s.cmd, s.params...); err != nil {
			return err
		}
		m, err := c.waitAGC(ctx, s.status)
		if err != nil {
			return err
		}
		echo := s.echo
		if echo == nil {
			echo = s.params
		}
		if got := []byte{m.m0, m.m1, m.m2}[:len(echo)]; !bytes.Equal(got, echo) {
			return fault(FaultMCUEcho, nil, "AGC: %s: % x echoed as % x", s.name, echo, got)
		}
	}
	return c.tell(ctx, 0x0F)
}

// dualDemodulation is the ARB's mask of spreading factors that get a second
// demodulator, for fine timestamps (c.6).
func (f FineTimestamp) dualDemodulation() int {
	switch f {
	case FineAllSF:
		return 0xFF
	case FineHighCapacity:
		return 0x3F
	}
	return 0
}

// startARB loads the arbiter's program and starts it (c.6).
func (c *Concentrator) startARB(ctx context.Context) error {
	if err := c.load(ctx, arbMCU(), c.fw.ARB); err != nil {
		return err
	}
	if err := c.waitARB(ctx, 1); err != nil {
		return err
	}
	v, err := c.link.readByte(ctx, regArbMcuArbDebugSts0ArbDebugSts0.addr())
	if err != nil {
		return err
	}
	if v != versionARB {
		return fault(FaultMCUVersion, nil, "ARB: version %d instead of %d", v, versionARB)
	}
	c.regs.set(regArbMcuArbDebugCfg0ArbDebugCfg0, 7) // count SF7 in its statistics
	c.regs.set(regArbMcuArbDebugCfg2ArbDebugCfg2, 3)
	c.regs.set(regArbMcuArbDebugCfg3ArbDebugCfg3, c.cfg.Fine.dualDemodulation())
	if err := c.regs.flush(ctx); err != nil {
		return err
	}
	if err := c.regs.put(ctx, regArbMcuArbDebugCfg1ArbDebugCfg1, 1); err != nil { // go
		return err
	}
	return c.waitARB(ctx, 0)
}

func (c *Concentrator) waitARB(ctx context.Context, want byte) error {
	end := c.clock.Now().Add(mcuTimeout)
	for {
		s, err := c.link.readByte(ctx, arbMCU().status)
		if err != nil || s == want {
			return err
		}
		if !c.clock.Now().Before(end) {
			return fault(FaultMCUSilent, nil, "ARB: status %#02x instead of %#02x within %v", s, want, mcuTimeout)
		}
		if err := c.sleep(ctx, mcuPoll); err != nil {
			return err
		}
	}
}
