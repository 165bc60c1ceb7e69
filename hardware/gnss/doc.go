// Package gnss makes a concentrator's counter tell the time: it reads what a GNSS
// receiver says on its serial line and relates it to the pulses per second that
// the concentrator latches.
//
// Two protocols are understood, mixed on one line as receivers send them: NMEA
// 0183 (RMC, ZDA and GGA of any talker; the rest, such as GSV, is passed over) and
// the u-blox binary NAV-TIMEGPS (class 01, id 20). [Scanner] cuts a stream of bytes
// into messages, [Reference] is the pure state machine that pairs them with pulses,
// and [Read] is the thin loop around a serial port. The specification is section f
// of the SX1302 driver specification; u-blox field names are those of its protocol
// description, NAV-TIMEGPS.
//
// Deliberate differences from Semtech's packet forwarder:
//
//   - A time counts only with a pulse less than a second before it; the vendor
//     takes whatever the latch last held.
//   - Three pairs in agreement make a reference, at the start and after a jump;
//     the vendor believes the first.
//   - The crystal's error is the slope over up to a minute of pulses, in integers,
//     instead of the mean of single seconds.
//   - Times come with an error bound that grows without pulses. After 135 s, when
//     the latch can no longer be told from one a wrap of the counter ago, there is
//     no time at all.
//   - RMC sentences of 12, 13 or 14 fields are all accepted, and NAV-TIMEGPS needs
//     both its week and its time of week to be valid.
//   - Leap seconds: GPS time runs through; UTC shows :60 as the repeated first
//     second of the next day, as Unix time does. GPS time is unknown as long as
//     the receiver has not said how many leap seconds there are.
//
// One thing nobody can see from here: a receiver whose messages take longer than a
// second to arrive (too many sentences at 9600 baud) names the pulse before the
// last, and every time is a second late. Send few sentences, or send faster.
package gnss
