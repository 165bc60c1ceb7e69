package sx1302

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"heliograph/hardware/sx1302/calc"
)

// entry makes the FIFO's bytes of a packet: SF7, coding rate 4/5, CRC good.
func entry(payload []byte, channel uint8, stamp uint32, metrics int) []byte {
	b := []byte{syncByte0, syncByte1, byte(len(payload)), channel, 7<<4 | 1<<1 | 1, 3, 0x10, 0, 0}
	b = append(b, payload...)
	b = append(b, 0, 20, 100, 98, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, stamp)
	b = binary.LittleEndian.AppendUint16(b, calc.PayloadCRC(payload))
	b = append(b, byte(metrics))
	b = append(b, make([]byte, 2*metrics)...)
	return append(b, calc.Checksum(b))
}

func numbered(i int) []byte { return fmt.Appendf(nil, "packet %02d, payload", i) }

// receiveAll receives until nothing comes any more.
func receiveAll(t testing.TB, c *Concentrator) [][]byte {
	t.Helper()
	var out [][]byte
	for quiet := 0; quiet < 4; {
		ps, err := c.fetch(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		quiet++
		for _, p := range ps {
			quiet = 0
			out = append(out, p.Payload)
		}
	}
	return out
}

// TestCorruptByte damages every byte of a packet in the middle of others, in every
// fetch size, and expects all the others.
func TestCorruptByte(t *testing.T) {
	c, chip := startFake(t, setConf(t, "spi_sx1250_eu868"))
	var whole []byte
	var at, end int
	for i := range 4 {
		if i == 1 {
			at = len(whole)
		}
		whole = append(whole, entry(numbered(i), uint8(i), uint32(i)<<20, i)...)
		if i == 1 {
			end = len(whole)
		}
	}
	for pos := at; pos < end; pos++ {
		for _, flip := range []byte{0x01, 0x80, 0xFF} {
			bad := bytes.Clone(whole)
			bad[pos] ^= flip
			chip.fifo = bad
			got := receiveAll(t, c)
			for _, want := range []int{0, 2, 3} {
				if !containsPayload(got, numbered(want)) {
					t.Errorf("byte %d ^ %#02x: packet %d is lost", pos-at, flip, want)
				}
			}
			if len(got) > 4 {
				t.Errorf("byte %d ^ %#02x: %d packets", pos-at, flip, len(got))
			}
		}
	}
	if s := c.Stats(); s.BadPacket == 0 {
		t.Errorf("nothing counted: %+v", s)
	}
}

func containsPayload(ps [][]byte, want []byte) bool {
	for _, p := range ps {
		if bytes.Equal(p, want) {
			return true
		}
	}
	return false
}

// TestGarbageAndCuts puts garbage before and between packets and lets the FIFO
// fill while it is read, so that packets come in pieces.
func TestGarbageAndCuts(t *testing.T) {
	c, chip := startFake(t, setConf(t, "spi_sx1250_eu868"))
	rnd := rand.New(rand.NewPCG(1, 2))
	for round := range 300 {
		var whole []byte
		n := 1 + rnd.IntN(8)
		for i := range n {
			for range rnd.IntN(4) {
				whole = append(whole, byte(rnd.IntN(256))&0x7F) // no sync word
			}
			whole = append(whole, entry(numbered(i), uint8(i%8), 0, rnd.IntN(3))...)
		}
		var got [][]byte
		for len(whole) > 0 {
			k := 1 + rnd.IntN(len(whole))
			chip.fifo = append(chip.fifo, whole[:k]...)
			whole = whole[k:]
			ps, err := c.fetch(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range ps {
				got = append(got, p.Payload)
			}
		}
		if len(got) != n {
			t.Fatalf("round %d: %d packets of %d", round, len(got), n)
		}
	}
}

// TestTruncated leaves a packet without its end: it is given up when nothing
// follows, and costs nothing else.
func TestTruncated(t *testing.T) {
	c, chip := startFake(t, setConf(t, "spi_sx1250_eu868"))
	chip.fifo = append(entry(numbered(1), 0, 0, 0), entry(numbered(2), 0, 0, 0)[:20]...)
	if got := receiveAll(t, c); len(got) != 1 {
		t.Fatalf("%d packets", len(got))
	}
	if s := c.Stats(); s.BadPacket == 0 || len(c.rx.buf) != 0 {
		t.Errorf("%+v, %d bytes kept", s, len(c.rx.buf))
	}
	chip.fifo = entry(numbered(3), 0, 0, 0)
	if got := receiveAll(t, c); len(got) != 1 || !bytes.Equal(got[0], numbered(3)) {
		t.Errorf("then %q", got)
	}
}

// TestBadPayload drops a packet whose payload is not what the modem checked.
func TestBadPayload(t *testing.T) {
	c, chip := startFake(t, setConf(t, "spi_sx1250_eu868"))
	b := entry(numbered(1), 0, 0, 0)
	b[headBytes]++
	b[len(b)-1]++ // the checksum is right again
	chip.fifo = append(b, entry(numbered(2), 0, 0, 0)...)
	if got := receiveAll(t, c); len(got) != 1 || !bytes.Equal(got[0], numbered(2)) {
		t.Errorf("received %q", got)
	}
	if s := c.Stats(); s.BadPayload != 1 {
		t.Errorf("%+v", s)
	}
}

func TestReceiveAllocates(t *testing.T) {
	c, chip := startFake(t, setConf(t, "spi_sx1250_eu868"))
	var whole []byte
	for i := range 16 {
		whole = append(whole, entry(numbered(i), uint8(i%8), 0, 0)...)
	}
	buf := make([]byte, 0, len(whole))
	if n := testing.AllocsPerRun(100, func() {
		chip.fifo = append(buf[:0], whole...)
		if ps, err := c.fetch(context.Background()); err != nil || len(ps) != 16 {
			t.Fatalf("%d packets, %v", len(ps), err)
		}
	}); n > 2 { // the packets, and their payloads
		t.Errorf("%v allocations for 16 packets", n)
	}
	if n := testing.AllocsPerRun(100, func() {
		if _, err := c.fetch(context.Background()); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations for an empty FIFO", n)
	}
}

func BenchmarkReceive16(b *testing.B) {
	c, chip := startFake(b, setConf(b, "spi_sx1250_eu868"))
	var whole []byte
	for i := range 16 {
		whole = append(whole, entry(numbered(i), uint8(i%8), 0, 0)...)
	}
	buf := make([]byte, 0, len(whole))
	b.ReportAllocs()
	for b.Loop() {
		chip.fifo = append(buf[:0], whole...)
		if _, err := c.fetch(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}

// FuzzFIFO feeds arbitrary bytes: nothing panics, the scan always comes forward,
// and a good packet behind any bytes is found once the FIFO falls silent.
func FuzzFIFO(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0xA5})
	f.Add([]byte{0xA5, 0xC0, 0xFF, 0, 0x70, 3, 0, 0, 0})
	f.Add(entry(numbered(1), 0, 0, 2))
	f.Add(entry(numbered(1), 0, 0, 255)[:60])
	good := entry(numbered(7), 1, 0, 0)
	f.Fuzz(func(t *testing.T, noise []byte) {
		b := append(bytes.Clone(noise), good...)
		found := false
		for len(b) > 0 {
			m, n, what := nextPacket(b)
			switch {
			case what == foundPacket:
				found = found || bytes.Equal(m.payload, numbered(7))
			case what == foundPart: // nothing more comes
				n += min(2, len(b)-n)
			}
			if n <= 0 || n > len(b) {
				t.Fatalf("%d of %d bytes", n, len(b))
			}
			b = b[n:]
		}
		// Only a valid packet may have swallowed it: noise can contain one whose
		// length reaches into ours.
		if !found && !bytes.Contains(noise, []byte{syncByte0, syncByte1}) && !bytes.HasSuffix(noise, []byte{syncByte0}) {
			t.Error("the good packet is lost")
		}
	})
}

// TestEveryByteOfAFetch damages each byte of a fetch in every possible way. Packets
// of one size are the hard case: a length that has grown by a packet's size still
// ends where a packet ends. At most the packet with the byte is lost, nothing that
// was not sent is received, and the others keep their order.
func TestEveryByteOfAFetch(t *testing.T) {
	c, chip := startFake(t, setConf(t, "spi_sx1250_eu868"))
	status := func(b []byte, flags, bits byte) []byte {
		b[offFlags] = flags
		b[headBytes+int(b[offLength])] = bits
		b[len(b)-1] = calc.Checksum(b[:len(b)-1])
		return b
	}
	fetches := map[string][][]byte{
		"one size": {
			entry(numbered(0), 0, 1<<20, 0), entry(numbered(1), 1, 2<<20, 0), entry(numbered(2), 2, 3<<20, 0),
			entry(numbered(3), 3, 4<<20, 0), entry(numbered(4), 4, 5<<20, 0),
		},
		"with metrics, and sync words in payloads": {
			entry(numbered(0), 0, 1<<20, 2), entry([]byte("one\xA5\xC0\x04\x02\x73\x02 two\xA5"), 1, 2<<20, 3),
			entry([]byte{0xC0, 0xA5, 0xC0}, 2, 3<<20, 0), entry(numbered(3), 3, 4<<20, 2),
		},
		"without checksum, or collided": {
			entry(numbered(0), 0, 1<<20, 0), status(entry(numbered(1), 1, 2<<20, 0), 7<<4|1<<1, 0),
			status(entry(numbered(2), 2, 3<<20, 0), 7<<4|1<<1|1, 1), entry(numbered(3), 3, 4<<20, 0),
		},
	}
	for name, packets := range fetches {
		t.Run(name, func(t *testing.T) {
			var whole []byte
			var owner []int
			var payloads [][]byte
			for i, p := range packets {
				whole = append(whole, p...)
				owner = append(owner, slices.Repeat([]int{i}, len(p))...)
				payloads = append(payloads, p[headBytes:][:p[offLength]])
			}
			for pos := range whole {
				for flip := 1; flip < 256; flip++ {
					chip.fifo = bytes.Clone(whole)
					chip.fifo[pos] ^= byte(flip)
					got := receiveAll(t, c)
					want := slices.Delete(slices.Clone(payloads), owner[pos], owner[pos]+1)
					if !slices.EqualFunc(got, want, bytes.Equal) {
						t.Fatalf("byte %d ^ %#02x, in packet %d: received %q", pos, flip, owner[pos], got)
					}
				}
			}
		})
	}
}

// TestSixteenBadAmongGood puts sixteen collided or damaged packets between good
// ones, in one fetch.
func TestSixteenBadAmongGood(t *testing.T) {
	c, chip := startFake(t, setConf(t, "spi_sx1250_eu868"))
	for round := range 200 {
		rnd := rand.New(rand.NewPCG(7, uint64(round)))
		var want [][]byte
		chip.fifo = nil
		bad := 16
		for i := 0; i < 16 || bad > 0; i++ {
			p := entry(numbered(i), uint8(i%8), 0, rnd.IntN(3))
			if len(want) == 16 || bad > 0 && rnd.IntN(2) == 0 {
				bad--
				k := headBytes + len(numbered(i))
				p[k] |= 1             // a CRC error
				if rnd.IntN(2) == 0 { // and else the checksum is wrong
					p[len(p)-1] = calc.Checksum(p[:len(p)-1])
					want = append(want, nil) // a packet, in its way
				}
			} else {
				want = append(want, numbered(i))
			}
			chip.fifo = append(chip.fifo, p...)
		}
		got := receiveAll(t, c)
		if len(got) != len(want) {
			t.Fatalf("round %d: %d packets, want %d", round, len(got), len(want))
		}
		for i := range want {
			if want[i] != nil && !bytes.Equal(got[i], want[i]) {
				t.Fatalf("round %d: packet %d is %q, want %q", round, i, got[i], want[i])
			}
		}
	}
}

// TestOneByteOfRandomFetches is the same with packets of all lengths, with and
// without metrics and CRC, and any content.
func TestOneByteOfRandomFetches(t *testing.T) {
	c, chip := startFake(t, setConf(t, "spi_sx1250_eu868"))
	rnd := rand.New(rand.NewPCG(3, 4))
	for round := range 20_000 {
		var whole []byte
		var owner []int
		var payloads [][]byte
		for i := range 2 + rnd.IntN(5) {
			p := make([]byte, 1+rnd.IntN(30))
			for k := range p {
				p[k] = byte(rnd.IntN(256))
			}
			b := entry(p, uint8(i%8), rnd.Uint32(), rnd.IntN(2)*rnd.IntN(5))
			if rnd.IntN(6) == 0 {
				b[offFlags] &^= 1 // no CRC
				b[len(b)-1] = calc.Checksum(b[:len(b)-1])
			}
			whole = append(whole, b...)
			owner = append(owner, slices.Repeat([]int{i}, len(b))...)
			payloads = append(payloads, p)
		}
		pos := rnd.IntN(len(whole))
		flip := byte(1 + rnd.IntN(255))
		chip.fifo = bytes.Clone(whole)
		chip.fifo[pos] ^= flip
		got := receiveAll(t, c)
		want := slices.Delete(payloads, owner[pos], owner[pos]+1)
		if !slices.EqualFunc(got, want, bytes.Equal) {
			t.Fatalf("round %d: byte %d ^ %#02x, in packet %d of %x: received %x", round, pos, flip, owner[pos], whole, got)
		}
	}
}
