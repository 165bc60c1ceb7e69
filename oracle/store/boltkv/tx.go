package boltkv

import (
	"bytes"

	"go.etcd.io/bbolt"

	"heliograph/oracle/store"
)

// tx is a [store.Tx] on the one bucket of the file.
type tx struct {
	guard  store.TxGuard
	bucket *bbolt.Bucket
}

func (t *tx) Get(key []byte) ([]byte, error) {
	if err := store.CheckKey(key); err != nil {
		return nil, err
	}
	v := t.bucket.Get(key)
	if v == nil {
		return nil, store.ErrNotFound
	}
	return v, nil
}

func (t *tx) Put(key, value []byte) error {
	if err := t.guard.Write(key, value); err != nil {
		return err
	}
	// bbolt copies the key but keeps the value until the commit.
	return t.bucket.Put(key, append(make([]byte, 0, len(value)), value...))
}

func (t *tx) Delete(key []byte) error {
	if err := t.guard.Write(key, nil); err != nil {
		return err
	}
	return t.bucket.Delete(key)
}

func (t *tx) Scan(prefix, from []byte, yield func(key, value []byte) bool) error {
	defer t.guard.Scan()()
	if bytes.Compare(from, prefix) < 0 {
		from = prefix
	}
	c := t.bucket.Cursor()
	for k, v := c.Seek(from); k != nil && bytes.HasPrefix(k, prefix); k, v = c.Next() {
		if !yield(k, v) {
			break
		}
	}
	return nil
}
