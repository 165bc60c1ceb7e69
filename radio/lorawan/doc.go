// Package lorawan reads, checks and builds LoRaWAN frames: TS001-1.0.4 (LoRaWAN
// L2 1.0.4) and LoRaWAN 1.1, chapters 4 (MAC frame formats), 6 (activation)
// and, of 1.0.4, 13 (class B beacons).
//
// Reading works on the bytes as they were received. [Parse] checks every length
// before it looks, so that no radio byte can make it panic, and integrity codes
// are computed over the received bytes, never over a re-encoding: a header bit
// that is reserved today stays part of what was signed.
//
// Building is done with github.com/brocaar/lorawan behind the types of this
// package. The two sides check each other: the tests verify here what that
// library built, and hold both against published vectors. The library's band
// tables and its DevAddr arithmetic are not used.
//
// Numbers are in text as people write them, big-endian, and in frames
// little-endian; the types take care of it.
package lorawan
