package signer

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"heliograph/oracle/ledger"
	"heliograph/oracle/reward"
	"heliograph/oracle/settle"
	"heliograph/oracle/settle/claim"
	"heliograph/oracle/store"
	"heliograph/poc"
)

// Config is what a [Signer] is made of.
type Config struct {
	Key    ed25519.PrivateKey
	Policy Policy
	KV     store.KV // what was signed; one signer on it at a time
	Lists  string   // directory of the registered lists
	// Approvals is a directory in which the operator approves each epoch in a file;
	// "": every list within Policy.MaxEpoch is taken.
	Approvals string
	// MarkerAge is how long after its last signature a batch's marker may be closed,
	// and with it the batch for ever; 0 = a day. Until then a variant may be alive: it
	// lives for 150 blocks, and on a cluster that stands still these take hours.
	MarkerAge        time.Duration
	PerMinute, Burst int // signatures; PerMinute 0 = no limit
	Log              *slog.Logger
	Now              func() time.Time // nil = time.Now
}

// Signer signs what its policy allows. Its methods are safe for concurrent use.
type Signer struct {
	cfg  Config
	hot  account
	rate *bucket
	fees fees

	mu    sync.Mutex
	lists map[poc.Epoch][]reward.Payout // a few, read again when needed
}

// cachedLists bounds the lists in memory.
const cachedLists = 4

// New makes a signer on what lies in the store.
func New(c Config) (*Signer, error) {
	if len(c.Key) != ed25519.PrivateKeySize || c.KV == nil || c.Lists == "" {
		return nil, errors.New("signer: key, store and directory of lists are required")
	}
	if c.MarkerAge == 0 {
		c.MarkerAge = 24 * time.Hour
	}
	if c.Policy.MaxFees == 0 {
		c.Policy.MaxFees = defaultFees
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(c.Lists, 0o700); err != nil {
		return nil, fmt.Errorf("signer: directory of lists: %w", err)
	}
	return &Signer{cfg: c, hot: account(c.Key[ed25519.SeedSize:]), rate: newBucket(c.PerMinute, c.Burst), lists: map[poc.Epoch][]reward.Payout{}}, nil
}

// PublicKey is the hot key's address.
func (s *Signer) PublicKey() [32]byte { return s.hot }

// ErrBusy: too many signatures at once; asking again later helps.
var ErrBusy = errors.New("signer: too many signatures in a minute")

// Sign judges a message and signs it. What it counts is on disk before the
// signature exists. Refusals are [*Refusal].
func (s *Signer) Sign(ctx context.Context, msg []byte, c Purpose) (sig [64]byte, err error) {
	now := s.cfg.Now()
	e, err := s.cfg.Policy.effectsOf(s.hot, msg)
	if err == nil {
		switch c.Kind {
		case Memo:
			err = s.allowMemo(ctx, e)
		case Payout:
			err = s.allowPayout(ctx, e, c, now)
		case Reclaim:
			err = s.allowReclaim(ctx, e, c, now)
		case Distribute:
			err = s.allowDistribute(ctx, e, c, now)
		case TakeBack:
			err = s.allowTakeBack(ctx, e, c)
		default:
			err = refuse("purpose %d is not known", c.Kind)
		}
	}
	if err == nil { // what is refused takes nobody's turn
		if wait := s.rate.take(now); wait > 0 {
			return sig, fmt.Errorf("%w: wait %d ms, or raise per_minute", ErrBusy, wait.Milliseconds())
		}
		err = s.spend(ctx, e, now)
	}
	var r *Refusal
	if errors.As(err, &r) {
		s.cfg.Log.Warn("refused to sign", "kind", c.Kind.String(), "reason", r.Reason)
	}
	if err != nil {
		return sig, err
	}
	return [64]byte(ed25519.Sign(s.cfg.Key, msg)), nil
}

// epochState is what is kept of an epoch. Key "e/"+epoch.
type epochState struct {
	List   [32]byte      `json:"list"` // SHA-256 of the list
	Total  ledger.Amount `json:"total"`
	Count  int           `json:"count"`
	Signed ledger.Amount `json:"signed"` // the most that its batches can have paid
	Commit string        `json:"commit"` // the commit memo that was signed
}

// batchState is what is kept of a batch. Key "b/"+epoch+batch.
type batchState struct {
	Most    ledger.Amount `json:"most"` // the dearest composition: one of them lands
	At      int64         `json:"at"`   // Unix seconds of the last signature
	Closed  bool          `json:"closed,omitempty"`
	Wallets []int         `json:"wallets"` // indices into the list, of all compositions
}

func epochKey(e poc.Epoch) []byte { return binary.BigEndian.AppendUint32([]byte("e/"), uint32(e)) }
func seedKey(e poc.Epoch) []byte  { return binary.BigEndian.AppendUint32([]byte("c/"), uint32(e)) }
func batchKey(m settle.Marker) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32([]byte("b/"), uint32(m.Epoch)), m.Batch)
}

// claimKey holds which batch pays the wallet with an index in the list.
func claimKey(e poc.Epoch, i int) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32([]byte("w/"), uint32(e)), uint32(i))
}

func get(tx store.Tx, key []byte, v any) (bool, error) {
	text, err := tx.Get(key)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err == nil {
		err = json.Unmarshal(text, v)
	}
	if err != nil {
		return false, fmt.Errorf("signer: record %q: %w", key, err)
	}
	return true, nil
}

func put(tx store.Tx, key []byte, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("signer: encode: %w", err)
	}
	return tx.Put(key, text)
}

// registered reads an epoch, which must be there.
func registered(tx store.Tx, e poc.Epoch) (st epochState, err error) {
	found, err := get(tx, epochKey(e), &st)
	if err == nil && !found {
		err = refuse("epoch %d is not open: its list was not registered", e)
	}
	return st, err
}

// allowMemo lets one seed commitment and one commit memo of an epoch through, as
// often as they are asked for, and close memos within the total.
func (s *Signer) allowMemo(ctx context.Context, e effects) error {
	m, err := memoOf(e)
	if err != nil {
		return err
	}
	var root [32]byte
	if m.word == "hsr1" {
		if root, err = s.root(ctx, m.epoch); err != nil {
			return err
		}
	}
	return s.cfg.KV.Update(ctx, func(tx store.Tx) error {
		if err := s.countMemo(tx, m, e); err != nil {
			return err
		}
		if m.word == "hsc1" {
			var old string
			found, err := get(tx, seedKey(m.epoch), &old)
			if err == nil && found && old != m.text {
				err = refuse("epoch %d has another seed commitment: %s", m.epoch, old)
			}
			if err == nil && !found {
				err = near(tx, m.epoch)
			}
			if err != nil || found {
				return err
			}
			return put(tx, seedKey(m.epoch), m.text)
		}
		st, err := registered(tx, m.epoch)
		if err != nil {
			return err
		}
		if m.word == "hsx1" {
			if m.total > st.Total {
				return refuse("the close memo of epoch %d speaks of %d, its list of %d", m.epoch, m.total, st.Total)
			}
			return nil
		}
		switch {
		case m.roots.List != st.List || m.roots.Payouts != root || m.total != st.Total || m.count != st.Count:
			return refuse("the commit memo of epoch %d does not fit its list: %d recipients, total %d, root %x, hash %x", m.epoch, st.Count, st.Total, root, st.List)
		case st.Commit == m.text:
			return nil
		case st.Commit != "":
			return refuse("epoch %d has another commit memo: %s", m.epoch, st.Commit)
		}
		st.Commit = m.text
		return put(tx, epochKey(m.epoch), st)
	})
}

// allowPayout books a batch. Each wallet belongs to the first batch that it was
// signed in, and an epoch's batches together stay within its total.
func (s *Signer) allowPayout(ctx context.Context, e effects, c Purpose, now time.Time) error {
	p, err := s.cfg.Policy.payment(s.hot, e, c)
	if err != nil {
		return err
	}
	list, err := s.list(ctx, p.marker.Epoch)
	if err != nil {
		return err
	}
	sum := ledger.Amount(0)
	index := make([]int, len(p.wallets))
	for i, w := range p.wallets {
		at, found := find(list, w)
		if !found || uint64(list[at].Amount) != p.amounts[i] {
			return refuse("%d for wallet %s is not in the list of epoch %d", p.amounts[i], account(w), p.marker.Epoch)
		}
		for _, before := range index[:i] {
			if before == at {
				return refuse("wallet %s is paid twice in one batch", account(w))
			}
		}
		index[i] = at
		sum += list[at].Amount // distinct lines of a list whose total was checked
	}
	return s.cfg.KV.Update(ctx, func(tx store.Tx) error { return s.book(tx, p, index, booking{sum: sum, at: now.Unix()}) })
}

type booking struct {
	sum    ledger.Amount
	at     int64
	claims bool // a distributor that wallets claim from
}

func (s *Signer) book(tx store.Tx, p payment, index []int, k booking) error {
	m := p.marker
	st, err := registered(tx, m.Epoch)
	if err != nil {
		return err
	}
	if st.Commit == "" {
		return refuse("epoch %d has no commit memo yet: it comes before the first payout", m.Epoch)
	}
	if committed := strings.HasSuffix(st.Commit, settle.ClaimMode); committed != k.claims {
		return refuse("epoch %d is one %s, by its commit memo: %s", m.Epoch, map[bool]string{true: "whose payouts wallets claim", false: "whose payouts are sent"}[committed], st.Commit)
	}
	var b batchState
	if _, err := get(tx, batchKey(m), &b); err != nil {
		return err
	}
	if b.Closed {
		return refuse("the marker of batch %d/%d was closed: it guards nothing any more", m.Epoch, m.Batch)
	}
	for i, at := range index {
		var owner uint32
		found, err := get(tx, claimKey(m.Epoch, at), &owner)
		if err != nil {
			return err
		}
		if found && owner != m.Batch {
			return refuse("wallet %s was signed in batch %d of epoch %d already: when it is certain that this did not pay, run `oraclesigner release %d %s`",
				account(p.wallets[i]), owner, m.Epoch, m.Epoch, account(p.wallets[i]))
		}
		if !found {
			if err := put(tx, claimKey(m.Epoch, at), m.Batch); err != nil {
				return err
			}
			b.Wallets = append(b.Wallets, at)
		}
	}
	if k.sum > b.Most {
		if st.Signed, err = st.Signed.Add(k.sum - b.Most); err != nil {
			return err
		}
		b.Most = k.sum
	}
	if st.Signed > st.Total {
		return refuse("batch %d/%d would bring the epoch to %d, its total is %d", m.Epoch, m.Batch, st.Signed, st.Total)
	}
	b.At = k.at
	return errors.Join(put(tx, batchKey(m), b), put(tx, epochKey(m.Epoch), st))
}

// allowReclaim closes batches for ever before their markers are.
func (s *Signer) allowReclaim(ctx context.Context, e effects, c Purpose, now time.Time) error {
	if err := s.cfg.Policy.reclaim(s.hot, e, c); err != nil {
		return err
	}
	return s.cfg.KV.Update(ctx, func(tx store.Tx) error {
		for _, m := range c.Markers {
			var b batchState
			found, err := get(tx, batchKey(m), &b)
			if err != nil {
				return err
			}
			age := now.Sub(time.Unix(b.At, 0))
			switch {
			case !found:
				return refuse("batch %d/%d was not signed here: how old its variants are is not known", m.Epoch, m.Batch)
			case age < s.cfg.MarkerAge:
				return refuse("batch %d/%d was signed %d s ago, a variant may be alive: ask again after %v (marker_age)", m.Epoch, m.Batch, int(age.Seconds()), s.cfg.MarkerAge)
			case b.Closed:
				continue
			}
			b.Closed = true
			if err := put(tx, batchKey(m), b); err != nil {
				return err
			}
		}
		return nil
	})
}

// Release takes a wallet out of the batch that it was signed in, so that another
// may pay it. It is for an operator who has seen on chain that the first did not.
func (s *Signer) Release(ctx context.Context, e poc.Epoch, w poc.Wallet) error {
	list, err := s.list(ctx, e)
	if err != nil {
		return err
	}
	at, found := find(list, w)
	if !found {
		return fmt.Errorf("signer: wallet %s is not in the list of epoch %d", account(w), e)
	}
	return s.cfg.KV.Update(ctx, func(tx store.Tx) error {
		var batch uint32
		if found, err := get(tx, claimKey(e, at), &batch); err != nil || !found {
			return errors.Join(err, fmt.Errorf("signer: wallet %s was not signed in epoch %d: there is nothing to release", account(w), e))
		}
		m := settle.Marker{Epoch: e, Batch: batch}
		var b batchState
		st, err := registered(tx, e)
		if err == nil {
			_, err = get(tx, batchKey(m), &b)
		}
		if err != nil {
			return err
		}
		rest, kept := ledger.Amount(0), b.Wallets[:0]
		for _, i := range b.Wallets {
			if i != at {
				kept, rest = append(kept, i), rest+list[i].Amount
			}
		}
		b.Wallets = kept
		if rest < b.Most {
			st.Signed -= b.Most - rest
			b.Most = rest
		}
		return errors.Join(put(tx, batchKey(m), b), put(tx, epochKey(e), st), tx.Delete(claimKey(e, at)))
	})
}

// list reads a registered list from memory or disk.
func (s *Signer) list(ctx context.Context, e poc.Epoch) ([]reward.Payout, error) {
	s.mu.Lock()
	list, ok := s.lists[e]
	s.mu.Unlock()
	if ok {
		return list, nil
	}
	var st epochState
	err := s.cfg.KV.View(ctx, func(tx store.Tx) (err error) {
		st, err = registered(tx, e)
		return err
	})
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(s.listFile(e))
	if err != nil {
		return nil, fmt.Errorf("signer: list of epoch %d: %w", e, err)
	}
	if sha256.Sum256(text) != st.List {
		return nil, refuse("the stored list of epoch %d has changed on disk: restore %s from the backup", e, s.listFile(e))
	}
	if list, _, err = reward.ParseList(text); err != nil {
		return nil, fmt.Errorf("signer: list of epoch %d: %w", e, err)
	}
	s.remember(e, list)
	return list, nil
}

// root is the payout root of a registered list.
func (s *Signer) root(ctx context.Context, e poc.Epoch) ([32]byte, error) {
	list, err := s.list(ctx, e)
	if err != nil {
		return [32]byte{}, err
	}
	root, err := claim.Root(list)
	if err != nil {
		return root, refuse("the list of epoch %d: %v", e, err)
	}
	return root, nil
}

// remember keeps a list, and lets go of the oldest.
func (s *Signer) remember(e poc.Epoch, list []reward.Payout) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.lists) >= cachedLists {
		oldest := e
		for n := range s.lists {
			oldest = min(oldest, n)
		}
		if oldest == e { // an older one than all: it takes the place of any
			for n := range s.lists {
				oldest = n
				break
			}
		}
		delete(s.lists, oldest)
	}
	s.lists[e] = list
}

func (s *Signer) listFile(e poc.Epoch) string {
	return filepath.Join(s.cfg.Lists, fmt.Sprintf("%d.jsonl", e))
}
