// Package outbox is a hotspot's durable queue of reports on flash: what it holds
// survives kill -9 and power cuts, it is bounded in bytes and entries, it drops
// what is useless first, and it writes as little as it can.
//
// # Life of an entry
//
// [Outbox.Put] makes an entry visible to [Outbox.Next] at once, and returns when
// the entry is on disk or acknowledged. Entries put within [Config.CommitDelay]
// of each other share one write and one sync; one that the oracle acknowledges
// within that time is never written at all.
//
// An entry leaves by [Outbox.Ack]; by its deadline; or because newer entries
// need its place. Then expired entries go first, after them the oldest packets,
// and reports only when there is no packet left. Each end is counted.
//
// An acknowledgement is written along with the next entries. One that a power
// cut swallows makes an entry be sent twice, which the oracle recognises.
//
// # Format
//
// Files are named 0000000001.obx and up. A file starts with the 8 bytes
// "hgoutbx" 0x01. A record is, integers big-endian:
//
//	length u32 of the payload | CRC-32C u32 of length and payload | payload
//	payload: 0x01 id u64 | class u8 | made i64 | deadline i64 | body   (put)
//	         0x02 id u64...                                            (gone)
//
// made and deadline are unix nanoseconds, 0 when unknown or none. Files are
// deleted oldest first. A start reads all files, writes the live entries to a
// new one and deletes the old ones, so damage never stays: a torn end is cut off,
// and a file with a damaged middle is kept aside as NAME.damaged for inspection
// while all of its readable entries go on. A hotspot always starts.
package outbox
