package region

import "heliograph/radio"

// us915 is US902-928.
//
// Part 15 allows 1 W (30 dBm) at the connector and takes a dB off for each dB of
// antenna gain above 6 dBi. A signal narrower than 500 kHz is a hopping one: no
// stay on a channel beyond 400 ms. The full watt presumes at least 50 hopping
// channels (15.247(b)(2)); a gateway certified as a hybrid system on the eight
// PoC channels is held to 8 dBm in any 3 kHz (15.247(f)), which RP002 rounds to
// 21 dBm conducted for 125 kHz. Beacons stay on eight channels, so their steps
// begin there; for downlinks of 125 kHz (class B, multicast) the limit is a property
// of the device's grant. These figures were not read in the rule's own text: check
// them before a release.
func us915() *Plan {
	p := &Plan{
		Name:     "US915",
		Revision: RP002v105,
		Source: Source{
			Regional:   "RP002-1.0.5, US902-928 (section 2.3 in RP002-1.0.3, 3.3 in RP002-1.0.4)",
			Regulation: "47 CFR 15.247 (a)(1)(i), (a)(2), (b)(2), (b)(3), (b)(4)",
		},
		Uplink: append(
			evenly(902_300*radio.KHz, 200*radio.KHz, 64, 0, 3),
			evenly(903_000*radio.KHz, 1_600*radio.KHz, 8, 4, 6)...),
		Downlink: evenly(923_300*radio.KHz, 600*radio.KHz, 8, 8, 13),
		UplinkRates: []Rate{
			loraRow(0, 10, 125*radio.KHz, 19, 19),
			loraRow(1, 9, 125*radio.KHz, 61, 61),
			loraRow(2, 8, 125*radio.KHz, 133, 133),
			loraRow(3, 7, 125*radio.KHz, 250, 230),
			loraRow(4, 8, 500*radio.KHz, 250, 230),
			{DR: 5, LRFHSS: "CR1/3 1.523 MHz", Since: RP002v102, MaxMAC: 58, MaxMACRepeater: 58},
			{DR: 6, LRFHSS: "CR2/3 1.523 MHz", Since: RP002v102, MaxMAC: 133, MaxMACRepeater: 133},
			since(RP002v105, loraRow(7, 6, 125*radio.KHz, 250, 230)),
			since(RP002v105, loraRow(8, 5, 125*radio.KHz, 250, 230)),
		},
		DownlinkRates: []Rate{
			since(RP002v105, loraRow(0, 5, 500*radio.KHz, 250, 230)),
			loraRow(8, 12, 500*radio.KHz, 61, 61),
			loraRow(9, 11, 500*radio.KHz, 137, 137),
			loraRow(10, 10, 500*radio.KHz, 250, 230),
			loraRow(11, 9, 500*radio.KHz, 250, 230),
			loraRow(12, 8, 500*radio.KHz, 250, 230),
			loraRow(13, 7, 500*radio.KHz, 250, 230),
			since(RP002v105, loraRow(14, 6, 500*radio.KHz, 250, 230)),
		},
		RX1Channels: 8,
		RX1Rates: [][]DR{
			0: {10, 9, 8, 8},
			1: {11, 10, 9, 8},
			2: {12, 11, 10, 9},
			3: {13, 12, 11, 10},
			4: {13, 13, 12, 11},
			5: {10, 9, 8, 8},
			6: {11, 10, 9, 8},
			7: {14, 13, 12, 11},
			8: {0, 14, 13, 12},
		},
		RX2Default:    Window{Frequency: 923_300 * radio.KHz, DR: 8},
		Delays:        defaultDelays,
		ClassB:        Beacon{Channels: frequencies(923_300*radio.KHz, 600*radio.KHz, 8), DR: 8, Bytes: 23},
		DeviceMaxEIRP: radio.EIRP(radio.DBm(30)),
		SubBands: []SubBand{{
			Name: "902-928", From: 902 * radio.MHz, To: 928 * radio.MHz,
			Power: Power{EIRP: radio.EIRP(radio.DBm(36)),
				Conducted: radio.DBm(30), FreeGain: radio.DB(6)},
			DutyPerMille: 1000,
			MaxDwell:     400_000, DwellBelow: 500 * radio.KHz,
		}},
		PoC: PoC{
			PayloadBytes: 21,
			Channels:     frequencies(903_900*radio.KHz, 200*radio.KHz, 8),
			Rates:        pocRates(),
			Steps:        steps(21, 18, 15, 12), // a hybrid system on eight channels, see above
		},
	}
	return p
}
