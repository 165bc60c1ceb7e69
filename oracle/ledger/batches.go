package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"heliograph/oracle/store"
)

// scanPage is how many batches are read in one transaction.
const scanPage = 1000

// Batches calls yield for every batch ever booked, in the order of their causes.
// The store is not held during yield, so batches that are booked meanwhile may be
// among them; yield's error ends it.
func (b *Book) Batches(ctx context.Context, yield func(Batch) error) error {
	var from []byte
	for {
		var page []Batch
		err := b.kv.View(ctx, func(tx store.Tx) error {
			page = page[:0]
			var bad error
			err := tx.Scan(batchKeys, from, func(k, v []byte) bool {
				var batch Batch
				if err := json.Unmarshal(v, &batch); err != nil {
					bad = fmt.Errorf("ledger: batch %q: %w", k[len(batchKeys):], err)
					return false
				}
				page = append(page, batch)
				return len(page) < scanPage
			})
			return errors.Join(bad, err)
		})
		if err != nil {
			return err
		}
		for _, batch := range page {
			if err := yield(batch); err != nil {
				return err
			}
		}
		if len(page) < scanPage {
			return nil
		}
		from = append(batchKey(page[len(page)-1].Cause), 0)
	}
}
