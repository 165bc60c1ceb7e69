package epoch

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"heliograph/oracle/journal"
	"heliograph/oracle/policy"
	"heliograph/oracle/reward"
	"heliograph/oracle/store"
	"heliograph/poc"
	"heliograph/provisioning/identity"
)

// Frame is one frame of the journal with its place.
type Frame struct {
	Shard  store.Shard  `json:"s"`
	Offset store.Offset `json:"o"`
	Raw    []byte       `json:"f"`
}

// Evidence is everything that an epoch's result is a function of. Nothing else
// goes into it: no clock, no database, no setting.
type Evidence struct {
	Epoch   poc.Epoch
	Oracle  identity.HotspotID
	Terms   Terms
	Secret  poc.Secret
	Opening journal.Boundary
	Control []Frame // assertions and session certificates before the cut, in order
	Reports []Frame // the epoch's own entries, shard by shard, in order
	// Policies are the documents from the first to the one that counts, signed by
	// PolicyKey; without a key there is one that the operator wrote himself.
	PolicyKey identity.HotspotID
	Policies  []policy.Signed
	Previous  *Previous // nil: there is none
}

// Previous is what an epoch takes over from the one that was opened before it.
type Previous struct {
	Epoch    poc.Epoch
	Evidence Hash // digest of its evidence, of which Carried is a function
	Carried  []reward.Payout
}

// carried is what wallets were owed below the threshold.
func (ev Evidence) carried() []reward.Payout {
	if ev.Previous == nil {
		return nil
	}
	return ev.Previous.Carried
}

// Digest is the SHA-256 of the evidence in its published form: the bundle without
// claim, memos and payments. It names the epoch's evidence in the bundle of the
// next one, so that bundles form a chain.
func (ev Evidence) Digest() (Hash, error) {
	h := sha256.New()
	if _, err := (Bundle{Evidence: ev}).WriteTo(h); err != nil {
		return Hash{}, err
	}
	return Hash(h.Sum(nil)), nil
}

// Evidence gathers an epoch's evidence from the journal. The epoch must have
// been opened and cut; whether its secret may be shown is the caller's business.
func (m *Reader) Evidence(ctx context.Context, e poc.Epoch) (Evidence, error) {
	ev, err := m.EvidenceHead(ctx, e)
	if err != nil {
		return Evidence{}, err
	}
	err = m.frames(ctx, ev, func(report bool, f Frame) error {
		if report {
			ev.Reports = append(ev.Reports, f)
		} else {
			ev.Control = append(ev.Control, f)
		}
		return nil
	})
	return ev, err
}

// EvidenceHead is [Reader.Evidence] without the frames: all that is small.
func (m *Reader) EvidenceHead(ctx context.Context, e poc.Epoch) (Evidence, error) {
	opening, opened := m.Journal.Opening(e)
	if !opened {
		return Evidence{}, fmt.Errorf("epoch %d was never opened: there is nothing to judge", e)
	}
	fixed, err := m.terms(ctx, e)
	if err != nil {
		return Evidence{}, err
	}
	ev := Evidence{Epoch: e, Oracle: fixed.Oracle, Terms: fixed.Terms, Opening: opening, PolicyKey: fixed.PolicyKey}
	if ev.Policies, err = m.policies(ctx, fixed.Policies); err != nil {
		return Evidence{}, err
	}
	if ev.Previous, err = m.takenOver(ctx, e); err != nil {
		return Evidence{}, err
	}
	found, err := m.storedSecret(ctx, e, &ev.Secret)
	if err != nil {
		return Evidence{}, err
	}
	if !found || ev.Secret.Commitment(e) != opening.Commitment {
		return Evidence{}, fmt.Errorf("the stored secret of epoch %d does not fit its commitment in the journal: the state database belongs to another journal; restore both from one backup", e)
	}
	return ev, nil
}

// frames reads the frames of an epoch's evidence in their order: those of the
// control shard, then its reports.
func (m *Reader) frames(ctx context.Context, ev Evidence, yield func(report bool, f Frame) error) error {
	// Older certificates have expired, also those whose clock ran ahead.
	oldest := ev.Terms.Calendar.Start(ev.Epoch) - (poc.MaxSessionSeconds+2*poc.SessionClockTolerance)*int64(time.Second)
	cut, err := m.Journal.CutOf(ev.Epoch)
	if err != nil {
		return err
	}
	frame := func(report bool, p journal.Position, entry journal.Entry) error {
		raw, err := entry.AppendBinary(nil)
		if err != nil {
			return err
		}
		return yield(report, Frame{Shard: p.Shard, Offset: p.Offset, Raw: raw})
	}
	err = m.Journal.Control(ctx, cut.End[store.ControlShard], func(p journal.Position, entry journal.Entry) error {
		if entry.Type != journal.TypeReport && (entry.Type != journal.TypeSession || entry.Received < oldest) {
			return nil
		}
		return frame(false, p, entry)
	})
	if err != nil {
		return err
	}
	return m.Journal.Epoch(ctx, ev.Epoch, func(p journal.Position, entry journal.Entry) error {
		if p.Shard == store.ControlShard {
			return nil
		}
		return frame(true, p, entry)
	})
}

// WriteBundle writes what [Bundle.WriteTo] would with the frames of the journal,
// which it reads twice and never holds: the memory it takes does not grow with the
// epoch. The bundle's own evidence is an [Reader.EvidenceHead].
func (m *Reader) WriteBundle(ctx context.Context, b Bundle, w io.Writer) error {
	control, reports := 0, 0
	err := m.frames(ctx, b.Evidence, func(report bool, _ Frame) error {
		if report {
			reports++
		} else {
			control++
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("epoch: write bundle: %w", err)
	}
	buffered := bufio.NewWriter(w)
	enc := json.NewEncoder(buffered)
	err = enc.Encode(b.head(control, reports))
	if err == nil {
		err = m.frames(ctx, b.Evidence, func(_ bool, f Frame) error { return enc.Encode(f) })
	}
	if err == nil && b.Previous != nil {
		_, err = buffered.Write(reward.AppendList(nil, b.Previous.Carried))
	}
	if err = errors.Join(err, buffered.Flush()); err != nil {
		return fmt.Errorf("epoch: write bundle: %w", err)
	}
	return nil
}

// bundleVersion is the version of the bundle's form.
const bundleVersion = 2

// bundleHead is the first line of a bundle.
type bundleHead struct {
	Bundle  int                `json:"bundle"`
	Epoch   poc.Epoch          `json:"epoch"`
	Oracle  identity.HotspotID `json:"oracle"`
	Terms   Terms              `json:"terms"`
	Secret  Hash               `json:"secret"`
	Opening bundleOpening      `json:"opening"`
	Control int                `json:"control"` // frames of the control shard that follow
	Reports int                `json:"reports"` // frames of reports that follow them
	// PolicyKey and Policies as in [Evidence].
	PolicyKey identity.HotspotID `json:"policy_key,omitzero"`
	Policies  []policy.Signed    `json:"policies,omitempty"`
	Previous  *bundlePrevious    `json:"previous,omitempty"`
	Claim     *Record            `json:"claim,omitempty"`
	Memos     Memos              `json:"memos"`
	Payments  *Payments          `json:"payments,omitempty"`
}

// bundlePrevious announces what the epoch before carries over.
type bundlePrevious struct {
	Epoch    poc.Epoch `json:"epoch"`
	Evidence Hash      `json:"evidence"`
	Carried  int       `json:"carried"` // lines of the list that follow the frames
}

// Payments say where on chain the payouts are to be found. They are a hint: an
// auditor takes the hot key from the sender of the memos.
type Payments struct {
	Identity string `json:"identity"` // hot key, mint and treasury
	Batches  uint32 `json:"batches"`
}

// Memos are the transactions on chain that belong to an epoch.
type Memos struct {
	Seed   string `json:"seed,omitempty"`   // commits to the secret
	Commit string `json:"commit,omitempty"` // root and list, before the first payout
	Close  string `json:"close,omitempty"`  // reveals the secret
}

type bundleOpening struct {
	Commitment Hash         `json:"commitment"`
	CommitSlot uint64       `json:"commit_slot"`
	Blockhash  Hash         `json:"blockhash"`
	BlockSlot  uint64       `json:"block_slot"`
	Received   int64        `json:"received"`
	Offset     store.Offset `json:"offset"`
}

// Bundle is evidence with what the oracle claims to have computed from it.
type Bundle struct {
	Evidence
	Claim    *Record // nil: the oracle has not judged the epoch
	Memos    Memos
	Payments *Payments // nil: nothing was frozen yet
}

// head is the first line of the bundle.
func (b Bundle) head(control, reports int) bundleHead {
	o := b.Opening
	head := bundleHead{Bundle: bundleVersion, Epoch: b.Epoch, Oracle: b.Oracle, Terms: b.Terms, Secret: Hash(b.Secret),
		Opening: bundleOpening{Commitment: o.Commitment, CommitSlot: o.CommitSlot, Blockhash: o.Blockhash, BlockSlot: o.BlockSlot, Received: o.Received, Offset: o.At},
		Control: control, Reports: reports, Claim: b.Claim, Memos: b.Memos,
		PolicyKey: b.PolicyKey, Policies: b.Policies, Payments: b.Payments}
	if p := b.Previous; p != nil {
		head.Previous = &bundlePrevious{Epoch: p.Epoch, Evidence: p.Evidence, Carried: len(p.Carried)}
	}
	return head
}

// WriteTo writes the bundle as JSON lines: a head, then one line a frame.
func (b Bundle) WriteTo(w io.Writer) (int64, error) {
	c := &counter{w: w}
	enc := json.NewEncoder(c)
	if err := enc.Encode(b.head(len(b.Control), len(b.Reports))); err != nil {
		return c.n, fmt.Errorf("epoch: write bundle: %w", err)
	}
	for _, fs := range [][]Frame{b.Control, b.Reports} {
		for _, f := range fs {
			if err := enc.Encode(f); err != nil {
				return c.n, fmt.Errorf("epoch: write bundle: %w", err)
			}
		}
	}
	if b.Previous != nil {
		if _, err := c.Write(reward.AppendList(nil, b.Previous.Carried)); err != nil {
			return c.n, fmt.Errorf("epoch: write bundle: %w", err)
		}
	}
	return c.n, nil
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

// Limits of a bundle that comes from a stranger.
const (
	maxBundleLine   = 4 << 20 // bytes; a head with all versions of a policy
	maxBundleFrames = 1 << 28
)

// ReadBundle reads what WriteTo wrote.
func ReadBundle(r io.Reader) (Bundle, error) {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 64<<10), maxBundleLine)
	var head bundleHead
	if err := line(s, &head); err != nil {
		return Bundle{}, fmt.Errorf("epoch: read bundle: head: %w", err)
	}
	if head.Bundle < 1 || head.Bundle > bundleVersion {
		return Bundle{}, fmt.Errorf("epoch: read bundle: version %d is not known, want %d: use the oraclectl of the oracle's release", head.Bundle, bundleVersion)
	}
	if head.Control < 0 || head.Reports < 0 || head.Control > maxBundleFrames || head.Reports > maxBundleFrames {
		return Bundle{}, errors.New("epoch: read bundle: impossible number of frames")
	}
	if p := head.Previous; p != nil && (p.Carried < 0 || p.Carried > maxBundleFrames) {
		return Bundle{}, errors.New("epoch: read bundle: impossible number of carried amounts")
	}
	b := Bundle{Claim: head.Claim, Memos: head.Memos, Payments: head.Payments}
	b.PolicyKey, b.Policies = head.PolicyKey, head.Policies
	b.Epoch, b.Oracle, b.Terms, b.Secret = head.Epoch, head.Oracle, head.Terms, poc.Secret(head.Secret)
	o := head.Opening
	b.Opening = journal.Boundary{Received: o.Received, At: o.Offset, Open: journal.Open{Epoch: head.Epoch,
		Commitment: o.Commitment, CommitSlot: o.CommitSlot, Blockhash: o.Blockhash, BlockSlot: o.BlockSlot}}
	for _, part := range []struct {
		to *[]Frame
		n  int
	}{{&b.Control, head.Control}, {&b.Reports, head.Reports}} {
		for i := range part.n {
			var f Frame
			if err := line(s, &f); err != nil {
				return Bundle{}, fmt.Errorf("epoch: read bundle: frame %d: %w", i, err)
			}
			*part.to = append(*part.to, f)
		}
	}
	if p := head.Previous; p != nil {
		carried, err := readList(s, p.Carried)
		if err != nil {
			return Bundle{}, fmt.Errorf("epoch: read bundle: carried over from epoch %d: %w", p.Epoch, err)
		}
		b.Previous = &Previous{Epoch: p.Epoch, Evidence: p.Evidence, Carried: carried}
	}
	if s.Scan() {
		return Bundle{}, errors.New("epoch: read bundle: lines after the last one")
	}
	return b, s.Err()
}

// readList reads a list of known length.
func readList(s *bufio.Scanner, n int) ([]reward.Payout, error) {
	var text []byte
	for range n {
		if !s.Scan() {
			return nil, errors.Join(io.ErrUnexpectedEOF, s.Err())
		}
		text = append(append(text, s.Bytes()...), '\n')
	}
	list, _, err := reward.ParseList(text)
	return list, err
}

func line(s *bufio.Scanner, v any) error {
	if !s.Scan() {
		return errors.Join(io.ErrUnexpectedEOF, s.Err())
	}
	d := json.NewDecoder(bytes.NewReader(s.Bytes()))
	d.DisallowUnknownFields()
	return d.Decode(v)
}
