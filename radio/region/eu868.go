package region

import "heliograph/radio"

// eu868 is EU863-870.
//
// A gateway's limits are those of non-specific short range devices in bands K,
// L, M, N, P and Q. From 869.7 to 870 MHz a second set exists, 7 dBm ERP without
// a duty cycle; the plan always applies the 14 dBm one.
//
// Coverage beacons avoid SF11 and SF12: at SF12 one beacon of 21 bytes lasts
// 1.3 s, a 27th of the hour's 36 s.
func eu868() *Plan {
	erp14 := Power{ERP: radio.ERP(radio.DBm(14))}
	return &Plan{
		Name:     "EU868",
		Revision: RP002v105,
		Source: Source{
			Regional:   "RP002-1.0.5, EU863-870 (section 2.2 in RP002-1.0.3, 3.2 in RP002-1.0.4)",
			Regulation: "ETSI EN 300 220-2 V3.2.1, annex B; CEPT ERC/REC 70-03, annex 1",
		},
		Uplink: evenly(868_100*radio.KHz, 200*radio.KHz, 3, 0, 5),
		UplinkRates: append(eu868Rates(),
			Rate{DR: 8, LRFHSS: "CR1/3 137 kHz", Since: RP002v102, MaxMAC: 58, MaxMACRepeater: 58},
			Rate{DR: 9, LRFHSS: "CR2/3 137 kHz", Since: RP002v102, MaxMAC: 123, MaxMACRepeater: 123},
			Rate{DR: 10, LRFHSS: "CR1/3 336 kHz", Since: RP002v102, MaxMAC: 58, MaxMACRepeater: 58},
			Rate{DR: 11, LRFHSS: "CR2/3 336 kHz", Since: RP002v102, MaxMAC: 123, MaxMACRepeater: 123},
		),
		DownlinkRates: eu868Rates(),
		RX1Rates: [][]DR{
			0:  {0, 0, 0, 0, 0, 0},
			1:  {1, 0, 0, 0, 0, 0},
			2:  {2, 1, 0, 0, 0, 0},
			3:  {3, 2, 1, 0, 0, 0},
			4:  {4, 3, 2, 1, 0, 0},
			5:  {5, 4, 3, 2, 1, 0},
			6:  {6, 5, 4, 3, 2, 1},
			7:  {7, 6, 5, 4, 3, 2},
			8:  {1, 0, 0, 0, 0, 0},
			9:  {2, 1, 0, 0, 0, 0},
			10: {1, 0, 0, 0, 0, 0},
			11: {2, 1, 0, 0, 0, 0},
			12: {12, 5, 4, 3, 2, 1},
			13: {13, 12, 5, 4, 3, 2},
		},
		RX2Default:    Window{Frequency: 869_525 * radio.KHz, DR: 0},
		Delays:        defaultDelays,
		ClassB:        Beacon{Channels: []radio.Hertz{869_525 * radio.KHz}, DR: 3, Bytes: 17},
		DeviceMaxEIRP: radio.EIRP(radio.DBm(16)),
		SubBands: []SubBand{
			{Name: "K", From: 863 * radio.MHz, To: 865 * radio.MHz, Power: erp14, DutyPerMille: 1},
			{Name: "L", From: 865 * radio.MHz, To: 868 * radio.MHz, Power: erp14, DutyPerMille: 10},
			{Name: "M", From: 868 * radio.MHz, To: 868_600 * radio.KHz, Power: erp14, DutyPerMille: 10},
			{Name: "N", From: 868_700 * radio.KHz, To: 869_200 * radio.KHz, Power: erp14, DutyPerMille: 1},
			{Name: "P", From: 869_400 * radio.KHz, To: 869_650 * radio.KHz,
				Power: Power{ERP: radio.ERP(radio.DBm(27))}, DutyPerMille: 100},
			{Name: "Q", From: 869_700 * radio.KHz, To: 870 * radio.MHz, Power: erp14, DutyPerMille: 10},
		},
		PoC: PoC{
			PayloadBytes: 21,
			Channels:     frequencies(867_100*radio.KHz, 200*radio.KHz, 8),
			Rates:        pocRates(),
			Steps:        steps(16, 14, 12, 10),
		},
	}
}

// eu868Rates are the rates that both directions share.
func eu868Rates() []Rate {
	const bw = 125 * radio.KHz
	return []Rate{
		loraRow(0, 12, bw, 59, 59),
		loraRow(1, 11, bw, 59, 59),
		loraRow(2, 10, bw, 59, 59),
		loraRow(3, 9, bw, 123, 123),
		loraRow(4, 8, bw, 250, 230),
		loraRow(5, 7, bw, 250, 230),
		loraRow(6, 7, 250*radio.KHz, 250, 230),
		{DR: 7, DataRate: radio.FSKRate(50_000), MaxMAC: 250, MaxMACRepeater: 230},
		since(RP002v105, loraRow(12, 6, bw, 250, 230)),
		since(RP002v105, loraRow(13, 5, bw, 250, 230)),
	}
}

// defaultDelays are the windows' start times that all plans recommend.
var defaultDelays = Delays{RX1: 1_000_000, RX2: 2_000_000, JoinAccept1: 5_000_000, JoinAccept2: 6_000_000}

// pocRates are SF7..SF10 at 125 kHz.
func pocRates() []radio.DataRate {
	var out []radio.DataRate
	for sf := radio.SpreadingFactor(7); sf <= 10; sf++ {
		out = append(out, radio.LoRaRate(sf, 125*radio.KHz))
	}
	return out
}

// steps lists power steps given in whole dBm EIRP.
func steps(dbm ...int) []radio.EIRP {
	out := make([]radio.EIRP, len(dbm))
	for i, d := range dbm {
		out[i] = radio.EIRP(radio.DBm(d))
	}
	return out
}
