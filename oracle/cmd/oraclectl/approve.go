package main

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"heliograph/oracle/audit"
	"heliograph/oracle/epoch"
	"heliograph/oracle/settle"
	"heliograph/oracle/settle/solana"
	"heliograph/oracle/settle/solana/approve"
	"heliograph/oracle/settle/solana/signer"
	"heliograph/provisioning/identity"
)

// approval is what approve prints.
type approval struct {
	Summary   []string        `json:"summary"`
	Message   string          `json:"message"` // base64, to be signed
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
	g, err := c.grant(ctx)
	if err != nil {
		return err
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
	out := approval{Summary: summary(t, g, choice), Message: base64.StdEncoding.EncodeToString(m.Bytes),
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

// grant recomputes the epoch and holds it against the commit memo on chain.
func (c command) grant(ctx context.Context) (g approve.Grant, err error) {
	e, err := epochNumber(c.epochNo)
	if err != nil {
		return g, err
	}
	if g.Hot, err = solana.ParseAddress(c.hot); err != nil {
		return g, fmt.Errorf("--hot: %w", err)
	}
	o := audit.Options{}
	if c.oracle != "" {
		if o.Oracle, err = identity.ParseText(c.oracle); err != nil {
			return g, fmt.Errorf("--oracle: %w", err)
		}
	}
	b, err := c.bundle(ctx, e)
	if err != nil {
		return g, err
	}
	if b.Epoch != e {
		return g, fmt.Errorf("the bundle is of epoch %d, asked for was %d", b.Epoch, e)
	}
	rep, err := audit.Run(ctx, b, o)
	if err != nil {
		return g, err
	}
	if !rep.OK {
		if err := c.printReport(rep); err != nil {
			return g, err
		}
		return g, errWrong
	}
	// The audit found the claim equal to what it computed.
	g.Epoch, g.Total, g.List = e, b.Claim.Payable, [32]byte(b.Claim.List)
	return g, c.committed(ctx, b, g)
}

// committed looks for the commit memo of exactly this list, by the hot key.
func (c command) committed(ctx context.Context, b epoch.Bundle, g approve.Grant) error {
	if b.Memos.Commit == "" {
		return fmt.Errorf("the commit memo of epoch %d is not final yet: approve when it is", g.Epoch)
	}
	tx, err := solana.NewReader(c.rpc).Transaction(ctx, b.Memos.Commit)
	if err != nil {
		return err
	}
	want := settle.CommitText(g.Epoch, b.Claim.Payouts, g.Total, b.Claim.Roots())
	switch {
	case tx.Failed != "" || !slices.Contains(tx.Memos, want):
		return fmt.Errorf("the commit memo on chain is %q, recomputed is %q: do not approve", tx.Memos, want)
	case tx.Payer != g.Hot:
		return fmt.Errorf("the commit memo was sent by %s, --hot is %s: do not approve", tx.Payer, g.Hot)
	}
	return nil
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
	out := []string{
		fmt.Sprintf("epoch %d was recomputed; its commit memo is on chain", g.Epoch),
		fmt.Sprintf("%s may spend exactly %d (%d decimals) from treasury %s, mint %s", g.Hot, g.Total, t.Decimals, t.Account, t.Mint),
		fmt.Sprintf("list %x", g.List),
	}
	if t.Allowance > 0 {
		out = append(out, fmt.Sprintf("this REPLACES an allowance of %d that %s has left: payouts that are still held or owed of earlier epochs lose it", t.Allowance, t.Delegate))
	}
	if t.Balance < uint64(g.Total) {
		out = append(out, fmt.Sprintf("the treasury holds %d only: fund it", t.Balance))
	}
	if t.Multisig != nil {
		out = append(out, fmt.Sprintf("the owner %s is a multisig, %d of %d", t.Owner, t.Multisig.Required, len(t.Multisig.Signers)))
	}
	if c.Nonce.IsZero() {
		out = append(out, "the message is good for about a minute; a nonce account (--nonce) takes the hurry out of it")
	}
	return out
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
