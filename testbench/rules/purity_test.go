package rules

import (
	"go/ast"
	"strings"
	"testing"
)

// pure are the parts whose decisions must come out the same for a stranger, in
// another process, on another day.
var pure = []string{
	"poc", "radio", "oracle/registry", "oracle/challenge", "oracle/verify",
	"oracle/reward", "oracle/ledger", "firmware/beaconer", "firmware/txqueue", "hardware/sx1302/calc",
}

// loops are the thin loops that stand beside a decision and carry it out.
var loops = map[string]bool{"firmware/beaconer/loop.go": true}

// forbidden calls in pure parts, by package and name ("" = the whole package).
var forbidden = map[string]string{
	"time.Now": "time is an argument", "time.Since": "time is an argument", "time.Until": "time is an argument",
	"time.Sleep": "a decision does not wait", "time.After": "a decision does not wait",
	"time.NewTimer": "a decision does not wait", "time.Tick": "a decision does not wait",
}

var forbiddenImports = map[string]string{
	"math/rand": "randomness is an argument", "math/rand/v2": "randomness is an argument",
	"crypto/rand": "randomness is an argument", "net": "no I/O", "net/http": "no I/O",
}

func TestDecisionsAreClosed(t *testing.T) {
	for _, f := range sources(t) {
		if f.test || loops[f.path] || !inAny(f, pure) {
			continue
		}
		for _, imp := range f.imports {
			if why, bad := forbiddenImports[imp]; bad {
				t.Errorf("%s imports %s: %s", f.path, imp, why)
			}
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			pkg, ok := sel.X.(*ast.Ident)
			if !ok {
				return true
			}
			if why, bad := forbidden[pkg.Name+"."+sel.Sel.Name]; bad {
				t.Errorf("%s: %s.%s: %s", f.set.Position(n.Pos()), pkg.Name, sel.Sel.Name, why)
			}
			return true
		})
	}
}

// money are the parts where a share or an amount is computed.
var money = []string{
	"oracle/ledger", "oracle/reward", "oracle/settle", "oracle/verify",
	"oracle/challenge", "oracle/registry", "poc/native",
}

// TestNoFloatsInMoney: floats round differently by machine and by order; the
// same epoch must give the same root everywhere.
func TestNoFloatsInMoney(t *testing.T) {
	for _, f := range sources(t) {
		if f.test || !inAny(f, money) {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			switch v := n.(type) {
			case *ast.Ident:
				if v.Name == "float64" || v.Name == "float32" {
					t.Errorf("%s: %s", f.set.Position(n.Pos()), v.Name)
				}
			case *ast.BasicLit:
				if v.Kind.String() == "FLOAT" {
					t.Errorf("%s: literal %s", f.set.Position(n.Pos()), v.Value)
				}
			case *ast.SelectorExpr:
				if p, ok := v.X.(*ast.Ident); ok && p.Name == "math" && !strings.HasPrefix(v.Sel.Name, "M") {
					t.Errorf("%s: math.%s", f.set.Position(n.Pos()), v.Sel.Name)
				}
			}
			return true
		})
	}
}

// TestNoSharedNames: a package that is called after nothing holds everything.
func TestNoSharedNames(t *testing.T) {
	for _, f := range sources(t) {
		switch name := f.syntax.Name.Name; name {
		case "util", "utils", "common", "helpers", "misc", "base", "shared":
			t.Errorf("%s: package %s says nothing about what is in it", f.path, name)
		}
	}
}

func inAny(f file, parts []string) bool {
	for _, p := range parts {
		if within(f.pkg, p) {
			return true
		}
	}
	return false
}
