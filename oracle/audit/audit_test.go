package audit_test

import (
	"strings"
	"testing"

	"heliograph/oracle/audit"
	"heliograph/oracle/epoch"
	"heliograph/oracle/epoch/epochtest"
	"heliograph/provisioning/identity"
)

func world(t *testing.T) (*epochtest.World, epoch.Bundle) {
	t.Helper()
	w := epochtest.New(t, 4)
	return w, w.Bundle(w.Run(1)[0])
}

func TestHonestOracle(t *testing.T) {
	w, b := world(t)
	rep, err := audit.Run(t.Context(), b, audit.Options{Oracle: epochtest.Oracle().ID(), Payer: epochtest.Payer, Chain: w.Chain})
	if err != nil {
		t.Fatal(err)
	}
	if !rep.OK || !rep.OnChain || len(rep.Comparisons) < 20 {
		t.Errorf("%+v", rep)
	}
	rep, err = audit.Run(t.Context(), b, audit.Options{})
	if err != nil || !rep.OK || rep.OnChain {
		t.Errorf("without a chain: %+v, %v", rep, err)
	}
}

// Each lie is found, and named.
func TestLies(t *testing.T) {
	for _, c := range []struct {
		name, what string
		tell       func(*epochtest.World, *epoch.Bundle, *audit.Options)
	}{
		{"another oracle", "oracle key", func(_ *epochtest.World, _ *epoch.Bundle, o *audit.Options) {
			o.Oracle = identity.NewEd25519([32]byte{1}).ID()
		}},
		{"another secret", "commitment", func(_ *epochtest.World, b *epoch.Bundle, _ *audit.Options) { b.Secret[0] ^= 1 }},
		{"block before the commitment", "block of the seed", func(_ *epochtest.World, b *epoch.Bundle, _ *audit.Options) { b.Opening.BlockSlot = 1 }},
		{"a later block", "block of the seed", func(_ *epochtest.World, b *epoch.Bundle, _ *audit.Options) { b.Opening.BlockSlot += 5 }},
		{"another blockhash", "block of the seed", func(_ *epochtest.World, b *epoch.Bundle, _ *audit.Options) { b.Opening.Blockhash[0] ^= 1 }},
		{"a report left out", "verdicts", func(_ *epochtest.World, b *epoch.Bundle, _ *audit.Options) { b.Reports = b.Reports[1:] }},
		{"a report changed", "verdicts", func(_ *epochtest.World, b *epoch.Bundle, _ *audit.Options) { b.Reports[3].Raw[60] ^= 1 }},
		{"a hotspot left out", "registry", func(_ *epochtest.World, b *epoch.Bundle, _ *audit.Options) { b.Control = b.Control[1:] }},
		{"other rules", "root", func(_ *epochtest.World, b *epoch.Bundle, _ *audit.Options) { b.Terms.Policy.Beacon = 100 }},
		{"another root claimed", "root", func(_ *epochtest.World, b *epoch.Bundle, _ *audit.Options) { b.Claim.Root[0] ^= 1 }},
		{"another list claimed", "list", func(_ *epochtest.World, b *epoch.Bundle, _ *audit.Options) { b.Claim.List[0] ^= 1 }},
		{"tokens made up", "payouts", func(_ *epochtest.World, b *epoch.Bundle, _ *audit.Options) { b.Claim.Remainder++ }},
		{"checkpoint forged", "checkpoint", func(_ *epochtest.World, b *epoch.Bundle, _ *audit.Options) { b.Claim.Checkpoint.Digest[0] ^= 1 }},
		{"another list on chain", "commit memo", func(w *epochtest.World, b *epoch.Bundle, _ *audit.Options) {
			l := w.Chain.Frozen[b.Epoch]
			l.Rewards[0] ^= 1
			w.Chain.Frozen[b.Epoch] = l
		}},
		{"another seed on chain", "seed memo", func(w *epochtest.World, b *epoch.Bundle, _ *audit.Options) { w.Chain.Seeds[b.Epoch] = [32]byte{1} }},
		{"no commit memo", "commit memo", func(_ *epochtest.World, b *epoch.Bundle, _ *audit.Options) { b.Memos.Commit = "" }},
		{"the close memo is another's", "close memo", func(_ *epochtest.World, b *epoch.Bundle, _ *audit.Options) { b.Memos.Close = b.Memos.Commit }},
		{"another sender", "sender", func(_ *epochtest.World, _ *epoch.Bundle, o *audit.Options) { o.Payer = "somebody" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, b := world(t)
			o := audit.Options{Chain: w.Chain}
			c.tell(w, &b, &o)
			rep, err := audit.Run(t.Context(), b, o)
			if err != nil {
				t.Fatal(err)
			}
			found := false
			for _, x := range rep.Comparisons {
				if !x.OK && x.Note == "" {
					t.Errorf("%s differs without a word why", x.What)
				}
				found = found || !x.OK && strings.Contains(x.What, c.what)
			}
			if rep.OK || !found {
				t.Errorf("not found: %+v", rep)
			}
		})
	}
}

func TestNoClaim(t *testing.T) {
	_, b := world(t)
	b.Claim = nil
	if _, err := audit.Run(t.Context(), b, audit.Options{}); err == nil {
		t.Error("an audit without a claim")
	}
}
