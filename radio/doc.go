// Package radio is the language of the air: the units, data rates and packets
// that every other part of Heliograph speaks. It does no I/O and holds no state.
//
// Three rules keep the units apart:
//
//   - frequencies are [Hertz], levels are [CentiDBm], ratios and gains are
//     [CentiDB]; ERP and EIRP are different types ([ERP], [EIRP]);
//   - a concentrator's counter is a [Tick] and is never subtracted with "-",
//     only with [Tick.Sub]: the hardware counter wraps every 71.6 minutes;
//   - wall time is [WallTime], which carries its own error bound.
package radio
