// Package approve makes the transaction by which the owner of the treasury lets the
// hot key spend exactly one epoch's total (SPL Token ApproveChecked), for signers
// that are offline: a key in a drawer, or m of the n keys of a native SPL multisig.
//
// Every operator makes the same message from a recomputation of his own and compares
// bytes, so nobody signs what another has computed. The message carries a memo that
// says what is approved.
package approve
