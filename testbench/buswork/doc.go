// Package buswork counts the transactions and bytes that a concentrator costs on
// its bus: the vendor's from recordings of its packet forwarder, ours from the
// driver on the simulated chip, set up by the same configuration file.
//
// The start is counted without the loading of programs, and its time is what the wire
// is busy: waits, which both have to keep, take none. A transmit is all that the
// driver does on the bus for a downlink beyond the looks into the FIFO that go on
// anyway, until the packet is known to be on air; the vendor's is the recording of the
// programming alone, without its looks at the transmitter's state.
//
// Rows that no recording holds are derived from the polling rules of the SX1302
// specification (d.1); see [vendorIdle] and [vendorFetch]. Where the rules leave it
// open, the vendor is given the smaller number.
package buswork
