// Package poc is proof of coverage: what a beacon, a witness report, a challenge
// and a verdict are, with one canonical byte form for each and its signature.
// It is pure: no clock, no randomness, no I/O, no floats.
//
// # Byte forms
//
// All integers are big-endian. Every signed thing is a body followed by a
// signature block. A body starts with its [Kind] and the version 1; its [ID] is
// the SHA-256 of the body alone, so that a second valid signature over the same
// body is still the same report. There is exactly one encoding of each value:
// parsers refuse every other, so nothing is ever re-encoded to check a signature.
// What is signed is the text "heliograph/v1\n" followed by the body.
//
//	signature block: signer u8 | [session key 32, if signer = 1] | length u8 | signature
//
// Signer 0 is the hotspot's own key (Ed25519, or P-256 in DER), 1 is an Ed25519
// session key that the hotspot's key has authorised in a [SessionCert].
//
// The rules that judge reports are in the sub-packages: native (ours) and helium
// (the baseline that Helium ran).
package poc
