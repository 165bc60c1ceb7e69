package journal

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"heliograph/oracle/store"
	"heliograph/poc"
	"heliograph/provisioning/identity"
)

// Chain is the state of the running hashes, one a shard: each frame f turns a
// shard's hash h into SHA-256(h, SHA-256(f)). The zero value is the empty
// journal's.
type Chain [store.Shards][sha256.Size]byte

// Add takes one frame of a shard into account.
func (c *Chain) Add(s store.Shard, frame []byte) {
	sum := sha256.Sum256(frame)
	h := sha256.New()
	h.Write(c[s][:])
	h.Write(sum[:])
	copy(c[s][:], h.Sum(nil))
}

// Digest is one hash over all shards and how far they go.
func (c *Chain) Digest(cut Cut) [sha256.Size]byte {
	h := sha256.New()
	h.Write([]byte("heliograph/v1/journal\n"))
	b, _ := cut.AppendBinary(nil) // cannot fail
	h.Write(b)
	for i := range c {
		h.Write(c[i][:])
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// AppendBinary appends the 257 hashes.
func (c *Chain) AppendBinary(b []byte) ([]byte, error) {
	for i := range c {
		b = append(b, c[i][:]...)
	}
	return b, nil
}

// ParseChain is the inverse of AppendBinary.
func ParseChain(b []byte) (c Chain, err error) {
	if len(b) != store.Shards*sha256.Size {
		return c, fmt.Errorf("%w: chain state of %d bytes", ErrEntry, len(b))
	}
	for i := range c {
		copy(c[i][:], b[i*sha256.Size:])
	}
	return c, nil
}

// Checkpoint is the oracle's signed word on what its journal held when an epoch
// was cut. Two different ones of the same epoch prove that it changed its past.
type Checkpoint struct {
	Epoch     poc.Epoch
	Digest    [sha256.Size]byte
	Signature []byte
}

func checkpointText(e poc.Epoch, digest [sha256.Size]byte) []byte {
	b := []byte("heliograph/v1/checkpoint\n")
	b = binary.BigEndian.AppendUint32(b, uint32(e))
	return append(b, digest[:]...)
}

// Sign makes the checkpoint of a closed epoch. chain is the state at the cut of
// epoch since (below 0: the zero value, nothing was signed before) and becomes
// the state at the cut of e.
func (j *Journal) Sign(ctx context.Context, since int64, e poc.Epoch, chain *Chain, key identity.Signer) (Checkpoint, error) {
	cut, err := j.CutOf(e)
	if err != nil {
		return Checkpoint{}, err
	}
	var from Cut
	if since >= 0 {
		if from, err = j.CutOf(poc.Epoch(since)); err != nil {
			return Checkpoint{}, err
		}
	}
	next := *chain
	for _, r := range ranges(from, cut) {
		err := j.log.Read(ctx, r.Shard, r.From, func(o store.Offset, frame []byte) bool {
			if o < r.To {
				next.Add(r.Shard, frame)
			}
			return o+1 < r.To
		})
		if err != nil {
			return Checkpoint{}, fmt.Errorf("journal: checkpoint of epoch %d: %w", e, err)
		}
	}
	c := Checkpoint{Epoch: e, Digest: next.Digest(cut)}
	if c.Signature, err = key.Sign(checkpointText(e, c.Digest)); err != nil {
		return Checkpoint{}, fmt.Errorf("journal: checkpoint of epoch %d: %w", e, err)
	}
	*chain = next
	return c, nil
}

// Verify checks the signature of the oracle.
func (c Checkpoint) Verify(oracle identity.HotspotID) error {
	if err := oracle.Verify(checkpointText(c.Epoch, c.Digest), c.Signature); err != nil {
		return errors.New("journal: checkpoint: signature does not fit the oracle's key")
	}
	return nil
}
