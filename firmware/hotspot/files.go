package hotspot

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"heliograph/poc"
	"heliograph/provisioning/identity"
)

// writeFile replaces a file so that after a power cut there is the old content
// or the new.
func writeFile(path string, b []byte) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".tmp-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(tmp.Name())
		}
	}()
	_, err = tmp.Write(b)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err = os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// readFile gives nil for a file that does not exist.
func readFile(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && b == nil {
		b = []byte{}
	}
	return b, err
}

// assertions remembers what the oracle has on record.
type assertions struct {
	path   string
	oracle identity.HotspotID

	mu      sync.Mutex
	saved   savedAssertion
	pending map[poc.ID]string // content by id of those that were submitted
}

// savedAssertion is the file assertion.json.
type savedAssertion struct {
	Oracle   string `json:"oracle"`
	Sequence uint64 `json:"sequence"` // highest ever used
	Accepted string `json:"accepted"` // hash of the content on record
}

func loadAssertions(path string, oracle identity.HotspotID) (*assertions, error) {
	a := &assertions{path: path, oracle: oracle, pending: map[poc.ID]string{}}
	b, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("hotspot: read assertion state: %w", err)
	}
	if b != nil && json.Unmarshal(b, &a.saved) != nil {
		a.saved = savedAssertion{} // damaged: assert anew, sequences follow the clock
	}
	return a, nil
}

// body makes the assertion to be submitted, or nil when the same content is on
// record. Sequences follow the clock, so that they grow even after the loss of
// this file.
func (a *assertions) body(want poc.Assertion, again bool) ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	want.Sequence = 1
	stated := want.Time
	want.Time.UnixNano, want.Time.Bound = 0, 0
	b, err := want.AppendBinary(nil)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(b)
	content := hex.EncodeToString(sum[:])
	if !again && a.saved.Accepted == content && a.saved.Oracle == a.oracle.String() {
		return nil, nil
	}
	if !stated.Known() {
		return nil, errors.New("hotspot: the time is not known yet")
	}
	want.Time = stated
	want.Sequence = max(a.saved.Sequence+1, uint64(stated.UnixNano/int64(time.Second)))
	if b, err = want.AppendBinary(nil); err != nil {
		return nil, err
	}
	a.saved = savedAssertion{Oracle: a.oracle.String(), Sequence: want.Sequence}
	if len(a.pending) > 16 {
		clear(a.pending)
	}
	a.pending[poc.IDOf(b)] = content
	return b, a.save()
}

// accepted notes that the oracle has it.
func (a *assertions) accepted(id poc.ID) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	content, ok := a.pending[id]
	if !ok {
		return nil
	}
	clear(a.pending)
	a.saved.Accepted = content
	return a.save()
}

// onRecord says whether some assertion was accepted.
func (a *assertions) onRecord() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.saved.Accepted != ""
}

func (a *assertions) save() error {
	b, err := json.Marshal(a.saved)
	if err != nil {
		return err
	}
	if err := writeFile(a.path, append(b, '\n')); err != nil {
		return fmt.Errorf("hotspot: save assertion state: %w", err)
	}
	return nil
}
