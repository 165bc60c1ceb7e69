package epoch

import (
	"strconv"

	"github.com/mr-tron/base58"

	"heliograph/oracle/ledger"
	"heliograph/oracle/reward"
	"heliograph/poc"
	"heliograph/provisioning/identity"
)

// Proof is a row and its way to the root, as it is published. Leaf is the bytes
// that are hashed (RFC 6962: 0x00 before a leaf, 0x01 before two nodes).
type Proof struct {
	Epoch   poc.Epoch          `json:"epoch"`
	Root    Hash               `json:"root"`
	Hotspot identity.HotspotID `json:"hotspot"`
	Owner   string             `json:"owner"`
	Beacon  string             `json:"beacon"`
	Witness string             `json:"witness"`
	Data    string             `json:"data"`
	Leaf    []byte             `json:"leaf"` // base64
	Index   int64              `json:"index"`
	Size    int64              `json:"size"`
	Hashes  []Hash             `json:"hashes"`
}

func showProof(root Hash, p reward.Proof) Proof {
	leaf, _ := p.Row.AppendBinary(nil) // it was encoded when the tree was built
	out := Proof{Epoch: p.Row.Epoch, Root: root, Hotspot: p.Row.Hotspot, Owner: base58.Encode(p.Row.Owner[:]),
		Beacon: digits(p.Row.Beacon), Witness: digits(p.Row.Witness), Data: digits(p.Row.Data),
		Leaf: leaf, Index: p.Index, Size: p.Size, Hashes: make([]Hash, len(p.Hashes))}
	for i, h := range p.Hashes {
		out.Hashes[i] = h
	}
	return out
}

// Check says whether the proof leads to its root. It trusts the leaf only.
func (p Proof) Check() error {
	row, err := reward.ParseRow(p.Leaf)
	if err != nil {
		return err
	}
	hashes := make([][32]byte, len(p.Hashes))
	for i, h := range p.Hashes {
		hashes[i] = h
	}
	return reward.CheckProof(p.Root, reward.Proof{Row: row, Index: p.Index, Size: p.Size, Hashes: hashes})
}

func digits(a ledger.Amount) string { return strconv.FormatUint(uint64(a), 10) }
