package main

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"heliograph/oracle/epoch"
	"heliograph/oracle/epoch/epochtest"
	"heliograph/oracle/policy"
	"heliograph/oracle/reward"
	"heliograph/provisioning/identity"
)

func save(t *testing.T, b epoch.Bundle) string {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "bundle"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.WriteTo(f); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

func TestAudit(t *testing.T) {
	url, w := oracle(t)
	rec, _, err := w.Manager.Record(t.Context(), epochtest.First)
	if err != nil {
		t.Fatal(err)
	}
	b := w.Bundle(rec)
	file := save(t, b)
	b.Claim.Payable++
	forged := save(t, b)
	down := httptest.NewServer(nil)
	down.Close()
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{file}, 0, "all is equal"},
		{[]string{fmt.Sprintf("%s/api/epochs/%d/bundle", url, epochtest.First)}, 0, "the chain was not asked"},
		{[]string{forged}, 1, "DIFFERS payouts and remainder"},
		{[]string{file, "--policy-key", w.Keys[0].ID().String()}, 1, "DIFFERS policy key"},
		{[]string{file, "--oracle", epochtest.Oracle().ID().String(), "--json"}, 0, `"ok": true`},
		{[]string{file, "--rpc", down.URL}, 2, ""},
		{[]string{url + "/api/epochs/1/bundle"}, 2, "this epoch is not judged"},
		{[]string{url + "/elsewhere"}, 2, "explorer.bundle"},
		{[]string{"proofs_test.go"}, 2, "no bundle: get it again"},
		{[]string{"/absent"}, 2, ""},
		{[]string{"--help"}, 0, "--previous"},
		{[]string{}, 2, ""},
	} {
		code, out, errOut := ctl(t, append([]string{"audit"}, c.args...)...)
		if code != c.code || !strings.Contains(out+errOut, c.want) || (code == 2) != (errOut != "") {
			t.Errorf("audit %v: %d\n%s%s", c.args, code, out, errOut)
		}
	}
	code, out, errOut := ctl(t, "epoch", "claims", fmt.Sprint(epochtest.First), "--file", file, "--json")
	var claims claimFile
	if err := json.Unmarshal([]byte(out), &claims); err != nil || code != 0 || claims.Count != len(claims.Claims) || claims.Count == 0 || claims.Total != fmt.Sprint(rec.Payable) {
		t.Errorf("claims: %d %v %s\n%s", code, err, errOut, out)
	}
}

func TestPolicy(t *testing.T) {
	dir := t.TempDir()
	keyFile := filepath.Join(dir, "policy.key")
	key, err := identity.CreateFile(keyFile, identity.Ed25519, zeros{})
	if err != nil {
		t.Fatal(err)
	}
	d := policy.Document{Version: 1, From: 5, Schedule: policy.Schedule{Kind: policy.Halving, Initial: 900, Start: 5, Span: 3}, Shares: reward.DefaultPolicy(0, 10), Threshold: 77}
	text, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	draft := filepath.Join(dir, "draft.json")
	if err := os.WriteFile(draft, text, 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errOut := ctl(t, "policy", "sign", draft, "--key", keyFile)
	if code != 0 {
		t.Fatal(errOut)
	}
	doc := filepath.Join(dir, "1.json")
	if err := os.WriteFile(doc, []byte(out), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errOut = ctl(t, "policy", "show", doc, "--policy-key", key.ID().String())
	if code != 0 || !strings.Contains(out, "halving 900") || !strings.Contains(out, "threshold 77") {
		t.Errorf("%d %s%s", code, out, errOut)
	}
	code, out, _ = ctl(t, "policy", "show", doc, "--policy-key", epochtest.Oracle().ID().String())
	if code != 1 || !strings.Contains(out, "not signed by the policy key") {
		t.Errorf("another key: %d %s", code, out)
	}
	for _, args := range [][]string{{"policy"}, {"policy", "sign", draft}, {"policy", "show", doc}, {"policy", "show", draft, "--policy-key", key.ID().String()}} {
		if code, _, errOut := ctl(t, args...); code != 2 || errOut == "" {
			t.Errorf("%v: %d %s", args, code, errOut)
		}
	}
}

func TestPolicyFromNothing(t *testing.T) {
	dir := t.TempDir()
	keyFile, draft, doc := filepath.Join(dir, "policy.key"), filepath.Join(dir, "draft.json"), filepath.Join(dir, "v1.json")
	code, out, errOut := ctl(t, "policy", "key", keyFile, "--json")
	var made struct {
		Key string `json:"policy_key"`
	}
	if err := json.Unmarshal([]byte(out), &made); err != nil || code != 0 {
		t.Fatalf("%d %v %s%s", code, err, out, errOut)
	}
	if code, _, errOut := ctl(t, "policy", "key", keyFile); code != 2 || !strings.Contains(errOut, "exist") {
		t.Errorf("a second key in the same file: %d %s", code, errOut)
	}
	if err := os.WriteFile(draft, []byte(policyDraft), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, errOut := ctl(t, "policy", "sign", draft, "--key", filepath.Join(dir, "absent")); code != 2 || !strings.Contains(errOut, "oraclectl policy key") {
		t.Errorf("absent key: %d %s", code, errOut)
	}
	if code, out, errOut = ctl(t, "policy", "sign", draft, "--key", keyFile); code != 0 {
		t.Fatalf("the draft that the help shows: %d %s", code, errOut)
	}
	if err := os.WriteFile(doc, []byte(out), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, errOut = ctl(t, "policy", "show", doc, "--policy-key", made.Key); code != 0 || !strings.Contains(out, "fixed 100000000000  ") {
		t.Errorf("%d %s%s", code, out, errOut)
	}
}

// zeros makes the same key each time.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 7
	}
	return len(b), nil
}
