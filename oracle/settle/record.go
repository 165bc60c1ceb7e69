package settle

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"heliograph/oracle/ledger"
	"heliograph/oracle/reward"
	"heliograph/oracle/store"
	"heliograph/poc"
)

// State is where an epoch's settlement stands.
type State string

// The states, in order.
const (
	Frozen    State = "frozen"    // the list is fixed; the commit memo is on its way
	Committed State = "committed" // the commit memo is final; batches are being paid, or the distributor made
	Funded    State = "funded"    // the distributor holds the total; a close memo is on its way
	Claimable State = "claiming"  // wallets claim
	Settled   State = "settled"   // every batch is final or held; the close memo is on its way
	Closed    State = "closed"    // the close memo is final
)

// Memo is a text on its way to the chain. Duplicates are harmless.
type Memo struct {
	Text      string `json:"text"`
	Attempts  []Tx   `json:"attempts,omitempty"`
	Final     bool   `json:"final,omitempty"`
	Signature string `json:"signature,omitempty"` // of the attempt that is final
	Slot      uint64 `json:"slot,omitempty"`
	// Doubt says that somebody called it landed when it had not; "" when nobody did.
	Doubt string `json:"doubt,omitempty"`
}

// Epoch is the record of one epoch.
type Epoch struct {
	Epoch    poc.Epoch     `json:"epoch"`
	State    State         `json:"state"`
	Root     [32]byte      `json:"payout_root"`
	Rewards  [32]byte      `json:"rewards_root"`
	ListHash [32]byte      `json:"list_hash"`
	Total    ledger.Amount `json:"total"`
	Count    int           `json:"count"`   // recipients
	Batches  uint32        `json:"batches"` // the later ones, too
	// Later is how many of the batches pay one recipient each, after the batch that he
	// was planned in landed without him. Their numbers are those of [LaterBatch].
	Later    uint32 `json:"later,omitempty"`
	Identity string `json:"identity"`
	Rules    string `json:"rules"`
	Commit   Memo   `json:"commit"`
	Close    Memo   `json:"close"`
	// Stalled says why nothing moves for now, and what to do about it. It is tried
	// again with every look at the chain.
	Stalled string `json:"stalled,omitempty"`
	// Refused says why nothing is paid until a person has looked, and what to do.
	Refused string `json:"refused,omitempty"`
	// ClosedAt is the finalized height at which the epoch was found closed.
	ClosedAt uint64 `json:"closed_at,omitempty"`
	// Reclaimed is the number of batches, from the first on, whose markers are gone.
	Reclaimed uint32 `json:"reclaimed,omitempty"`
	// Reclaiming says why markers are not closed, and what to do about it. It stops no
	// payments.
	Reclaiming string     `json:"reclaiming,omitempty"`
	Secret     poc.Secret `json:"secret"`
	// Claims is there if wallets claim the payouts of this epoch.
	Claims *Claims `json:"claims,omitempty"`
}

// Attempt is one signed variant of a batch.
type Attempt struct {
	Tx
	Recipients []int  `json:"recipients"`     // indices into Batch.Payouts
	Dead       string `json:"dead,omitempty"` // it landed and failed, with this error
}

// Batch is a set of payouts that happen together.
type Batch struct {
	Epoch    poc.Epoch       `json:"epoch"`
	Index    uint32          `json:"index"`
	Payouts  []reward.Payout `json:"payouts"`
	Held     map[int]string  `json:"held,omitempty"`  // index -> why
	Moved    map[int]uint32  `json:"moved,omitempty"` // index -> the later batch that pays it after all
	Moves    map[int]int     `json:"moves,omitempty"` // index -> how often it was held or released
	Attempts []Attempt       `json:"attempts,omitempty"`
	Final    bool            `json:"final,omitempty"`
	Landed   string          `json:"landed,omitempty"`  // signature of the variant that did
	Suspect  map[int]string  `json:"suspect,omitempty"` // refused in simulation; held once older variants are dead
	Expiry   uint64          `json:"expiry,omitempty"`  // greatest last valid height of all variants ever signed
	Claim    ClaimStage      `json:"claim,omitempty"`   // "": the batch is sent
	Claimed  map[int]bool    `json:"claimed,omitempty"` // indices of wallets that have claimed
}

// Live are the indices of recipients that are to be paid.
func (b Batch) Live() (live []int) {
	for i := range b.Payouts {
		_, held := b.Held[i]
		_, moved := b.Moved[i]
		if !held && !moved {
			live = append(live, i)
		}
	}
	return live
}

// Done says whether nothing more will happen to the batch.
func (b Batch) Done() bool { return b.Final || len(b.Live()) == 0 && len(b.Attempts) == 0 }

// Keys: "s/e/"+epoch, "s/p/"+epoch+batch, "s/c/"+epoch; numbers big-endian.
// "s/h/"+epoch+batch, without a value, is there for batches that are done and hold
// somebody, so that they are found without reading all others.
func epochKey(e poc.Epoch) []byte { return binary.BigEndian.AppendUint32([]byte("s/e/"), uint32(e)) }
func batchPrefix(e poc.Epoch) []byte {
	return binary.BigEndian.AppendUint32([]byte("s/p/"), uint32(e))
}
func batchKey(e poc.Epoch, b uint32) []byte { return binary.BigEndian.AppendUint32(batchPrefix(e), b) }
func commitKey(e poc.Epoch) []byte {
	return binary.BigEndian.AppendUint32([]byte("s/c/"), uint32(e))
}

func heldKey(e poc.Epoch, b uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32([]byte("s/h/"), uint32(e)), b)
}

// putBatch writes a batch and its entry among those that hold somebody.
func putBatch(tx store.Tx, b Batch) error {
	key := heldKey(b.Epoch, b.Index)
	switch {
	case !b.Done():
	case len(b.Held) > 0:
		if err := tx.Put(key, nil); err != nil {
			return err
		}
	default:
		if err := tx.Delete(key); err != nil {
			return err
		}
	}
	return put(tx, batchKey(b.Epoch, b.Index), b)
}

// commitment is the record of a seed commitment.
type commitment struct {
	Epoch poc.Epoch `json:"epoch"`
	Hash  [32]byte  `json:"hash"`
	Memo  Memo      `json:"memo"`
	// Unchecked: whether another oracle has sent the memo before is not known.
	Unchecked bool `json:"unchecked,omitempty"`
}

// done says whether the memo is final, and the oldest.
func (c commitment) done() bool { return c.Memo.Final && !c.Unchecked }

func put(tx store.Tx, key []byte, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("settle: encode: %w", err)
	}
	return tx.Put(key, text)
}

// get reports false for a key that is not there.
func get(tx store.Tx, key []byte, v any) (bool, error) {
	text, err := tx.Get(key)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, unmarshal(key, text, v)
}

func unmarshal(key, text []byte, v any) error {
	if err := json.Unmarshal(text, v); err != nil {
		return fmt.Errorf("settle: record %q is damaged: %w", key, err)
	}
	return nil
}
