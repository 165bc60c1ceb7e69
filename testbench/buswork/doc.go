// Package buswork counts the transactions and bytes that a concentrator costs on
// its bus: the vendor's from recordings of its packet forwarder, ours from the
// driver on the simulated chip, set up by the same configuration file.
//
// Rows that no recording holds are derived from the polling rules of the SX1302
// specification (d.1); see [vendorIdle] and [vendorFetch]. Where the rules leave it
// open, the vendor is given the smaller number.
package buswork
