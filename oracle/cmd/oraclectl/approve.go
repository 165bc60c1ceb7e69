package main

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"heliograph/oracle/ledger"
	"heliograph/oracle/settle/solana"
	"heliograph/oracle/settle/solana/approve"
	"heliograph/oracle/settle/solana/signer"
)

// approval is what approve prints.
type approval struct {
	Summary   []string        `json:"summary"`
	Allowance ledger.Amount   `json:"allowance"` // what the message approves: the sum of what is open
	Epochs    []openEpoch     `json:"epochs"`    // oldest first; the last is the one that was asked for
	Message   string          `json:"message"`   // base64, to be signed
	Signers   []string        `json:"signers"`
	Signer    signer.Approval `json:"signer_approval"` // for the approvals of oraclesigner
	Signature string          `json:"signature,omitempty"`
}

// approve recomputes the epoch first: nobody is asked to sign a number that only
// the oracle knows.
func (c command) approve(ctx context.Context) error {
	if c.epochNo == "" || c.rpc == "" || c.treasury == "" || c.hot == "" {
		return errors.New("approve needs --epoch, --rpc, --treasury and --hot: see oraclectl settle --help")
	}
	choice, err := c.choice()
	if err != nil {
		return err
	}
	account, err := solana.ParseAddress(c.treasury)
	if err != nil {
		return fmt.Errorf("--treasury: %w", err)
	}
	t, err := approve.ReadTreasury(ctx, c.rpc, account)
	if err != nil {
		return err
	}
	epochs, g, err := c.grant(ctx, t)
	if err != nil {
		return err
	}
	allowance, err := g.Allowance()
	if err != nil {
		return err
	}
	var m approve.Message
	if c.message == "" {
		if len(c.signatures) > 0 {
			return errors.New("--signature needs the --message that was signed: another one would be made with another blockhash")
		}
		m, err = approve.Prepare(ctx, c.rpc, t, g, choice)
	} else {
		var raw []byte
		if raw, err = base64.StdEncoding.DecodeString(c.message); err != nil {
			return fmt.Errorf("--message: %w", err)
		}
		m, err = approve.Same(raw, t, g, choice)
	}
	if err != nil {
		return err
	}
	out := approval{Summary: summary(t, g, choice), Allowance: allowance, Epochs: epochs, Message: base64.StdEncoding.EncodeToString(m.Bytes),
		Signer: signer.Approval{Epoch: g.Epoch, Total: g.Total, List: hex.EncodeToString(g.List[:])}}
	for _, s := range m.Signers {
		out.Signers = append(out.Signers, s.String())
	}
	if len(c.signatures) > 0 {
		if out.Signature, err = c.send(ctx, m); err != nil {
			return err
		}
	}
	if c.json {
		return c.print(out)
	}
	return c.printApproval(out)
}

func (c command) choice() (out approve.Choice, err error) {
	for _, text := range strings.FieldsFunc(c.signers, func(r rune) bool { return r == ',' }) {
		a, err := solana.ParseAddress(text)
		if err != nil {
			return out, fmt.Errorf("--signers: %w", err)
		}
		out.Signers = append(out.Signers, a)
	}
	for _, f := range []struct {
		name, text string
		to         *solana.Address
	}{{"--fee-payer", c.feePayer, &out.Payer}, {"--nonce", c.nonce, &out.Nonce}} {
		if f.text == "" {
			continue
		}
		if *f.to, err = solana.ParseAddress(f.text); err != nil {
			return out, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return out, nil
}

// send combines the signatures and waits until the approval is final.
func (c command) send(ctx context.Context, m approve.Message) (string, error) {
	var sigs []approve.Signature
	for _, text := range c.signatures {
		s, err := approve.ParseSignature(text)
		if err != nil {
			return "", err
		}
		sigs = append(sigs, s)
	}
	tx, err := m.Combine(sigs)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, 3*timeout)
	defer cancel()
	sig, err := approve.Send(ctx, c.rpc, tx)
	return sig.String(), err
}

func summary(t approve.Treasury, g approve.Grant, c approve.Choice) []string {
	allowance, _ := g.Allowance() // it was checked
	older := ledger.Amount(0)
	out := []string{fmt.Sprintf("epoch %d was recomputed; its commit memo is on chain", g.Epoch)}
	line := fmt.Sprintf("epoch %d: exactly its total of %d, list %x", g.Epoch, g.Total, g.List)
	if g.Paid > 0 {
		line = fmt.Sprintf("epoch %d: exactly %d, its total of %d without %d that are paid already, list %x", g.Epoch, g.Total-g.Paid, g.Total, g.Paid, g.List)
	}
	out = append(out, line)
	for _, p := range g.Older {
		older += p.Open // Allowance has added them up
		out = append(out, fmt.Sprintf("epoch %d: exactly %d that its list still has to pay (owed or held), list %x", p.Epoch, p.Open, p.List))
	}
	out = append(out, fmt.Sprintf("%s may spend exactly %d (%d decimals) from treasury %s, mint %s", g.Hot, allowance, t.Decimals, t.Account, t.Mint))
	if t.Allowance > 0 {
		out = append(out, replaces(t, g, older))
	}
	if t.Balance < uint64(allowance) {
		out = append(out, fmt.Sprintf("the treasury holds %d only: fund it", t.Balance))
	}
	if t.Multisig != nil {
		out = append(out, fmt.Sprintf("the owner %s is a multisig, %d of %d", t.Owner, t.Multisig.Required, len(t.Multisig.Signers)))
	}
	if c.Nonce.IsZero() {
		out = append(out, "the message is good for about a minute; a nonce account (--nonce) takes the hurry out of it")
	}
	if len(g.Older) > 0 {
		out = append(out, "a payout of an older epoch that lands before the approval makes it too large by that: if signing takes long, `oraclectl settle pause` first")
	}
	return out
}

// replaces says what becomes of the allowance that is there.
func replaces(t approve.Treasury, g approve.Grant, older ledger.Amount) string {
	text := fmt.Sprintf("this REPLACES an allowance of %d that %s has left", t.Allowance, t.Delegate)
	switch covered := uint64(older) + uint64(g.Total-g.Paid); {
	case t.Delegate != g.Hot:
		return text + ": that key can spend nothing any more"
	case covered < t.Allowance || older == 0 && t.Allowance > 0:
		return text + ": payouts of epochs that are not listed above lose it (--older names the bundle of an epoch that was not found)"
	}
	return text + "; what is open of older epochs is in the new one"
}

func (c command) printApproval(a approval) error {
	var b strings.Builder
	for _, line := range a.Summary {
		fmt.Fprintln(&b, line)
	}
	if a.Signature != "" {
		fmt.Fprintf(&b, "approved: transaction %s is final\n", a.Signature)
	} else {
		fmt.Fprintf(&b, "to be signed by %s:\n%s\n", strings.Join(a.Signers, " and "), a.Message)
		fmt.Fprintf(&b, "then: the same command with --message and --signature KEY=SIGNATURE for each\n")
	}
	fmt.Fprintf(&b, "for the approvals of oraclesigner, %d.json: {\"epoch\":%d,\"total\":%d,\"list\":\"%s\"}\n", a.Signer.Epoch, a.Signer.Epoch, a.Signer.Total, a.Signer.List)
	_, err := io.WriteString(c.out, b.String())
	return err
}
