// Package settle brings an epoch's rewards onto the chain: it freezes the list
// of payouts, writes the Merkle root in a memo, pays every wallet in guarded
// batches, and closes the epoch with a second memo.
//
// # The life of a batch
//
//	planned --sign, persist--> signed --send--> in flight --marker and signature final--> final
//
// A transaction is persisted before it is sent, so a crash never leaves one that
// we do not know. Each batch creates a one-shot marker account in the same
// transaction: of all the variants that we may have signed of a batch, in this
// process, in an earlier one or on a restored backup, the chain executes at most
// one. That is why an expired variant may be signed again without asking.
//
// Once a marker has done its work for good it is closed, and its rent comes back
// (see [Settler.reclaim]). From then on its history stands for it: nothing is signed
// for a batch before enough endpoints (see [Chain]'s History) have said that nobody
// created its marker, and a transaction that did, whoever sent it, is read and booked.
// So two oracles on one epoch, a restored backup and a lost store ([Settler.Rebuild])
// all end the same way.
//
// That a batch is final and the ledger's entries are one transaction of the store.
//
// A recipient who is held when his batch lands is paid later in a batch of his own
// ([LaterBatch]).
//
// # Epochs that wallets claim
//
//	frozen --commit memo--> committed --distributor made--> funded --close memo--> claiming --time over--> settled --close memo--> closed
//
// With [Config].Claim, the epoch's total goes into one distributor ([Distribution]) in a
// transaction that is guarded as a batch is, and batches are only records of who has
// claimed. What nobody has claimed in time is taken back, and owed again.
//
// What is to be done next is decided by [decide], a pure function of the batch
// and of the facts that the cluster reports; the loop around it only carries
// out. Package settle/solana is the only one that knows Solana.
package settle
