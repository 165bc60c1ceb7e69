// Package txqueue is the just-in-time transmit queue of one RF chain. A
// concentrator holds a single programmed packet per chain, so packets wait here
// and are handed to the radio [Config.Ahead] of time, 100 ms, if the chain is free.
//
// A [Queue] is a pure step machine on the concentrator's 64-bit ticks: [Queue.Push]
// accepts a packet or says why not, [Queue.Next] says what to do now and when to
// ask again, [Queue.Done] takes the radio's answer. It starts no goroutine, reads
// no clock and draws no random number: the same calls give the same answers.
//
// The one promise: every [ID] that Push returned appears in exactly one [Report],
// with the radio's result or with the reason why there is none.
//
// Handing over early is for hosts that stand still now and then; the rules do not
// know about it. Until [Config.Lead] before its start, 40 ms, a packet in the radio
// is still an entry of the queue: an earlier packet goes first, a beacon evicts it, a
// timed packet moves one without a time. Then the Step asks for its abort, and after
// Done with [radio.TxFailed] the first entry is programmed, and the other one again
// when its turn comes. Only two answers differ from those of a queue that hands over
// 40 ms ahead. A packet that would have to go first and starts within Start + Margin +
// Bus + Recall, 14.5 ms, is too late, because the radio cannot give back the other one
// in time; with the vendor's MinLead it would be in any case. And when the radio does not
// give it back, it is sent if it is sent, and what should have gone first is missed,
// each with its report.
//
// Margins are those of Semtech's packet forwarder (section e.4 of the SX1302
// specification, section 3 of the routing specification), so that a network
// server's habits keep working. Deliberate differences:
//
//   - Time is 64 bits wide: a timestamp in the past is too late, never "too
//     early", and nothing wraps.
//   - All entries are looked at, not only the first, and a packet that can no
//     longer be sent is reported. The vendor drops it in silence after it had
//     acknowledged it.
//   - A packet is never handed over so late that its trigger would already have
//     passed, which on the chip means silence until the counter wraps.
//   - The packet in the radio still counts: nothing is accepted over it, nothing
//     overwrites it, and one that does not end is aborted and reported.
//   - A beacon that is pushed over queued packets evicts them, with a report; in
//     the vendor's queue whoever comes first stays.
//   - A packet to be sent as soon as possible moves out of the way of a timed one
//     instead of blocking it, and when a stall of the loop makes it late it is
//     placed anew; its first slot after another packet comes one hand-over
//     earlier than the vendor's.
//   - Class A and C packets may stand inside a beacon's guard time, as in the
//     vendor's queue, but not so close that the beacon could not be programmed
//     any more: there must be a whole hand-over between them, not 1.5 ms.
package txqueue
