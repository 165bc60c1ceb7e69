package lorawan

import (
	"crypto/aes"
	"crypto/cipher"
)

// cmac is AES-CMAC (RFC 4493) with one key. It holds scratch space and is not
// safe for concurrent use.
type cmac struct {
	block  cipher.Block
	k1, k2 [16]byte
	x      [16]byte
}

func newCMAC(key *AESKey) *cmac {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // impossible: the key has 16 bytes
	}
	c := &cmac{block: block}
	block.Encrypt(c.x[:], c.x[:])
	c.k1 = double(c.x)
	c.k2 = double(c.k1)
	return c
}

// double multiplies by x in GF(2^128) (RFC 4493, section 2.3).
func double(in [16]byte) (out [16]byte) {
	var carry byte
	for i := 15; i >= 0; i-- {
		out[i] = in[i]<<1 | carry
		carry = in[i] >> 7
	}
	out[15] ^= 0x87 * carry
	return out
}

// sum computes the code of an optional leading block and msg. With a leading
// block, msg must not be empty; no LoRaWAN message is.
func (c *cmac) sum(lead *[16]byte, msg []byte) [16]byte {
	c.x = [16]byte{}
	if lead != nil {
		c.x = *lead
		c.block.Encrypt(c.x[:], c.x[:])
	}
	for len(msg) > 16 {
		c.mix(msg[:16])
		c.block.Encrypt(c.x[:], c.x[:])
		msg = msg[16:]
	}
	c.mix(msg)
	if len(msg) == 16 {
		c.mix(c.k1[:])
	} else {
		c.x[len(msg)] ^= 0x80
		c.mix(c.k2[:])
	}
	c.block.Encrypt(c.x[:], c.x[:])
	return c.x
}

func (c *cmac) mix(b []byte) {
	for i, v := range b {
		c.x[i] ^= v
	}
}
