// Package segment is the embedded implementation of [store.Log]: one stream of
// checksummed frames of all shards in a row of segment files, with group commit.
//
// # Files
//
// A directory holds LOCK and the segments 0000000000000001.seg, …2.seg and so
// on. Only the last segment grows. A segment is a file header and then items,
// all aligned to 8 bytes, integers little endian, checksums CRC-32C:
//
//	file header, 2088 bytes
//	   0  8     magic "HGLOG", 0, 0, version 1
//	   8  8     number of the segment, as in its name
//	  16  8     salt, random
//	  24  257x8 for each shard the offset that its next frame will get
//	2080  4     zero
//	2084  4     checksum of all before
//
//	item, 28 bytes, then the payload and zero bytes up to a multiple of 8
//	   0  4     length of the payload
//	   4  2     shard; ffff in a mark
//	   6  2     kind: 1 frame, 2 mark "sealed", 3 mark "closed"
//	   8  8     offset of the frame in its shard
//	  16  4     position of the first item of the commit, in units of 8 bytes
//	  20  4     checksum of the payload
//	  24  4     checksum of bytes 0..23, begun from the checksum of the
//	            salt xor the position of this item in units of 8 bytes
//
// The header repeats every shard's offset so that offsets go on without gaps
// when older segments were dropped. The salt and the position in the checksum
// keep bytes that a hotspot sent inside a payload, or blocks of another file,
// from passing for an item, but for one chance in 2^32.
//
// # Commits
//
// One goroutine writes. It takes all frames that wait, writes them with one
// write and makes them durable with one fdatasync; only then does it answer, and
// only then does it write again. So at a crash at most the last commit is not
// durable. A full segment is sealed with a mark and made durable before the next
// one appears (written under another name, synced, renamed, directory synced);
// Close leaves a mark too. There is no option to acknowledge earlier.
//
// # Recovery
//
// Open reads everything. At the first position of the last segment that is not a
// whole valid item it decides by the "first item of the commit" fields behind it:
// a valid item of a later commit proves that this position had been durable, so
// it is damage, and Open refuses with the file, the position and what to do.
// Without such proof it is the torn tail of the commit that a crash interrupted
// (in any order of blocks), which nobody was promised: it is cut off and
// reported. The last commit is then written and synced once more, because a
// kernel may show bytes whose write-back failed. In all other segments every
// deviation is damage.
//
// The limits of that proof: damage that hits only the very last commit before a
// crash looks like a torn tail, and the deliberate removal of the last segment
// looks like a log that never had it. Of the disk the package asks that a sync
// means what it says, and that a sector which is written over at a power cut
// holds its old or its new bytes.
//
// # Cost
//
// Memory is 4 bytes for each kept frame and about 8 kB for each segment. Open
// reads the whole log. A Read opens the segments that it needs and checks each
// payload again.
package segment
