// Package rules holds the house to its plan: tests that fail when a package
// imports what it must not know, when generated code is stale, when money meets
// floating point, or when a decision looks at the clock. Each rule says why.
package rules
