// Package geo has places, distances and path loss: H3 cells without cgo,
// coordinates in whole 1e-7 degrees, distances and free-space loss.
//
// There are two kinds of arithmetic here, and rules must choose knowingly:
//
//   - [Distance], [FreeSpaceLoss], [Cell.Parent], [GridDistance] and [Disk] use
//     integers only. They give the same bits on every machine, so every auditor
//     reaches the same verdict as the oracle. Heliograph's own rules use these.
//   - [CellOf], [Cell.Center] and [Haversine] use floating point as the H3
//     library does, and as the rules that Helium ran did. Go may fuse a multiply
//     and an add on arm64 but not on amd64, so their last bits may differ
//     between machines. Derive a cell once, when a location is asserted, and
//     store it; do not derive it again inside a rule.
//
// Cells are those of H3, versions 3 and 4 (https://h3geo.org): the index layout,
// the 122 base cells, the aperture-7 subdivision, and the unfolding around the
// twelve pentagons with the failures that the reference library has there.
package geo
