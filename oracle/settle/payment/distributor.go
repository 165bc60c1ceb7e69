package payment

import "heliograph/oracle/ledger"

// KnownProgram is the merkle distributor program of the main network, whose authority
// to upgrade it was given up.
const KnownProgram = "mERKcfxMC5SqJn4Ld4BUris3WKZZ1ojjWJ3A3J5CKxv"

// Distributor is a merkle distributor that a transaction made. Accounts are base58,
// times Unix seconds.
type Distributor struct {
	Program, Mint, Vault string
	Receiver, Admin      string // who takes back what is not claimed; who made it
	Version              uint64
	Root                 [32]byte
	Total                ledger.Amount
	Count                uint64
	Start, End, Clawback int64
}

// Claims is what a distributor has paid, all of one moment.
type Claims struct {
	Terms   Distributor     // as its account says; zero: it does not exist
	Amounts []ledger.Amount // of each wallet that was asked for; 0: not claimed
	Claimed ledger.Amount   // by everybody, as its account says
	Vault   ledger.Amount   // what it still holds
	Back    bool            // it gave back what was left, and pays nobody any more
}
