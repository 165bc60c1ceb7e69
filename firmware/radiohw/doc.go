// Package radiohw makes a hotspot's radio of a concentrator chip on its own bus:
// hardware/sx1302 drives the chip, firmware/txqueue decides what is sent when, and
// [Radio] is the firmware's concentrator.Concentrator on top of both.
//
//	Receive: chip FIFO -> sx1302.Keeper, which restarts the chip after a fault -> packets
//	Send:    packet -> queue of its RF chain -> sx1302 shortly before its start -> result
//
// With a GNSS receiver, whose pulses the chip counts, the counter tells the time:
//
//	receiver's messages, pulses latched by the chip -> gnss.Reference -> UTC of packets,
//	ticks of packets for a GPS time; see [Radio.UTC], [Radio.GPS] and [Radio.TickAtGPS]
//
// The package also finds what a chip needs in files: [LoadFirmware] and [Import] look
// after the microcontroller images.
package radiohw
