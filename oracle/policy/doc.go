// Package policy is the money side of a network as documents that its policy key
// signs: how much an epoch creates, how that is shared out, and from which sum on a
// wallet is paid. It is pure.
//
// A document names its version, the hash of the one before, and the epoch from
// which it counts. Documents form a chain: versions 1, 2, 3... without a gap, each
// counting from a later epoch than the one before, and none from an epoch at or
// before the one in which it was announced. What an epoch was opened under is
// therefore never changed afterwards; a network that tries is found out, because
// every epoch publishes the hash of its document.
//
// # Another policy key
//
// A document may name a successor: the versions after it are signed by that key, and no
// more by the one before. The document itself is signed by the old key, so who knows
// the network by its first key can follow the chain of keys; nothing that was signed
// before changes. A key that was stolen can do the same: keep it off line, and watch
// for versions that nobody announced. A key that was lost cannot be replaced this way.
//
// # Rounding
//
// All amounts are integers in the token's smallest unit. A halved emission is
// rounded down; the part by which a linear schedule has moved is rounded down; so
// is the cap by burned credits. Nothing is ever rounded up.
package policy
