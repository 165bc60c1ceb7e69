package poc

import (
	"crypto/sha256"
	"encoding/binary"
)

// Secret is what the oracle commits to before an epoch and reveals after it.
type Secret [32]byte

// Seed fixes every challenge of an epoch.
type Seed [32]byte

// Commitment is the hash that goes on chain before the epoch starts.
func (s Secret) Commitment(e Epoch) [32]byte {
	h := sha256.New()
	h.Write([]byte("heliograph/v1/commit\n"))
	_ = binary.Write(h, binary.BigEndian, uint32(e)) // a hash never fails
	h.Write(s[:])
	return [32]byte(h.Sum(nil))
}

// Seed mixes the secret with a finalized blockhash that nobody could know when
// the commitment was made: the oracle cannot choose its challenges, and hotspots
// cannot foresee them.
func (s Secret) Seed(e Epoch, blockhash [32]byte) Seed {
	h := sha256.New()
	h.Write([]byte("heliograph/v1/seed\n"))
	_ = binary.Write(h, binary.BigEndian, uint32(e)) // a hash never fails
	h.Write(s[:])
	h.Write(blockhash[:])
	return Seed(h.Sum(nil))
}
