// Package ether is the air between simulated radios: positions, antenna gains,
// log-distance path loss with shadowing, noise, sensitivity by spreading factor,
// capture, collisions and half-duplex radios. Everything random about it follows
// from one seed.
//
// [Air] is the model: a pure state machine on microseconds. [Ether] runs it in
// real time (or in the virtual time of testing/synctest) and hands out radios;
// [Concentrator] makes a gateway's radio look like the chip that the firmware
// drives.
//
// # The model
//
//   - Path loss: free space up to Config.Reference, then 10·n·log10(d/d0) with
//     n = Config.Exponent, plus a shadowing term that is constant for a pair of
//     stations and a small fading term for each packet. It is never less than
//     free space.
//   - Noise floor: -174 dBm/Hz + 10·log10(bandwidth) + noise figure.
//   - A packet is demodulated down to the SNR limits of the SX1302 (Semtech
//     SX1302 data sheet, "sensitivity": -7.5 dB at SF7 to -20 dB at SF12, 2.5 dB
//     a step).
//   - Two packets that overlap on one channel with the same spreading factor
//     destroy each other, unless one is stronger by Config.Capture: that one
//     survives. Other spreading factors only matter when they are stronger by
//     more than the rejection of the demodulator (16 dB, Croce et al., "Impact of
//     LoRa Imperfect Orthogonality", 2018).
//   - A station hears nothing while it transmits. Gateways hear normal polarity,
//     end devices hear inverted polarity.
package ether
