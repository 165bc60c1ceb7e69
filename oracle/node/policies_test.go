package node

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"heliograph/oracle/policy"
	"heliograph/oracle/reward"
	"heliograph/provisioning/identity"
)

func TestPolicies(t *testing.T) {
	key := identity.NewEd25519([32]byte{1})
	shares := reward.DefaultPolicy(0, 10)
	one, err := policy.Sign(policy.Document{Version: 1, From: 5, Schedule: policy.Schedule{Kind: policy.Fixed, Initial: 100}, Shares: shares}, key)
	if err != nil {
		t.Fatal(err)
	}
	two, err := policy.Sign(policy.Document{Version: 2, Previous: one.ID(), Announced: 7, From: 9, Schedule: policy.Schedule{Kind: policy.Fixed, Initial: 50}, Shares: shares}, key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var files []string
	for i, d := range []policy.Signed{one, two} {
		b, err := json.MarshalIndent(d, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, filepath.Join(dir, string(rune('1'+i))+".json"))
		if err := os.WriteFile(files[i], b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	id := key.ID().String()
	other := identity.NewEd25519([32]byte{2}).ID().String()
	c, err := Reward{Policy: strings.Join(files, ","), PolicyKey: id}.policies()
	if err != nil {
		t.Fatal(err)
	}
	if d, err := c.At(10); err != nil || d.Version != 2 {
		t.Errorf("version %d, %v", d.Version, err)
	}
	if c, err := (Reward{Emission: 9}).policies(); err != nil || len(c.Upto(1<<31)) != 0 {
		t.Errorf("without documents: %v", err)
	}
	for name, x := range map[string]struct {
		r    Reward
		want string
	}{
		"no key":      {Reward{Policy: files[0]}, "policy_key is empty"},
		"no file":     {Reward{PolicyKey: id}, "names no file"},
		"both":        {Reward{Policy: files[0], PolicyKey: id, Emission: 1}, "remove emission"},
		"not there":   {Reward{Policy: filepath.Join(dir, "x"), PolicyKey: id}, "no such file"},
		"another key": {Reward{Policy: files[0], PolicyKey: other}, "not signed by the policy key"},
		"no such key": {Reward{Policy: files[0], PolicyKey: "x"}, "policy_key"},
		"gap":         {Reward{Policy: files[1], PolicyKey: id}, "from version 1 on"},
	} {
		if _, err := x.r.policies(); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v, want %q", name, err, x.want)
		}
	}
}

func TestPayoutModes(t *testing.T) {
	for p, want := range map[Payout]string{
		{}:                            "",
		{Mode: "direct"}:              "",
		{Mode: "claim"}:               "no distributor program is configured",
		{Mode: "claim", Program: "x"}: "not an address",
		{Mode: "claim", Program: "mERKcfxMC5SqJn4Ld4BUris3WKZZ1ojjWJ3A3J5CKxv"}:                      "",
		{Mode: "claim", Program: "mERKcfxMC5SqJn4Ld4BUris3WKZZ1ojjWJ3A3J5CKxv", ClaimFor: time.Hour}: "at least 48h",
		{Mode: "direct", Program: "x"}: "not an address",
		{Mode: "drop"}:                 "choose direct or claim",
	} {
		err := p.check()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", p, err, want)
		}
	}
}
