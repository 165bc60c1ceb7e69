package helium

import (
	"encoding/binary"
	"math/bits"
)

// chacha12 gives n words of the ChaCha key stream (D. J. Bernstein, 2008) with
// 12 rounds, the key as given, a zero nonce and a 64-bit block counter from 0.
// golang.org/x/crypto has the 20-round form only.
func chacha12(key [32]byte, n int) []uint32 {
	var state [16]uint32
	// "expand 32-byte k"
	state[0], state[1], state[2], state[3] = 0x61707865, 0x3320646e, 0x79622d32, 0x6b206574
	for i := range 8 {
		state[4+i] = binary.LittleEndian.Uint32(key[4*i:])
	}
	out := make([]uint32, 0, n+15)
	for counter := uint64(0); len(out) < n; counter++ {
		state[12], state[13] = uint32(counter), uint32(counter>>32)
		block := state
		for range 12 / 2 { // a column round and a diagonal round
			quarter(&block, 0, 4, 8, 12)
			quarter(&block, 1, 5, 9, 13)
			quarter(&block, 2, 6, 10, 14)
			quarter(&block, 3, 7, 11, 15)
			quarter(&block, 0, 5, 10, 15)
			quarter(&block, 1, 6, 11, 12)
			quarter(&block, 2, 7, 8, 13)
			quarter(&block, 3, 4, 9, 14)
		}
		for i := range block {
			out = append(out, block[i]+state[i])
		}
	}
	return out[:n]
}

func quarter(s *[16]uint32, a, b, c, d int) {
	s[a] += s[b]
	s[d] = bits.RotateLeft32(s[d]^s[a], 16)
	s[c] += s[d]
	s[b] = bits.RotateLeft32(s[b]^s[c], 12)
	s[a] += s[b]
	s[d] = bits.RotateLeft32(s[d]^s[a], 8)
	s[c] += s[d]
	s[b] = bits.RotateLeft32(s[b]^s[c], 7)
}
