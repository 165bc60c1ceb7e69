// Package epoch drives the epochs: it commits to secrets, opens epochs, delivers
// challenges, cuts, judges, books and freezes. All that decides is pure code in
// other packages; this one persists its steps so that each can be repeated after
// a crash at any point.
//
// The life of epoch e:
//
//  1. While e-1 runs (at start-up: at once for the current one), a random secret
//     is journaled and stored, and then a memo with its hash is asked for on chain.
//  2. When that memo is final and a later block is final too, the epoch's
//     opening, with the hash of that block, is journaled. Secret and blockhash
//     give the seed, the seed gives the challenges. Only challenges count that are
//     due some time after the opening: an oracle that starts late opens late.
//  3. Challenges are signed and delivered seconds before they are due.
//  4. At the epoch's end plus grace the journal is cut. What lies before the cut
//     is judged; verdicts, rows and the root are stored; the ledger is posted; the
//     list of payouts is frozen, which also reveals the secret.
//
// The state database can be lost: the journal keeps secrets and terms beside the
// evidence, and all that follows from them is computed again. See [Manager.CheckPolicies].
//
// Without a chain the oracle goes on taking reports; epochs that were opened are
// cut and judged and wait for payment, others are not opened.
package epoch
