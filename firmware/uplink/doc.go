// Package uplink is a hotspot's client of the oracle (heliograph.v1, see
// oracle/api/heliograph.proto): one gRPC stream over TLS 1.3, on which reports go
// up and challenges, downlinks and verdicts come down.
//
// # Who is who
//
// The oracle is known by its key, not by a name: its certificate may be
// self-signed, but must carry the configured Ed25519 key. No certificate expires
// on a Pi that believes it is 1970. The hotspot authorises a fresh session key,
// which never leaves memory, by a certificate over the oracle's nonce
// (poc.SessionCert); reports are signed by that key at the moment they are sent,
// because one signed by a session that is over would be refused.
//
// # What is never lost
//
// A report leaves the outbox only when the oracle's receipt for it verifies, or
// when the oracle refuses it for good. Everything that was under way when a
// connection ends is sent again. Before a session ends the next one is opened,
// and the old one is kept until its answers have come (make before break).
package uplink
