// Package reward turns what hotspots earned in an epoch into amounts of the token:
// integers only, everything rounded down, what rounding and empty pools leave over
// stated as a remainder. It is pure.
//
// The rows of an epoch are the leaves of a Merkle tree as RFC 6962 (section 2.1)
// defines it; its root goes on chain, so that each owner can prove his row.
package reward
