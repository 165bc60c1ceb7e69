package sx1302

import (
	"context"
	"encoding/binary"
	"time"

	"heliograph/hardware/sx1302/calc"
	"heliograph/radio"
)

// Opcodes and registers of the SX1261 with its patch (g).
const (
	opFS           = 0xC1
	opPacketType   = 0x8A
	opModulation   = 0x8B
	opPacketParams = 0x8C
	opBufferBase   = 0x8F
	opPatch        = 0xD9
	opListen       = 0x9A
	opScan         = 0x9B

	xVersion    = 0x0320
	xPatchMode  = 0x0610
	xPatch      = 0x8000
	xGain       = 0x08AC
	xSampling   = 0x089B
	xScanState  = 0x07CD
	xScanResult = 0x0401

	sx1261ImageSize = 1544
	sx1261Version   = "2D06"
	standbyStatus   = 0x22

	lbtPatience  = 500 * time.Millisecond
	lbtTolerance = 10 * radio.KHz
	lbtMargin    = 1500 // µs of a channel's transmit time that stay unused
	scanPatience = 5 * time.Second

	// SpectrumLevels is how many levels a spectral scan counts.
	SpectrumLevels = 33
)

// x sends a command to the SX1261 and returns the bytes that came back after the
// opcode.
func (c *Concentrator) x(ctx context.Context, op byte, params ...byte) ([]byte, error) {
	if err := c.sleep(ctx, commandGap); err != nil {
		return nil, err
	}
	in, err := c.link.raw(ctx, true, append([]byte{op}, params...)...)
	if err != nil {
		return nil, err
	}
	return in[1:], nil
}

func (c *Concentrator) xWrite(ctx context.Context, addr uint16, data ...byte) error {
	_, err := c.x(ctx, opWriteRegister, append([]byte{byte(addr >> 8), byte(addr)}, data...)...)
	return err
}

func (c *Concentrator) xRead(ctx context.Context, addr uint16, n int) ([]byte, error) {
	in, err := c.x(ctx, opReadRegister, append([]byte{byte(addr >> 8), byte(addr), 0}, make([]byte, n)...)...)
	if err != nil {
		return nil, err
	}
	return in[3:], nil
}

// startSX1261 patches and prepares the listen-before-talk radio, if it is enabled
// (c.23, g).
func (c *Concentrator) startSX1261(ctx context.Context) error {
	if !c.lbt {
		return nil
	}
	if err := c.patchSX1261(ctx); err != nil {
		return err
	}
	a, b, err := calc.CalibrationBand(c.driftCenter())
	if err != nil {
		return fault(FaultCalibration, err, "SX1261")
	}
	if _, err := c.x(ctx, opStatus, 0); err != nil {
		return err
	}
	if _, err := c.x(ctx, opCalibrateImage, a, b); err != nil {
		return err
	}
	if err := c.sleep(ctx, radioStateTime); err != nil {
		return err
	}
	e, err := c.x(ctx, opDeviceErrors, 0, 0, 0)
	if err != nil {
		return err
	}
	if e[2]&imageCalibrationError != 0 {
		return fault(FaultCalibration, nil, "SX1261: errors % x", e[1:])
	}
	if _, err := c.x(ctx, opStandby, 0); err != nil {
		return err
	}
	if _, err := c.x(ctx, opBufferBase, 0x80, 0x80); err != nil {
		return err
	}
	return c.xWrite(ctx, xGain, 0xCB)
}

// patchSX1261 loads the patch and checks that it runs.
func (c *Concentrator) patchSX1261(ctx context.Context) error {
	if _, err := c.x(ctx, opStandby, 0); err != nil {
		return err
	}
	s, err := c.x(ctx, opStatus, 0)
	if err != nil {
		return err
	}
	if s[0] != standbyStatus {
		return fault(FaultLBT, nil, "SX1261 status %#02x instead of %#02x", s[0], standbyStatus)
	}
	if err := c.xWrite(ctx, xPatchMode, 0x10); err != nil {
		return err
	}
	for i := 0; i < len(c.fw.SX1261); i += 4 {
		if err := c.xWrite(ctx, xPatch+uint16(i), c.fw.SX1261[i:i+4]...); err != nil {
			return err
		}
	}
	if err := c.xWrite(ctx, xPatchMode, 0x00); err != nil {
		return err
	}
	if _, err := c.x(ctx, opPatch); err != nil {
		return err
	}
	v, err := c.xRead(ctx, xVersion, 16)
	if err != nil {
		return err
	}
	if string(v[11:15]) != sx1261Version {
		return fault(FaultLBT, nil, "SX1261 patch reports version %q instead of %s", v, sx1261Version)
	}
	return nil
}

// xReceive puts the SX1261 into FSK reception on a channel.
func (c *Concentrator) xReceive(ctx context.Context, f, bw radio.Hertz) error {
	reg, err := calc.SX1250Frequency(f)
	if err != nil {
		return fault(FaultConfig, err, "SX1261")
	}
	width := byte(0x0A)
	if bw == 250*radio.KHz {
		width = 0x09
	}
	if err := c.xIdle(ctx); err != nil {
		return err
	}
	if _, err := c.x(ctx, opFrequency, byte(reg>>24), byte(reg>>16), byte(reg>>8), byte(reg)); err != nil {
		return err
	}
	if err := c.xWrite(ctx, xSampling, 0x14); err != nil {
		return err
	}
	for _, w := range [][]byte{
		{opPacketType, 0},
		{opModulation, 0, 0x14, 0, 0, width, 0x02, 0xE9, 0x0F},
		{opPacketParams, 0, 0x20, 0x05, 0x20, 0, 0x01, 0xFF, 0, 0},
		{opReceive, 0xFF, 0xFF, 0xFF},
	} {
		if _, err := c.x(ctx, w[0], w[1:]...); err != nil {
			return err
		}
	}
	return nil
}

// xIdle ends a scan.
func (c *Concentrator) xIdle(ctx context.Context) error {
	if err := c.xWrite(ctx, xSampling, 0); err != nil {
		return err
	}
	_, err := c.x(ctx, opFS)
	return err
}

// lbtChannel is the listen-before-talk channel of a packet.
func (c *Concentrator) lbtChannel(o order) (LBTChannel, bool) {
	for _, ch := range c.cfg.SX1261.Channels {
		d := ch.Frequency - o.p.Frequency
		if d <= lbtTolerance && -d <= lbtTolerance && ch.Bandwidth == o.p.DataRate.Bandwidth &&
			radio.MicrosOf(o.air) <= ch.Transmit-lbtMargin {
			return ch, true
		}
	}
	return LBTChannel{}, false
}

// lbtGates says whether a packet's transmission hangs on carrier sense.
func (c *Concentrator) lbtGates(o order) bool { return c.lbt && c.cfg.SX1261.LBT && o.p != nil }

// listen starts carrier sense for a packet, where that is on; free is false for a
// packet that no listen-before-talk channel allows.
func (c *Concentrator) listen(ctx context.Context, o order) (free bool, err error) {
	if !c.lbtGates(o) {
		return true, nil
	}
	ch, ok := c.lbtChannel(o)
	if !ok || c.scanning {
		return false, nil
	}
	scans, err := calc.ListenScans(ch.Scan)
	if err != nil {
		return false, fault(FaultConfig, err, "listen-before-talk")
	}
	threshold, err := calc.ListenThreshold(c.cfg.SX1261.Threshold.Add(-c.cfg.SX1261.RSSIOffset))
	if err != nil {
		return false, fault(FaultConfig, err, "listen-before-talk")
	}
	if err := c.xReceive(ctx, ch.Frequency, ch.Bandwidth); err != nil {
		return false, err
	}
	if _, err := c.x(ctx, opListen, 0x0B, byte(scans>>8), byte(scans), threshold, 1); err != nil {
		return false, err
	}
	return true, c.sleep(ctx, ch.Scan.Duration())
}

// lbtOutcome asks the gain control, which gates the transmitter, whether it let a
// packet through, and ends carrier sense.
func (c *Concentrator) lbtOutcome(ctx context.Context, o order) (res radio.TxResult, err error) {
	chain := o.p.RadioChain
	err = c.withTurn(ctx, func() error {
		end := c.clock.Now().Add(lbtPatience)
		for {
			m, err := c.readMailbox(ctx, false)
			if err != nil {
				return err
			}
			if m.status>>chain&1 != 0 {
				res = c.success(o)
				if m.status>>(6+chain)&1 != 0 {
					res = radio.TxResult{Status: radio.TxBusy}
				}
				break
			}
			if !c.clock.Now().Before(end) {
				return fault(FaultLBT, nil, "no outcome within %v", lbtPatience)
			}
			if err := c.sleep(ctx, mcuPoll); err != nil {
				return err
			}
		}
		if err := c.regs.put(ctx, regAgcMcuMcuMailBoxWrDataByte0McuMailBoxWrData, 0xFF); err != nil {
			return err
		}
		if _, err := c.waitAGC(ctx, 0); err != nil {
			return err
		}
		if err := c.regs.put(ctx, regAgcMcuMcuMailBoxWrDataByte0McuMailBoxWrData, 0); err != nil {
			return err
		}
		return c.xIdle(ctx)
	})
	return res, err
}

// Level is one bar of a spectrum: how many readings were at that level.
type Level struct {
	Level radio.CentiDBm
	Count uint16
}

// Spectrum measures the level on a frequency n times with the SX1261 and counts
// how often each level was seen. Receive and Send go on meanwhile, except that
// what has to listen before it talks is refused as busy.
func (c *Concentrator) Spectrum(ctx context.Context, f radio.Hertz, n uint16) ([]Level, error) {
	if !c.lbt {
		return nil, bad("spectrum: this board's SX1261 is not enabled")
	}
	mine := false
	err := c.withTurn(ctx, func() error {
		switch {
		case !c.started:
			return fault(FaultNoChip, nil, "the concentrator is not started")
		case c.scanning:
			return fault(FaultLBT, nil, "another spectral scan is running")
		}
		c.scanning, mine = true, true
		return c.startScan(ctx, f, n)
	})
	if !mine {
		return nil, err
	}
	if err != nil {
		return nil, c.endScan(ctx, err)
	}
	end := c.clock.Now().Add(scanPatience)
	for {
		var levels []Level
		err := c.withTurn(ctx, func() (err error) { levels, err = c.scanResult(ctx, end); return err })
		if err != nil || levels != nil {
			return levels, c.endScan(ctx, err)
		}
		if err := c.sleep(ctx, radioStateTime); err != nil {
			return nil, c.endScan(ctx, err)
		}
	}
}

func (c *Concentrator) startScan(ctx context.Context, f radio.Hertz, n uint16) error {
	if err := c.xReceive(ctx, f, 125*radio.KHz); err != nil {
		return err
	}
	_, err := c.x(ctx, opScan, byte(n>>8), byte(n), 0x0B, 0, 0, 0, 0, 0, 0)
	return err
}

// endScan gives the SX1261 back and returns why the scan ended, or why that failed.
func (c *Concentrator) endScan(ctx context.Context, cause error) error {
	quiet, cancel := context.WithTimeout(context.WithoutCancel(ctx), lbtPatience)
	defer cancel()
	err := c.withTurn(quiet, func() error {
		if !c.scanning || !c.started {
			return nil
		}
		c.scanning = false
		return c.xIdle(quiet)
	})
	if cause != nil {
		return cause
	}
	return err
}

// scanResult reads a scan's counts; they are nil while it runs.
func (c *Concentrator) scanResult(ctx context.Context, end time.Time) ([]Level, error) {
	const done, aborted = 0xFF, 0xF0
	s, err := c.xRead(ctx, xScanState, 1)
	if err != nil {
		return nil, err
	}
	switch {
	case s[0] == aborted || s[0] != done && !c.clock.Now().Before(end):
		return nil, fault(FaultScan, nil, "state %#02x after at most %v", s[0], scanPatience)
	case s[0] != done:
		return nil, nil
	}
	b, err := c.xRead(ctx, xScanResult, 2*SpectrumLevels)
	if err != nil {
		return nil, err
	}
	out := make([]Level, SpectrumLevels)
	for i := range out {
		out[i] = Level{calc.SpectralLevel(i, c.cfg.SX1261.RSSIOffset), binary.BigEndian.Uint16(b[2*i:])}
	}
	return out, nil
}
