package solana

import (
	"errors"
	"fmt"
	"sync"

	"github.com/gagliardetto/solana-go/rpc"
	"github.com/gagliardetto/solana-go/rpc/jsonrpc"
)

// floor is the slot that an endpoint has shown to know already. A later read at the
// same commitment asks for at least that (minContextSlot): behind one address there
// may be several nodes, and one that lags must not show accounts as they were before
// a payout.
type floor struct {
	mu       sync.Mutex
	slots    map[rpc.CommitmentType]uint64
	refusals int // in a row
}

// errBehind is the answer of a node that has not come so far.
var errBehind = errors.New("solana: the node behind the endpoint lags, it is asked again")

// notReached is the JSON-RPC code of such an answer.
const notReached = -32016

// forgetFloor is after how many refusals in a row the floor is given up: the endpoint
// has claimed a slot that does not exist, or a fork took it.
const forgetFloor = 5

// see raises the floor.
func (f *floor) see(c rpc.CommitmentType, slot uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.slots == nil {
		f.slots = map[rpc.CommitmentType]uint64{}
	}
	f.slots[c] = max(f.slots[c], slot)
}

// least is the floor, nil while there is none. What is final is confirmed too.
func (f *floor) least(c rpc.CommitmentType) *uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	slot := f.slots[c]
	if c == rpc.CommitmentConfirmed {
		slot = max(slot, f.slots[rpc.CommitmentFinalized])
	}
	if slot == 0 {
		return nil
	}
	return &slot
}

// judge turns the refusal of a node that lags into errBehind, and counts.
func (f *floor) judge(err error) error {
	var re *jsonrpc.RPCError
	behind := errors.As(err, &re) && re.Code == notReached
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case err == nil:
		f.refusals = 0
	case behind:
		if f.refusals++; f.refusals >= forgetFloor {
			f.refusals, f.slots = 0, nil
		}
		return fmt.Errorf("%w (%s)", errBehind, re.Message)
	}
	return err
}
