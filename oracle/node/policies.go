package node

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"heliograph/oracle/policy"
	"heliograph/oracle/settle"
	"heliograph/oracle/settle/solana/distributor"
	"heliograph/provisioning/identity"
)

// Payout says how wallets get what they earned.
type Payout struct {
	Mode     string        `toml:"mode" help:"direct: the oracle sends payouts; claim: wallets claim from a merkle distributor"`
	Program  string        `toml:"program" help:"address of the merkle distributor program, for claim"`
	ClaimFor time.Duration `toml:"claim_for" help:"how long wallets can claim, at least 48h; 0 means 30 days"`
}

// program is the distributor program; the zero one when none is named. Epochs that
// wallets claim need it to their end, also when new ones are sent again.
func (p Payout) program() (distributor.Program, error) {
	if p.Program == "" {
		return distributor.Program{}, nil
	}
	return distributor.ParseProgram(p.Program)
}

// claiming is how new epochs are claimed, nil when they are sent.
func (p Payout) claiming() *settle.Claiming {
	if p.Mode != "claim" {
		return nil
	}
	return &settle.Claiming{For: cmp.Or(p.ClaimFor, settle.UsualClaim), Random: rand.Reader}
}

// check refuses a mode that this oracle cannot carry out.
func (p Payout) check() error {
	switch p.Mode {
	case "", "direct":
		_, err := p.program()
		return err
	case "claim":
		if _, err := distributor.ParseProgram(p.Program); err != nil {
			return err
		}
		if p.ClaimFor != 0 && p.ClaimFor < settle.MinClaim {
			return fmt.Errorf("payout.claim_for is %v: choose at least %v", p.ClaimFor, settle.MinClaim)
		}
		return nil
	}
	return fmt.Errorf("payout.mode is %q: choose direct or claim", p.Mode)
}

// maxPolicy bounds a policy file.
const maxPolicy = 1 << 20

// policies reads the network's policy documents; the zero chain when none are
// named: then emission, credit price, threshold and operator of the configuration
// count.
func (r Reward) policies() (policy.Chain, error) {
	files := strings.FieldsFunc(r.Policy, func(c rune) bool { return c == ',' || c == ' ' })
	if len(files) == 0 {
		if r.PolicyKey != "" {
			return policy.Chain{}, errors.New("reward.policy_key is set, but reward.policy names no file: name the signed documents from version 1 on")
		}
		return policy.Chain{}, nil
	}
	if r.PolicyKey == "" {
		return policy.Chain{}, errors.New("reward.policy names documents, but reward.policy_key is empty: name the network's policy key")
	}
	if r.Emission != 0 || r.CreditPrice != 0 || r.Threshold != 0 || r.Operator != "" {
		return policy.Chain{}, errors.New("reward.policy names documents, which say what an epoch creates: remove emission, credit_price, threshold and operator from the configuration")
	}
	key, err := identity.ParseText(r.PolicyKey)
	if err != nil {
		return policy.Chain{}, fmt.Errorf("reward.policy_key: %w", err)
	}
	docs := make([]policy.Signed, len(files))
	for i, path := range files {
		if docs[i], err = readPolicy(path); err != nil {
			return policy.Chain{}, fmt.Errorf("reward.policy: %s: %w", path, err)
		}
	}
	c, err := policy.NewChain(key, docs)
	if err != nil {
		return policy.Chain{}, fmt.Errorf("reward.policy: %w", err)
	}
	return c, nil
}

func readPolicy(path string) (s policy.Signed, err error) {
	f, err := os.Open(path)
	if err != nil {
		return s, err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxPolicy))
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(b, &s)
}
