package chip

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"time"

	"heliograph/radio"
)

// Traffic makes packets up, so that a program that has a chip open has something
// to receive: every interval one on a random enabled channel, at a random
// spreading factor and level. It returns when ctx ends. The chip must be on a
// clock that runs by itself.
func (c *Chip) Traffic(ctx context.Context, every time.Duration, rng *rand.Rand) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for n := uint32(0); ; n++ {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			c.Receive(c.invent(n, rng))
		}
	}
}

// invent makes a LoRaWAN data frame with a running number for its counter, on
// one of the multi-SF channels.
func (c *Chip) invent(n uint32, rng *rand.Rand) Reception {
	frame := binary.LittleEndian.AppendUint32([]byte{0x40}, 0x26000000|rng.Uint32N(1<<16))
	frame = append(frame, 0, byte(n), byte(n>>8), 1)
	for range 4 + 4 + rng.IntN(16) {
		frame = append(frame, byte(rng.Uint32()))
	}
	sf := 7 + rng.IntN(6)
	r := loraRate{sf: sf, bwKHz: 125, coding: 1, length: len(frame), crc: true}
	air := time.Duration(4*r.symbols()+81) * time.Duration(2000<<sf)
	level := -60 - rng.IntN(70)
	c.lock()
	defer c.unlock()
	i := rng.IntN(8)
	f := c.listensTo(c.field(regRadioSelect, uint(i), 1), regIFFrequency+2*uint16(i))
	return Reception{
		Packet: radio.RxPacket{
			Payload: frame, Frequency: f, DataRate: radio.LoRaRate(radio.SpreadingFactor(sf), 125*radio.KHz), Coding: 1,
			CRC: radio.CRCOK, RSSI: radio.DBm(level), SNR: radio.DB(min(level+117, 10)),
		},
		Start: c.now.Add(-air), End: c.now,
	}
}
