// Package identity holds a hotspot's public key, its text form and name, the
// keys that sign for it, and the one signature verifier of the whole system.
//
// The encoding is the one that existing Helium hotspots use, so that a hotspot
// keeps its identity when it moves to Heliograph:
//
//   - binary: a tag byte, network in the high nibble and key type in the low,
//     then 32 bytes: an Ed25519 public key, or the x coordinate of a P-256
//     point ("compact" form);
//   - text: base58 of a version byte 0x00, the binary form, and the first four
//     bytes of SHA-256(SHA-256(version and binary form));
//   - signature: Ed25519 (RFC 8032) raw, 64 bytes; for P-256, ECDSA over
//     SHA-256 in ASN.1 DER.
//
// A compact P-256 key leaves the y coordinate out. Of the two points with that
// x it means the one whose y, as an integer, is the lesser of y and p-y. (This
// is not the point with even y: the rule is about size, as in the expired
// Internet draft draft-jivsov-ecc-compact.) Half of all key pairs have the
// greater y and cannot be written that way, so key generation draws again until
// the point is compactable.
//
// The package depends on the standard library and base58 only; every other part
// of Heliograph may import it. All values are immutable after construction and
// safe for concurrent use.
package identity
