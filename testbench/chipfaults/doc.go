// Package chipfaults breaks a concentrator in every way that the project knows of
// and checks what the hotspot's radio makes of it: that the fault is detected within
// a stated time, that the error names cause and remedy, that nothing is transmitted
// in the meantime, that the radio comes back by itself once the fault has gone where
// that is possible, that it is counted, and that nothing ever hangs.
//
// The radio is the hotspot's own (driver, transmit queue, restarts) on a simulated
// chip. Times are the chip's: clocks run faster than the machine's where nothing but
// waiting happens.
package chipfaults
