// Package signer keeps the hot key away from the settler: a process of its own,
// under a user of its own, that decodes every message itself and signs only what
// pays a registered list once.
//
// It shares no code with what builds the messages. A settler that is taken over
// can neither send tokens to wallets outside the list, nor change an amount, nor
// pay a wallet in two batches, nor drain the fee payer in one transaction. It
// keeps what it has signed on disk, and it is there before the signature leaves.
package signer
