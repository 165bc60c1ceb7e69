package audit

import (
	"strings"
	"testing"

	"heliograph/oracle/reward"
	"heliograph/poc"
)

// TestTermsAreReadable, and every field of them makes a difference.
func TestTermsAreReadable(t *testing.T) {
	p := reward.DefaultPolicy(1000, 7)
	text := terms(p, 5, poc.Wallet{1})
	if strings.ContainsAny(text, "[]{}") || !strings.Contains(text, "emission 1000") {
		t.Errorf("%s", text)
	}
	seen := map[string]bool{text: true, terms(p, 6, poc.Wallet{1}): true, terms(p, 5, poc.Wallet{2}): true, terms(p, 5, poc.Wallet{}): true}
	for _, change := range []func(*reward.Policy){
		func(p *reward.Policy) { p.Emission++ }, func(p *reward.Policy) { p.Beacon++ }, func(p *reward.Policy) { p.Witness++ },
		func(p *reward.Policy) { p.Data++ }, func(p *reward.Policy) { p.Operations++ }, func(p *reward.Policy) { p.DataRest++ },
		func(p *reward.Policy) { p.CreditPrice++ }, func(p *reward.Policy) { p.CapRatio++ }, func(p *reward.Policy) { p.CapFloor++ },
	} {
		other := p
		change(&other)
		seen[terms(other, 5, poc.Wallet{1})] = true
	}
	if len(seen) != 13 {
		t.Errorf("%d different texts, want 13", len(seen))
	}
}
