// Package payday pays out on the real Solana VM while everything goes wrong, and
// then looks from outside at what happened.
//
// A run is drawn from a seed: one to three nodes with faults of their own (dropped,
// late, limited, hung up, swallowed and delayed calls; signatures that stay hidden;
// heights that lag), forks, crashes after or before every write, a second oracle on
// the same epoch, a store that is lost and rebuilt, markers that are closed. At the
// end honest calls read all balances: nobody may have been paid twice, nobody left
// out, and the ledger must say what the chain says.
//
// The same weather meets [Bench.Naive], a payer that signs again when a signature is
// not found for a while and has no marker. It must pay somebody twice, or the
// weather would show nothing.
package payday
