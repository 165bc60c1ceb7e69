package web

import (
	"fmt"
	"net/http"

	"github.com/mr-tron/base58"

	"heliograph/oracle/ledger"
	"heliograph/poc"
)

// Wallet is what the ledger says about a wallet, in the token's smallest unit.
// The accounts are read one after the other: while a payout is being booked they
// may not add up.
type Wallet struct {
	Wallet string `json:"wallet"`
	Paid   string `json:"paid"` // final on chain
	Owed   string `json:"owed"` // earned and not yet paid
	Held   string `json:"held"` // owed, but cannot be paid for now
	// CarriedOver is the part of Owed that is below Threshold, the least sum that is
	// paid out, and goes into the next epoch; Why says so in words. All three are left
	// out when nothing waits for that reason.
	CarriedOver string `json:"carried_over,omitempty"`
	Threshold   string `json:"threshold,omitempty"`
	Why         string `json:"why,omitempty"`
}

// wallet answers for every address: one that never earned has nothing.
func (s *server) wallet(w http.ResponseWriter, r *http.Request) {
	text := r.PathValue("wallet")
	b, err := base58.Decode(text)
	if err != nil || len(b) != len(poc.Wallet{}) || base58.Encode(b) != text {
		fail(w, http.StatusBadRequest, fmt.Sprintf("wallet %.64q is not a Solana address", text))
		return
	}
	out := Wallet{Wallet: text}
	for _, a := range []struct {
		account ledger.Account
		to      *string
	}{{ledger.Paid(poc.Wallet(b)), &out.Paid}, {ledger.Owed(poc.Wallet(b)), &out.Owed}, {ledger.Held(poc.Wallet(b)), &out.Held}} {
		balance, err := s.cfg.Book.Balance(r.Context(), a.account)
		if err != nil {
			s.internal(w, err)
			return
		}
		*a.to = amount(balance.Net())
	}
	if s.cfg.Epochs != nil {
		waiting, threshold, err := s.cfg.Epochs.Waiting(r.Context(), poc.Wallet(b))
		if err != nil {
			s.internal(w, err)
			return
		}
		out.carry(waiting, threshold)
	}
	answer(w, out)
}

// carry says what waits below the payout threshold.
func (w *Wallet) carry(waiting, threshold ledger.Amount) {
	if waiting == 0 {
		return
	}
	w.CarriedOver, w.Threshold = amount(waiting), amount(threshold)
	w.Why = fmt.Sprintf("%d are below the payout threshold of %d: they are carried over, and paid with the epoch in which the sum reaches it", waiting, threshold)
}
