package solana

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/gagliardetto/solana-go/rpc"
	"github.com/gagliardetto/solana-go/rpc/jsonrpc"

	"heliograph/oracle/settle"
)

// Send hands a transaction to the endpoint, which simulates it first. The
// endpoint is told not to repeat it: the settler does, and knows when to stop.
func (c *Client) Send(ctx context.Context, tx settle.Tx) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	none := uint(0)
	_, err := c.rpc.SendRawTransactionWithOpts(ctx, tx.Raw, rpc.TransactionOpts{
		PreflightCommitment: rpc.CommitmentConfirmed, MaxRetries: &none,
	})
	if err == nil {
		return nil
	}
	var re *jsonrpc.RPCError
	if errors.As(err, &re) && re.Code == preflightFailure {
		return sortRefusal(re)
	}
	return fmt.Errorf("solana: send: %w", err)
}

// preflightFailure is the JSON-RPC code of a failed simulation.
const preflightFailure = -32002

// sortRefusal turns a failed simulation into what is to be done about it. It
// returns nil when the transaction has landed already.
func sortRefusal(re *jsonrpc.RPCError) error {
	r := &settle.Rejected{Detail: re.Message}
	var data struct {
		Err json.RawMessage `json:"err"`
	}
	text, err := json.Marshal(re.Data)
	if err != nil || json.Unmarshal(text, &data) != nil {
		return r
	}
	var word string
	if json.Unmarshal(data.Err, &word) == nil {
		switch word {
		case "AlreadyProcessed":
			return nil
		case "BlockhashNotFound":
			r.Cause = settle.CauseExpired
		case "InsufficientFundsForFee", "AccountNotFound", "InsufficientFundsForRent":
			r.Cause = settle.CauseFunds
		}
		r.Detail = strings.TrimSpace(r.Detail + " " + word)
		return r
	}
	index, code, ok := instructionError(data.Err)
	if !ok {
		if strings.Contains(string(data.Err), "InsufficientFunds") {
			r.Cause = settle.CauseFunds
		}
		r.Detail += " " + string(data.Err)
		return r
	}
	r.Detail = fmt.Sprintf("instruction %d: %s", index, code)
	switch {
	case index == markerIx && code == "Custom 0":
		r.Cause = settle.CauseMarker
	case code == insufficient:
		r.Cause = settle.CauseFunds
	case index >= firstTransfer:
		r.Cause, r.Recipient = settle.CauseRecipient, index-firstTransfer
		r.Detail += ": " + recipientRefused(code)
	}
	return r
}

// insufficient is what a program says that has not enough: spl-token of tokens or
// allowance, system of lamports.
const insufficient = "Custom 1"

// failure is the error of a transaction that landed and failed, and whom of those
// that it pays it blames, counted from 1. An empty treasury is nobody's fault.
func failure(cause any) (text string, blames int) {
	text = fmt.Sprint(cause)
	raw, err := json.Marshal(cause)
	if err != nil {
		return text, 0
	}
	index, code, ok := instructionError(raw)
	if !ok {
		return text, 0
	}
	if index >= firstTransfer && code != insufficient {
		blames = index - firstTransfer + 1
	}
	return fmt.Sprintf("instruction %d: %s", index, code), blames
}

// recipientRefused says what a transfer's error means for the recipient. It stands
// until the account is looked at again.
func recipientRefused(code string) string {
	switch code {
	case "Custom 17":
		return "token account is frozen: the mint's freeze authority must thaw it"
	case "InvalidAccountData", "UninitializedAccount", "Custom 9":
		return "token account does not exist any more: its owner must create one for the mint"
	}
	return "the cluster does not let the transfer through: its owner must see to the token account, or name another wallet"
}

// instructionError reads {"InstructionError":[index, "Name" | {"Custom": n}]}.
func instructionError(raw json.RawMessage) (index int, code string, ok bool) {
	var outer struct {
		Error []json.RawMessage `json:"InstructionError"`
	}
	if json.Unmarshal(raw, &outer) != nil || len(outer.Error) != 2 {
		return 0, "", false
	}
	if json.Unmarshal(outer.Error[0], &index) != nil || index < 0 {
		return 0, "", false
	}
	if json.Unmarshal(outer.Error[1], &code) == nil {
		return index, code, true
	}
	var custom struct {
		Custom *uint32 `json:"Custom"`
	}
	if json.Unmarshal(outer.Error[1], &custom) != nil || custom.Custom == nil {
		return 0, "", false
	}
	return index, fmt.Sprintf("Custom %d", *custom.Custom), true
}
