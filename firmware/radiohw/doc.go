// Package radiohw makes a hotspot's radio of a concentrator chip on its own bus:
// hardware/sx1302 drives the chip, firmware/txqueue decides what is sent when, and
// [Radio] is the firmware's concentrator.Concentrator on top of both.
//
//	Receive: chip FIFO -> sx1302.Keeper, which restarts the chip after a fault -> packets
//	Send:    packet -> queue of its RF chain -> sx1302 shortly before its start -> result
//
// The package also finds what a chip needs in files: [LoadFirmware] and [Import] look
// after the microcontroller images.
package radiohw
