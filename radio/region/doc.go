// Package region holds channel plans as data: which channels, data rates and
// receive windows LoRaWAN defines for a region (LoRa Alliance RP002, Regional
// Parameters), and what the regulator lets a gateway radiate there.
//
// The tables are of RP002-1.0.5; [Plan.At] takes them back to an earlier
// revision. Since 1.0.5 one data rate index can mean two rates, one uplink and
// one downlink (US915 DR0 is SF10 at 125 kHz upwards and SF5 at 500 kHz
// downwards), so every look-up names its direction.
//
// A device asks [Plan.CheckTx] before each transmission, whatever a server
// wants. Duty cycle is the one limit that needs memory: feed the sub-bands of
// [Plan.DutyLimited] to a ledger of package radio/airtime.
//
// # Adding a region
//
// Write one file with one function that returns a literal [Plan], as eu868.go
// does, name the documents in Source, and add the function to plans. There is no
// code to write: a region whose downlinks answer on the uplink's own frequency
// leaves RX1Channels at 0, a fixed plan sets it to its number of downlink
// channels; carrier sense goes into [SubBand].Listen. The package's tests run
// over every plan and reject tables that contradict themselves.
package region
