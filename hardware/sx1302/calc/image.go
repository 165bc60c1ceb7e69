package calc

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// ImageBytes is the size of a microcontroller's program memory: 4096 words of 14
// bits, each in two bytes, low byte first (h).
const ImageBytes = 8192

// CheckImage says whether each word of a microcontroller image carries the right
// parity (h): the two top bits are the number of ones in the low 14, modulo 4.
// The chip raises PARITY_ERROR for one that does not.
func CheckImage(image []byte) error {
	if len(image) != ImageBytes {
		return fmt.Errorf("calc: microcontroller image has %d bytes, need %d", len(image), ImageBytes)
	}
	for i := 0; i < len(image); i += 2 {
		if w := binary.LittleEndian.Uint16(image[i:]); w != ParityWord(w) {
			return fmt.Errorf("calc: microcontroller image: word %d (%#04x) has bad parity", i/2, w)
		}
	}
	return nil
}

// ParityWord replaces the two top bits of a word by its parity. A blank word
// (0x3FFF) becomes 0xBFFF.
func ParityWord(w uint16) uint16 {
	w &= 0x3FFF
	return w | uint16(bits.OnesCount16(w)&3)<<14
}
