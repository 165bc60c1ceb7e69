// Package helium is the rule set helium-2026: proof of coverage as the Helium IoT
// network ran it from 2023 until HIP-149 ended it in July 2026. It is the
// baseline against which Heliograph measures its own rules, and the way to judge
// reports of existing firmware as they were judged then. Its weaknesses are part
// of it and are kept; see the notes at each check.
//
// What it covers: the beacon that a hotspot derives from entropy ([Derive]), the
// checks of beacon and witness reports in their order with their reasons
// ([Evaluate], [BeaconOrder], [WitnessOrder]), witness selection, reward units
// ([UnitRule]), hex density ([Density]), the epoch's pools and shares
// ([Distribute]), and the price of packets ([Tariff]).
//
// Everything is a pure function of its arguments: no clock, no randomness, no
// I/O. Shares and money are exact rationals, rounded only where the rules round.
// Floating point appears in one place, the physics of the distance and RSSI
// checks ([ExpectedRSSI], geo.Haversine), because the baseline used it there and
// its verdicts depend on it; the last bit of a float may differ between
// processors, so a signal within 1e-9 dB of the ceiling may be judged
// differently on another machine.
//
// Sources: Helium improvement proposals 15, 17, 54, 58, 83, 104, 106, 138, 149
// and the behaviour of helium/oracles in January 2026. The vectors in testdata
// came with the project's specification.
package helium

// RuleSet is the name under which verdicts of this package are recorded.
const RuleSet = "helium-2026"
