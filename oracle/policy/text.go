package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/mr-tron/base58"

	"heliograph/oracle/ledger"
	"heliograph/oracle/reward"
	"heliograph/poc"
	"heliograph/provisioning/identity"
)

// text is a document as people write it. Amounts are text: many tools round large
// numbers.
type text struct {
	Network   string       `json:"network"`
	Version   uint32       `json:"version"`
	Previous  *Hash        `json:"previous,omitempty"`
	Announced poc.Epoch    `json:"announced"`
	From      poc.Epoch    `json:"from"`
	Schedule  scheduleText `json:"schedule"`
	Shares    sharesText   `json:"shares_per_mille"`
	Credit    digits       `json:"credit_price"`
	Cap       *capText     `json:"cap_by_burned_credits,omitempty"`
	Threshold digits       `json:"payout_threshold"`
	Operator  string       `json:"operator,omitempty"`
	Successor string       `json:"policy_key_from_next_version,omitempty"`
}

type scheduleText struct {
	Kind    Kind      `json:"kind"`
	Initial digits    `json:"initial"`
	Final   digits    `json:"final,omitempty"`
	Start   poc.Epoch `json:"start,omitempty"`
	Span    uint32    `json:"span,omitempty"`
}

type sharesText struct {
	Beacon     uint64 `json:"beacon"`
	Witness    uint64 `json:"witness"`
	Data       uint64 `json:"data"`
	Operations uint64 `json:"operations"`
	DataRest   uint64 `json:"data_rest_to_beacon"`
}

type capText struct {
	Ratio uint64 `json:"per_mille"`
	Floor digits `json:"floor"`
}

// digits is an amount as decimal text.
type digits ledger.Amount

func (d digits) MarshalText() ([]byte, error) { return strconv.AppendUint(nil, uint64(d), 10), nil }

func (d *digits) UnmarshalText(b []byte) error {
	n, err := strconv.ParseUint(string(b), 10, 63)
	if err != nil {
		return fmt.Errorf("policy: amount %q is not a number of the token's smallest unit", b)
	}
	*d = digits(n)
	return nil
}

// MarshalJSON is the form for people.
func (d Document) MarshalJSON() ([]byte, error) {
	t := text{Network: d.Network, Version: d.Version, Announced: d.Announced, From: d.From,
		Schedule: scheduleText{d.Schedule.Kind, digits(d.Schedule.Initial), digits(d.Schedule.Final), d.Schedule.Start, d.Schedule.Span},
		Shares:   sharesText{d.Shares.Beacon, d.Shares.Witness, d.Shares.Data, d.Shares.Operations, d.Shares.DataRest},
		Credit:   digits(d.Shares.CreditPrice), Threshold: digits(d.Threshold)}
	if d.Previous != (Hash{}) {
		t.Previous = &d.Previous
	}
	if d.Shares.CapRatio != 0 || d.Shares.CapFloor != 0 {
		t.Cap = &capText{d.Shares.CapRatio, digits(d.Shares.CapFloor)}
	}
	if d.Operator != (poc.Wallet{}) {
		t.Operator = base58.Encode(d.Operator[:])
	}
	if !d.Successor.IsZero() {
		t.Successor = d.Successor.String()
	}
	return json.Marshal(t)
}

// UnmarshalJSON reads the form for people. It refuses unknown fields, so that a
// slip of the pen is not a policy.
func (d *Document) UnmarshalJSON(b []byte) error {
	var t text
	if err := strict(b, &t); err != nil {
		return fmt.Errorf("%w: %w", ErrDocument, err)
	}
	out := Document{Network: t.Network, Version: t.Version, Announced: t.Announced, From: t.From, Threshold: ledger.Amount(t.Threshold),
		Schedule: Schedule{Kind: t.Schedule.Kind, Initial: ledger.Amount(t.Schedule.Initial), Final: ledger.Amount(t.Schedule.Final), Start: t.Schedule.Start, Span: t.Schedule.Span},
		Shares: reward.Policy{Beacon: t.Shares.Beacon, Witness: t.Shares.Witness, Data: t.Shares.Data, Operations: t.Shares.Operations,
			DataRest: t.Shares.DataRest, CreditPrice: ledger.Amount(t.Credit)}}
	if t.Previous != nil {
		out.Previous = *t.Previous
	}
	if t.Cap != nil {
		out.Shares.CapRatio, out.Shares.CapFloor = t.Cap.Ratio, ledger.Amount(t.Cap.Floor)
	}
	if t.Operator != "" {
		w, err := base58.Decode(t.Operator)
		if err != nil || len(w) != len(out.Operator) {
			return fmt.Errorf("%w: operator %.64q is not a Solana address", ErrDocument, t.Operator)
		}
		copy(out.Operator[:], w)
	}
	if t.Successor != "" {
		var err error
		if out.Successor, err = identity.ParseText(t.Successor); err != nil {
			return fmt.Errorf("%w: policy_key_from_next_version: %w", ErrDocument, err)
		}
	}
	if err := out.Check(); err != nil {
		return err
	}
	*d = out
	return nil
}

// strict decodes one JSON value without unknown fields and without anything
// behind it.
func strict(b []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is something behind the JSON value")
	}
	return nil
}
