// Package airtime computes how long a packet occupies the air, and keeps
// account of it where a regulator limits the share of time.
//
// The LoRa formula is the one of the SX1261/2 data sheet, section 6.1.4, which
// extends the SX1276 one (section 4.1.1.7) to SF5 and SF6. All terms are whole
// quarter symbols, and a quarter symbol is a whole number of microseconds at
// every spreading factor and bandwidth that the hardware has, so the result is
// exact: there is no rounding anywhere for LoRa, and FSK is rounded up.
//
// Low data rate optimisation follows what the modem really does (see
// [LowDataRateOptimize]). The SX1302 HAL switches it on in its own time-on-air
// estimate for SF11 and SF12 at every bandwidth, which overstates SF11 at
// 250 kHz and both at 500 kHz; [VendorOnAir] reproduces that figure so that
// logs of vendor programs can be compared. It must not be used for accounting.
//
// [Ledger] is the accountant: a sliding window per sub-band as ETSI EN 300 220-1
// section 5.4 defines duty cycle (an observation period of one hour). Everything
// here is pure; the time is an argument.
package airtime
