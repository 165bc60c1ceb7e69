// Package api is the contract between hotspots and an oracle: heliograph.proto
// and the Go code generated from it (heliographv1). It is the only part of the
// oracle that the firmware imports.
package api
