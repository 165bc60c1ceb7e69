package epoch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"

	"heliograph/oracle/ledger"
	"heliograph/oracle/policy"
	"heliograph/oracle/registry"
	"heliograph/oracle/reward"
	"heliograph/oracle/settle"
	"heliograph/oracle/settle/claim"
	"heliograph/poc"
)

// Result is what an epoch comes to.
type Result struct {
	Epoch     poc.Epoch
	Rules     string
	Verdicts  []poc.Verdict // in the order of the journal
	Digest    Hash          // over all verdicts and their places
	Beacons   []Beacon      // for people; not part of any hash
	Reports   map[string]int
	Rows      []reward.Row
	Root      Hash // over the rows
	Emission  ledger.Amount
	Remainder ledger.Amount
	// Operations goes to Operator; both are zero when nobody is named, and then it
	// is in the remainder.
	Operations ledger.Amount
	Operator   poc.Wallet
	// Owing are the payouts of the epoch, and what is carried over to the next one
	// because it is below the threshold.
	Owing      Owing
	List       Hash
	PayoutRoot Hash          // over the payouts: wallets can claim by it
	CarriedIn  ledger.Amount // what the epoch before has carried over
	Threshold  ledger.Amount
	Policy     policy.Hash
	Evidence   Hash // set by those who have the evidence at hand; see [Evidence.Digest]
	Registry   Hash
	Seed       Hash
	Challenges int
	Schedule   Hash
}

// Compute judges an epoch. It is pure: the same evidence gives the same result
// on every machine.
func Compute(ctx context.Context, ev Evidence) (Result, error) {
	if err := ev.checkFrames(); err != nil {
		return Result{}, err
	}
	if err := ev.Terms.Check(); err != nil {
		return Result{}, err
	}
	if got := ev.Secret.Commitment(ev.Epoch); got != ev.Opening.Commitment {
		return Result{}, fmt.Errorf("epoch: the secret does not fit the commitment %x of epoch %d", ev.Opening.Commitment, ev.Epoch)
	}
	hotspots := registry.FromJournal(entries(before(ev.Control, ev.Opening.At)))
	out, err := judge(ctx, ev, hotspots)
	if err != nil {
		return Result{}, err
	}
	shares, err := reward.Compute(ev.Epoch, out.Units, hotspots, ev.Terms.Policy)
	if err != nil {
		return Result{}, err
	}
	res := Result{Epoch: ev.Epoch, Rules: ev.Terms.Rules, Verdicts: out.verdicts, Beacons: out.beacons, Reports: out.reports,
		Rows: shares.Rows, Emission: shares.Emission, Threshold: ev.Terms.Threshold, Policy: ev.Terms.PolicyHash, Remainder: shares.Remainder, Digest: out.Digest, Registry: hotspots.Hash()}
	res.Seed = Hash(ev.Secret.Seed(ev.Epoch, ev.Opening.Blockhash))
	asked, err := challenges(ev.Terms.Challenge, ev.Opening, ev.Secret, hotspots)
	if err != nil {
		return Result{}, err
	}
	res.Challenges, res.Schedule = len(asked), scheduleHash(asked)
	if ev.Terms.Operator == (poc.Wallet{}) {
		if res.Remainder, err = res.Remainder.Add(shares.Operations); err != nil {
			return Result{}, err
		}
	} else {
		res.Operations, res.Operator = shares.Operations, ev.Terms.Operator
	}
	root, err := reward.Root(res.Rows)
	if err != nil {
		return Result{}, err
	}
	res.Root = root
	earned, err := payouts(res)
	if err != nil {
		return Result{}, err
	}
	carried := ev.carried()
	if res.CarriedIn, err = total(carried); err != nil {
		return Result{}, err
	}
	if res.Owing, err = owing(carried, earned, ev.Terms.Threshold); err != nil {
		return Result{}, err
	}
	res.List = ListHash(res.Owing.Payouts)
	payoutRoot, err := claim.Root(res.Owing.Payouts)
	if err != nil {
		return Result{}, err
	}
	res.PayoutRoot = payoutRoot
	return res, nil
}

// Roots are what the commit memo binds the epoch to.
func (r Record) Roots() settle.Roots {
	return settle.Roots{Payouts: r.PayoutRoot, List: r.List, Rewards: r.Root}
}

// scheduleHash is the SHA-256 over the challenges' ids.
func scheduleHash(all []poc.Challenge) Hash {
	h := sha256.New()
	for _, c := range all {
		id := c.ID()
		h.Write(id[:])
	}
	return Hash(h.Sum(nil))
}

// payouts are what wallets get: their hotspots' rows, and the operator's share.
func payouts(res Result) ([]reward.Payout, error) {
	out, err := reward.Payouts(res.Rows)
	if err != nil || res.Operations == 0 {
		return out, err
	}
	i, found := slices.BinarySearchFunc(out, res.Operator, func(p reward.Payout, w poc.Wallet) int {
		return bytes.Compare(p.Wallet[:], w[:])
	})
	if !found {
		return slices.Insert(out, i, reward.Payout{Wallet: res.Operator, Amount: res.Operations}), nil
	}
	out[i].Amount, err = out[i].Amount.Add(res.Operations)
	return out, err
}

// Record is the summary of a result, without state and checkpoint.
func (r Result) Record() Record {
	rec := Record{Epoch: r.Epoch, Rules: r.Rules, Reports: r.Reports, Reasons: make(map[string]int), Verdicts: r.Digest,
		Root: r.Root, PayoutRoot: r.PayoutRoot, List: r.List, Registry: r.Registry, Seed: r.Seed, Challenges: r.Challenges, Schedule: r.Schedule, Emission: r.Emission, Remainder: r.Remainder, Rows: len(r.Rows), Payouts: len(r.Owing.Payouts),
		CarriedIn: r.CarriedIn, Carried: ListHash(r.Owing.Carried), Waiting: len(r.Owing.Carried), Threshold: r.Threshold, Policy: r.Policy, Evidence: r.Evidence}
	for _, v := range r.Verdicts {
		rec.Reasons[v.Reason.String()]++
	}
	for _, p := range r.Owing.Payouts {
		rec.Payable += p.Amount // at most emission and what was carried in, which were checked
	}
	for _, p := range r.Owing.Carried {
		rec.CarriedOut += p.Amount
	}
	return rec
}
