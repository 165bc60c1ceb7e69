package epoch_test

import (
	"bytes"
	"context"
	"reflect"
	"strings"
	"testing"
	"time"

	"heliograph/oracle/audit"
	"heliograph/oracle/epoch"
	"heliograph/oracle/epoch/epochtest"
	"heliograph/oracle/journal"
	"heliograph/oracle/store"
	"heliograph/oracle/store/mem"
	"heliograph/poc"
)

// lose gives the oracle an empty state database, or an older copy of it.
func lose(w *epochtest.World, kv store.KV) {
	w.KV = kv
	w.Restart()
}

// clone copies a state database.
func clone(t *testing.T, from store.KV) store.KV {
	t.Helper()
	to := mem.NewKV()
	var keys, values [][]byte
	err := from.View(t.Context(), func(tx store.Tx) error {
		keys, values = nil, nil
		for _, prefix := range []string{"e", "l", "s"} {
			if err := tx.Scan([]byte(prefix), nil, func(k, v []byte) bool {
				keys, values = append(keys, bytes.Clone(k)), append(values, bytes.Clone(v))
				return true
			}); err != nil {
				return err
			}
		}
		return nil
	})
	for i := 0; err == nil && i < len(keys); i++ {
		err = to.Update(t.Context(), func(tx store.Tx) error { return tx.Put(keys[i], values[i]) })
	}
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// The state database is lost, or an old copy of it comes back, while an epoch runs:
// the journal gives back secrets and terms, all epochs are judged as before, the one
// that runs is judged too, and a bundle is what it was.
func TestStateLost(t *testing.T) {
	for _, older := range []bool{false, true} {
		w := epochtest.New(t, 4)
		w.Rule(chain(t, signed(t, document(400_000_000))))
		before := w.Run(1)
		copied := store.KV(mem.NewKV())
		if older {
			copied = clone(t, w.KV)
		}
		before = append(before, w.Run(2)[1])
		e := first + 2
		w.Now = time.Unix(0, calendar.Start(e)).Add(6 * time.Second)
		w.Advance()
		bundle := text(t, w.Bundle(before[1]))
		challenges, err := w.Manager.Challenges(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		totals := w.Totals()

		lose(w, copied)
		w.Advance() // the seeds on the chain must be those, or it ends with a conflict
		if again, err := w.Manager.Challenges(t.Context(), e); err != nil || !reflect.DeepEqual(again, challenges) {
			t.Fatalf("older copy %v: other challenges in the epoch that runs: %v", older, err)
		}
		for i, want := range before {
			got, found, err := w.Manager.Record(t.Context(), want.Epoch)
			if err != nil || !found || !reflect.DeepEqual(got, want) {
				t.Errorf("older copy %v: epoch %d: %+v, %v, want %+v", older, before[i].Epoch, got, err, want)
			}
		}
		if w.Totals() != totals {
			t.Errorf("older copy %v: %+v, want %+v", older, w.Totals(), totals)
		}
		if !bytes.Equal(text(t, w.Bundle(before[1])), bundle) {
			t.Errorf("older copy %v: the bundle is another one", older)
		}
		w.Flash(e)
		w.Now = time.Unix(0, calendar.CutDue(e))
		w.Advance()
		rec, found, err := w.Manager.Record(t.Context(), e)
		if err != nil || !found || rec.State != epoch.Frozen || rec.Rows == 0 {
			t.Fatalf("older copy %v: the epoch that ran: %+v, %v", older, rec, err)
		}
		rep, err := audit.Run(t.Context(), w.Bundle(rec), audit.Options{Chain: w.Chain, Payer: epochtest.Payer})
		if err != nil || !rep.OK {
			t.Errorf("older copy %v: %v %+v", older, err, rep)
		}
	}
}

// A journal of before it kept secrets: an epoch that was opened waits, and says why.
// Another secret is never drawn for it. Its bundle gives both back.
func TestSecretLost(t *testing.T) {
	log := mem.NewLog()
	w := epochtest.NewOn(t, log, mem.NewKV(), 3)
	rec := w.Run(1)[0]
	b := w.Bundle(rec)
	bare := epochtest.NewOn(t, forgetful{log}, mem.NewKV(), 0)
	bare.Now, bare.Keys = w.Now, w.Keys
	err := bare.Manager.Advance(t.Context())
	if err == nil || !strings.Contains(err.Error(), "restore") {
		t.Fatalf("without secret: %v", err)
	}
	if _, err := bare.Manager.Challenges(t.Context(), first); err == nil {
		t.Error("challenges of a secret that was drawn later")
	}
	var stored poc.Secret
	if err := bare.KV.View(t.Context(), func(tx store.Tx) error {
		v, err := tx.Get(epoch.SecretKey(first))
		copy(stored[:], v)
		return err
	}); err == nil {
		t.Errorf("another secret is stored: %x", stored)
	}
	forged := b
	forged.Secret[0]++
	if err := bare.Manager.Adopt(t.Context(), forged); err == nil || !strings.Contains(err.Error(), "does not fit") {
		t.Errorf("a bundle with another secret: %v", err)
	}
	if err := bare.Manager.Adopt(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	bare.Chain.Frozen = w.Chain.Frozen // another list would be a conflict
	for range 3 {
		_ = bare.Manager.Advance(t.Context()) // the epoch that runs has no bundle
	}
	got, found, err := bare.Manager.Record(t.Context(), first)
	if err != nil || !found || got.Root != rec.Root || got.List != rec.List || got.State != epoch.Frozen {
		t.Errorf("%+v, %v", got, err)
	}
}

// forgetful is a journal whose entries keep nothing.
type forgetful struct{ store.Log }

func (l forgetful) Read(ctx context.Context, s store.Shard, from store.Offset, yield func(store.Offset, []byte) bool) error {
	return l.Log.Read(ctx, s, from, func(o store.Offset, frame []byte) bool {
		if e, err := journal.ParseEntry(frame); err == nil && e.Type == journal.TypeKept {
			e.Data = []byte("{}")
			frame, _ = e.AppendBinary(nil)
		}
		return yield(o, frame)
	})
}

// A bundle that is written from the journal is the one that is held in memory.
func TestWriteBundle(t *testing.T) {
	w := epochtest.New(t, 4)
	w.Rule(chain(t, signed(t, document(400_000_000))))
	for _, rec := range w.Run(2) {
		want := w.Bundle(rec)
		head := want
		var err error
		if head.Evidence, err = w.Manager.EvidenceHead(t.Context(), rec.Epoch); err != nil || len(head.Reports)+len(head.Control) > 0 {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if err := w.Manager.WriteBundle(t.Context(), head, &got); err != nil || !bytes.Equal(got.Bytes(), text(t, want)) {
			t.Errorf("epoch %d: %d bytes, %v", rec.Epoch, got.Len(), err)
		}
	}
}

func text(t *testing.T, b epoch.Bundle) []byte {
	t.Helper()
	var out bytes.Buffer
	if _, err := b.WriteTo(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
