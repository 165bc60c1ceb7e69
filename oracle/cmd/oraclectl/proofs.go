package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/mr-tron/base58"

	"heliograph/oracle/audit"
	"heliograph/oracle/epoch"
	"heliograph/oracle/policy"
	"heliograph/oracle/settle/claim"
	"heliograph/oracle/settle/solana"
	"heliograph/oracle/settle/solana/trail"
	"heliograph/poc"
	"heliograph/provisioning/identity"
)

// proofs are the flags of audit, epoch claims and policy.
type proofs struct {
	policyKey string
	mint      string
	program   string
	previous  string
	key       string
}

func (p *proofs) flags(f *flag.FlagSet) {
	f.StringVar(&p.policyKey, "policy-key", "", "")
	f.StringVar(&p.mint, "mint", "", "")
	f.StringVar(&p.program, "program", "", "")
	f.StringVar(&p.previous, "previous", "", "")
	f.StringVar(&p.key, "key", "", "")
}

const auditUsage = `oraclectl audit recomputes an epoch from its published bundle and finds every
payout on chain, without the oracle's database.

Usage:
  oraclectl audit BUNDLE --rpc URL

BUNDLE is a file or a URL, such as https://oracle.example/api/epochs/20778/bundle.
Its format is in docs/epoch-bundle.md.

  --rpc URL         a Solana JSON-RPC endpoint that keeps history; without one the
                    chain is not asked
  --previous BUNDLE of the epoch before: what it carries over is computed too
  --oracle KEY      the key that the oracle must have
  --policy-key KEY  the key that must have signed the policy
  --payer ACC       the account that must have sent the memos
  --treasury ACC    the token account that payouts must come from
  --mint ACC        the token's mint
  --program ACC     the program of the distributor that wallets claim from; without it
                    the one of the main network
  --json            print JSON

Exit codes: 0 all is equal, 1 something differs, 2 the audit could not be made.
`

// openBundle reads a bundle from a file or a URL.
func openBundle(ctx context.Context, where string) (epoch.Bundle, error) {
	if !strings.HasPrefix(where, "http://") && !strings.HasPrefix(where, "https://") {
		f, err := openFile(where, fromOracle)
		if err != nil {
			return epoch.Bundle{}, err
		}
		defer func() { _ = f.Close() }()
		return readBundle(where, f)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Hour)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, where, nil)
	if err != nil {
		return epoch.Bundle{}, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return epoch.Bundle{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		var why struct{ Error string }
		b, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
		if json.Unmarshal(b, &why) != nil || why.Error == "" { // not an oracle's answer
			why.Error = "is this an oracle that gives bundles out (explorer.bundle)? name its address, or a file"
		}
		return epoch.Bundle{}, fmt.Errorf("%s answers %s: %s", where, resp.Status, why.Error)
	}
	return readBundle(where, io.LimitReader(resp.Body, maxBundle))
}

// readBundle reads what was found at a place; an error says what to do about it.
func readBundle(where string, r io.Reader) (epoch.Bundle, error) {
	b, err := epoch.ReadBundle(r)
	if err != nil {
		return b, fmt.Errorf("%s: %w: it is damaged or no bundle: get it again; %s", where, err, fromOracle)
	}
	return b, nil
}

// audit checks a bundle against itself and the chain.
func (c command) audit(ctx context.Context, where string) error {
	o := audit.Options{Payer: c.payer, Treasury: c.treasury, Mint: c.mint, Program: c.program}
	for _, k := range []struct {
		name, text string
		to         *identity.HotspotID
	}{{"oracle", c.oracle, &o.Oracle}, {"policy-key", c.policyKey, &o.PolicyKey}} {
		if k.text == "" {
			continue
		}
		var err error
		if *k.to, err = identity.ParseText(k.text); err != nil {
			return fmt.Errorf("--%s: %w", k.name, err)
		}
	}
	b, err := openBundle(ctx, where)
	if err != nil {
		return err
	}
	if c.previous != "" {
		p, err := openBundle(ctx, c.previous)
		if err != nil {
			return fmt.Errorf("--previous: %w", err)
		}
		o.Previous = &p
	}
	if c.rpc != "" {
		o.Chain, o.Trail = chain{solana.NewReader(c.rpc)}, trail.NewReader(c.rpc)
	}
	rep, err := audit.Run(ctx, b, o)
	if err != nil {
		return err
	}
	if c.json {
		err = c.print(rep)
	} else {
		err = c.printReport(rep)
		if p := rep.Paid; p != nil {
			_, _ = fmt.Fprintf(c.out, "on chain: %d paid to %d wallets in %d transactions, %d of the list is held or not paid yet\n", p.Sum, p.Wallets, p.Batches, p.Left)
		}
	}
	if err == nil && !rep.OK {
		return errWrong
	}
	return err
}

// claimFile is what wallets need to claim an epoch's payouts.
type claimFile struct {
	Epoch  uint32      `json:"epoch"`
	Root   epoch.Hash  `json:"root"`
	Total  string      `json:"total"`
	Count  int         `json:"count"`
	Claims []claimLine `json:"claims"`
}

type claimLine struct {
	Wallet string       `json:"wallet"`
	Amount string       `json:"amount"`
	Proof  []epoch.Hash `json:"proof"`
}

// claims prints the tree of an epoch for a merkle distributor.
func (c command) claims(ctx context.Context, number string) error {
	e, err := epochNumber(number)
	if err != nil {
		return err
	}
	b, err := c.bundle(ctx, e)
	if err != nil {
		return err
	}
	res, err := epoch.Compute(ctx, b.Evidence)
	if err != nil {
		return err
	}
	if b.Claim == nil || b.Epoch != e || res.List != b.Claim.List || res.PayoutRoot != b.Claim.PayoutRoot {
		return fmt.Errorf("epoch %d: the list that was recomputed is not the one that the oracle claims: run oraclectl audit", e)
	}
	tree, err := claim.New(res.Owing.Payouts)
	if err != nil {
		return err
	}
	out := claimFile{Epoch: uint32(e), Root: tree.Root(), Total: fmt.Sprint(tree.Total()), Count: tree.Count()}
	if !c.json {
		_, err := fmt.Fprintf(c.out, "epoch        %d\npayout root  %v\ntotal        %s\nclaims       %d\n(--json prints every claim with its proof)\n", out.Epoch, out.Root, out.Total, out.Count)
		return err
	}
	for _, p := range res.Owing.Payouts {
		proof, _ := tree.Prove(p.Wallet)
		l := claimLine{Wallet: base58.Encode(p.Wallet[:]), Amount: fmt.Sprint(p.Amount), Proof: []epoch.Hash{}}
		for _, n := range proof.Nodes {
			l.Proof = append(l.Proof, n)
		}
		out.Claims = append(out.Claims, l)
	}
	return c.print(out)
}

const policyUsage = `oraclectl policy makes and shows the signed documents of a network's policy.

Usage:
  oraclectl policy key FILE                 make a policy key, print its public key
  oraclectl policy sign DRAFT --key FILE    sign a draft, print the document
  oraclectl policy show DOC...              check a chain and print what it says

  --key FILE        the network's policy key (an identity key file): keep it offline
  --policy-key KEY  show: the key that must have signed
  --json            print JSON

A draft is the "policy" part of a document. From version 2 on it names the hash of
the version before as "previous", and an epoch in "from" that lies after the one in
"announced". A first one, amounts in the token's smallest unit:

` + policyDraft + `
Exit codes: 0 all is well, 1 the chain is not sound, 2 the command could not be
carried out.
`

// policyDraft is the draft of a first version that the help shows.
const policyDraft = `{"network": "my network", "version": 1, "announced": 0, "from": 0,
 "schedule": {"kind": "fixed", "initial": "100000000000"},
 "shares_per_mille": {"beacon": 60, "witness": 240, "data": 500,
                      "operations": 70, "data_rest_to_beacon": 200},
 "credit_price": "1000000", "payout_threshold": "0"}
`

// maxDraft bounds a policy file.
const maxDraft = 1 << 20

func readJSON(path string, v any) error {
	f, err := openFile(path, fromShow)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxDraft))
	if err == nil {
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// newPolicyKey makes the key file of a network's policy; it never replaces one.
func (c command) newPolicyKey(path string) error {
	key, err := identity.CreateFile(path, identity.Ed25519, rand.Reader)
	if err != nil {
		return err
	}
	if c.json {
		return c.print(map[string]string{"policy_key": key.ID().String()})
	}
	_, err = fmt.Fprintf(c.out, "%v\n(reward.policy_key of oracled; who has %s decides about emission and shares)\n", key.ID(), path)
	return err
}

func (c command) policySign(path string) error {
	if c.key == "" {
		return errors.New("policy sign: name the file of the policy key with --key")
	}
	var d policy.Document
	if err := readJSON(path, &d); err != nil {
		return err
	}
	key, err := identity.LoadFile(c.key)
	if err != nil {
		return fmt.Errorf("--key: %w: `oraclectl policy key FILE` makes one", err)
	}
	s, err := policy.Sign(d, key)
	if err != nil {
		return err
	}
	return c.print(s)
}

func (c command) policyShow(paths []string) error {
	docs := make([]policy.Signed, len(paths))
	for i, p := range paths {
		if err := readJSON(p, &docs[i]); err != nil {
			return err
		}
	}
	if c.policyKey == "" {
		return errors.New("policy show: name the key that must have signed with --policy-key")
	}
	key, err := identity.ParseText(c.policyKey)
	if err != nil {
		return fmt.Errorf("--policy-key: %w", err)
	}
	ch, err := policy.NewChain(key, docs)
	if err != nil {
		_, _ = fmt.Fprintln(c.out, "NOT SOUND:", err)
		return errWrong
	}
	all := ch.Upto(poc.Epoch(math.MaxUint32))
	if c.json {
		return c.print(all)
	}
	for _, d := range all {
		s, later := d.Schedule, ""
		if s.Kind != policy.Fixed {
			later = fmt.Sprintf(" (to %d, start %d, span %d)", s.Final, s.Start, s.Span)
		}
		_, _ = fmt.Fprintf(c.out, "version %d  from epoch %d  %v %d%s  threshold %d  %v\n", d.Version, d.From, s.Kind, s.Initial, later, d.Threshold, d.ID())
	}
	return nil
}

// onProofs carries out audit, epoch claims and policy.
func (c command) onProofs(ctx context.Context) error {
	switch {
	case c.words[0] == "audit" && len(c.words) == 2:
		return c.audit(ctx, c.words[1])
	case c.words[0] == "epoch" && len(c.words) == 3:
		return c.claims(ctx, c.words[2])
	case c.words[0] == "policy" && len(c.words) == 3 && c.words[1] == "key":
		return c.newPolicyKey(c.words[2])
	case c.words[0] == "policy" && len(c.words) == 3 && c.words[1] == "sign":
		return c.policySign(c.words[2])
	case c.words[0] == "policy" && len(c.words) > 2 && c.words[1] == "show":
		return c.policyShow(c.words[2:])
	}
	return fmt.Errorf("command %q is not known or lacks its argument: see oraclectl %s --help", strings.Join(c.words, " "), c.words[0])
}
