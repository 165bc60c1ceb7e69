// Package solana carries settlements to a Solana cluster: it builds and signs the
// transactions and reads the cluster's answers. It is the only part of the oracle
// that knows Solana.
//
// A payout is one legacy transaction (spec: SPL Token program, System program):
//
//	ix0 System.Transfer(hot -> marker, rent of a token account)
//	ix1 System.AllocateWithSeed(marker, base hot, seed "hs/<epoch>/<batch>", owner Token)
//	ix2 Token.InitializeAccount3(marker, mint, owner hot)
//	ix3 ComputeBudget.SetComputeUnitLimit
//	ix4 ComputeBudget.SetComputeUnitPrice
//	ix5... Token.TransferChecked(treasury -> recipient), authority hot
//
// ix1 fails with Custom(0) when the marker exists: at most one transaction with a
// given epoch and batch ever executes. Allocate (and not CreateAccount) is used
// because it also works when a stranger has sent lamports to the marker's address
// beforehand. The marker is a token account, so that its rent can be had back.
package solana
