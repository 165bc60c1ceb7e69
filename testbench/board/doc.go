// Package board is a concentrator board of the testbench: a simulated chip with
// the hotspot's own driver and transmit queue on its wires, as a hotspot has them.
package board
