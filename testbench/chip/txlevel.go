package chip

import "heliograph/radio"

// TxLevel is the conducted power of one setting of the transmit gains.
type TxLevel struct {
	PA, Index    uint8 // SX1250: amplifier on, and its power index
	DAC, Mix     uint8 // SX125x: gains behind PA
	DigitalSteps uint8 // SX125x: digital gain
	Power        radio.CentiDBm
}

// distance is how far the setting is from another one. Amplifier steps weigh
// most.
func (l TxLevel) distance(m TxLevel) int {
	d := func(a, b uint8) int { return max(int(a)-int(b), int(b)-int(a)) }
	return 1000*d(l.PA, m.PA) + 100*d(l.DAC, m.DAC) + 10*d(l.DigitalSteps, m.DigitalSteps) + d(l.Mix, m.Mix) + d(l.Index, m.Index)
}

// txPower is the power of a chain's gain registers: that of the nearest known
// setting.
func (c *Chip) txPower(base uint16) radio.CentiDBm {
	v := c.reg[regTxPower+base]
	want := TxLevel{PA: v >> 6 & 1, Index: v & 0x3F}
	if c.cfg.FrontEnd != SX1250 {
		want = TxLevel{PA: v >> 6, DAC: v >> 4 & 3, Mix: v & 0x0F, DigitalSteps: c.reg[regTxGain+base] & 3}
	}
	best := TxLevel{}
	for i, l := range c.cfg.TxLevels {
		if i == 0 || l.distance(want) < best.distance(want) {
			best = l
		}
	}
	return best.Power
}

// referenceLevels are those of the vendor's reference boards (section i).
func referenceLevels(kind FrontEnd) []TxLevel {
	if kind == SX1250 {
		var out []TxLevel
		for i, index := range []uint8{15, 16, 17, 19, 20, 22} {
			out = append(out, TxLevel{Index: index, Power: radio.DBm(12 + i)})
		}
		for i, index := range []uint8{1, 2, 3, 4, 5, 6, 7, 9, 11, 14} {
			out = append(out, TxLevel{PA: 1, Index: index, Power: radio.DBm(18 + i)})
		}
		return out
	}
	var out []TxLevel
	for _, s := range []struct {
		pa, mix uint8
		dbm     int
	}{
		{0, 8, -6}, {0, 10, -3}, {0, 12, 0}, {1, 8, 3}, {1, 10, 6}, {1, 12, 10}, {1, 13, 11}, {2, 9, 12},
		{1, 15, 13}, {2, 10, 14}, {2, 11, 16}, {3, 9, 20}, {3, 10, 23}, {3, 11, 25}, {3, 12, 26}, {3, 14, 27},
	} {
		out = append(out, TxLevel{PA: s.pa, DAC: 3, Mix: s.mix, Power: radio.DBm(s.dbm)})
	}
	return out
}
