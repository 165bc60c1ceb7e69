package rules

import (
	"strings"
	"testing"
)

// direction says what a part of the module may know of the rest.
type direction struct {
	part  string
	knows []string
	why   string
}

// directions is the table of ARCHITECTURE.md; the first part that fits counts.
var directions = []direction{
	{"radio", []string{"radio"}, "the language of the air is spoken by all and knows none"},
	{"provisioning/identity", nil, "a leaf, so that every part can name and check a hotspot"},
	{"provisioning/settings", []string{"provisioning/identity"}, "a leaf, so that every program reads its configuration alike"},
	{"poc", []string{"poc", "radio", "provisioning/identity"}, "the rules must be recomputable by a stranger, without our programs"},
	{"hardware", []string{"hardware", "radio", "provisioning/identity"}, "drivers are useful outside this project"},
	{"oracle/api", []string{"oracle/api", "poc", "radio", "provisioning/identity"}, "the contract must not drag the oracle into the firmware"},
	{"oracle/reward", []string{"oracle/reward", "oracle/ledger", "oracle/verify", "oracle/registry", "poc", "radio", "provisioning/identity"}, "rewards follow from verified units alone, not from the journal"},
	{"oracle/ledger", []string{"oracle/ledger", "oracle/store", "poc", "radio", "provisioning/identity"}, "the book knows money, not where it came from"},
	{"oracle/settle", []string{"oracle/settle", "oracle/ledger", "oracle/reward", "oracle/store", "poc", "radio", "provisioning/identity"}, "payouts must not depend on verification"},
	{"oracle/verify", []string{"oracle/verify", "oracle/challenge", "oracle/journal", "oracle/registry", "oracle/store", "poc", "radio", "provisioning/identity"}, "verification is a pure function of the journal"},
	{"oracle", []string{"oracle", "poc", "radio", "provisioning/identity", "provisioning/settings"}, "an oracle has no radio and no hotspot's insides"},
	{"firmware", []string{"firmware", "hardware", "poc", "radio", "provisioning/identity", "provisioning/settings", "oracle/api"}, "a hotspot knows the oracle by its contract only"},
	{"provisioning", []string{"provisioning", "hardware", "oracle/api", "radio"}, "tools of the workshop must not need the firmware"},
	{"testbench", []string{""}, "the testbench tries everything"},
}

func (d direction) allows(imported string) bool {
	for _, k := range d.knows {
		if k == "" || within(imported, k) {
			return true
		}
	}
	return within(imported, d.part)
}

func TestImportDirections(t *testing.T) {
	for _, f := range sources(t) {
		var dir *direction
		for i := range directions {
			if within(f.pkg, directions[i].part) {
				dir = &directions[i]
				break
			}
		}
		if dir == nil {
			t.Errorf("%s: package %s belongs to no part; the top level is fixed", f.path, f.pkg)
			continue
		}
		for _, imp := range f.imports {
			if !strings.HasPrefix(imp, module+"/") || dir.allows(imp) {
				continue
			}
			t.Errorf("%s imports %s: %s must not (%s)", f.path, imp, dir.part, dir.why)
		}
	}
}

// restricted names packages of others that only some of our parts may import.
var restricted = []struct {
	imported string
	only     []string
	why      string
}{
	{"github.com/gagliardetto/solana-go", []string{"oracle/settle/solana", "testbench"}, "one place speaks to the chain"},
	{"github.com/brocaar/lorawan", []string{"radio", "testbench"}, "its types can panic; radio/lorawan wraps them"},
	{"go.etcd.io/bbolt", []string{"oracle/store", "firmware/outbox"}, "everything else goes through store.KV"},
	{"periph.io/x", []string{"hardware/linuxbus"}, "drivers take a bus, not an operating system"},
	{"github.com/tarm/serial", []string{"hardware/linuxbus"}, "drivers take a bus, not an operating system"},
	{"github.com/uber/h3-go", []string{"poc/geo"}, "cgo: only as a test oracle"},
	{"crypto/ed25519", []string{"provisioning/identity", "poc", "firmware/uplink", "firmware/internal/oracletest", "oracle", "testbench"}, "one verifier"},
}

func TestRestrictedImports(t *testing.T) {
	for _, f := range sources(t) {
		for _, r := range restricted {
			for _, imp := range f.imports {
				if imp != r.imported && !strings.HasPrefix(imp, r.imported+"/") {
					continue
				}
				allowed := false
				for _, o := range r.only {
					allowed = allowed || within(f.pkg, o)
				}
				if !allowed {
					t.Errorf("%s imports %s, which only %v may (%s)", f.path, imp, r.only, r.why)
				}
			}
		}
	}
}

// TestNoCgo keeps the products static. The H3 test oracle is behind a build tag.
func TestNoCgo(t *testing.T) {
	for _, f := range sources(t) {
		for _, imp := range f.imports {
			if imp == "C" {
				t.Errorf("%s uses cgo: products are static binaries that cross-compile", f.path)
			}
			if strings.HasPrefix(imp, "github.com/uber/h3-go") && (!f.test || !hasBuildTag(f, "h3oracle")) {
				t.Errorf("%s imports the cgo H3 library outside a test tagged h3oracle", f.path)
			}
		}
	}
}

func hasBuildTag(f file, tag string) bool {
	for _, g := range f.syntax.Comments {
		for _, c := range g.List {
			if strings.HasPrefix(c.Text, "//go:build") && strings.Contains(c.Text, tag) {
				return true
			}
		}
	}
	return false
}
