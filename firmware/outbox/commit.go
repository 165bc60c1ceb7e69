package outbox

import "fmt"

// commit writes a batch, and the departures that wait, with one sync.
func (o *Outbox) commit(b *batch) error {
	o.diskMu.Lock()
	defer o.diskMu.Unlock()
	var buf []byte
	var wrote []*Entry
	o.mu.Lock()
	o.batch = nil // later Puts gather in the next one
	for _, e := range b.entries {
		if o.byID[e.ID] != nil {
			buf = appendPut(buf, e)
			wrote = append(wrote, e)
		}
	}
	gone := o.gone
	if len(wrote) > 0 {
		buf = appendGone(buf, gone)
		o.gone = nil
	}
	live := o.stats.Bytes + (recordHead+putHead)*len(o.byID)
	o.mu.Unlock()
	var err error
	if len(wrote) > 0 {
		err = o.disk.append(buf)
	}
	o.settle(wrote, gone, len(buf), err)
	if err == nil && len(wrote) > 0 {
		o.compact(live)
	}
	if err != nil {
		b.err = fmt.Errorf("%w: %w", ErrNotDurable, err)
	}
	close(b.done)
	return b.err
}

// settle books a write's outcome.
func (o *Outbox) settle(wrote []*Entry, gone []uint64, bytes int, err error) {
	if len(wrote) == 0 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if err != nil {
		o.stats.DiskErrors++
		o.gone = append(gone, o.gone...)
		return
	}
	o.stats.Commits++
	o.stats.DiskBytes += uint64(bytes)
	for _, e := range wrote {
		e.written = true
		if o.byID[e.ID] == nil { // left during the write
			o.gone = append(o.gone, e.ID)
		}
	}
}

// compact rewrites the live entries when the files have grown to more than twice
// their size, and then deletes the old files. Callers hold diskMu.
func (o *Outbox) compact(live int) {
	if o.disk.bytes <= 2*live+2*o.disk.segment {
		return
	}
	o.mu.Lock()
	entries := o.all()
	copies := make([]Entry, len(entries))
	for i, e := range entries {
		copies[i] = *e
	}
	gone := o.gone
	o.gone = nil
	o.mu.Unlock()
	keep := make([]*Entry, len(copies))
	for i := range copies {
		keep[i] = &copies[i]
	}
	before := o.disk.written
	err := o.disk.restart(keep)
	o.mu.Lock()
	defer o.mu.Unlock()
	if err != nil {
		o.stats.DiskErrors++
		o.gone = append(gone, o.gone...)
		return
	}
	o.stats.Commits++
	o.stats.DiskBytes += o.disk.written - before
	for _, c := range copies {
		e := o.byID[c.ID]
		switch {
		case e != nil:
			e.written = true
		case !c.written: // left meanwhile, and remove did not know of the copy
			o.gone = append(o.gone, c.ID)
		}
	}
}

// Close writes the departures that wait and closes the files. A Put that is
// under way ends normally; later ones fail with [ErrClosed].
func (o *Outbox) Close() error {
	o.mu.Lock()
	if o.closed {
		o.mu.Unlock()
		return nil
	}
	o.closed = true
	b := o.batch
	if b != nil {
		select {
		case <-b.full:
		default:
			close(b.full)
		}
	}
	o.mu.Unlock()
	if b != nil {
		<-b.done
	}
	o.diskMu.Lock()
	defer o.diskMu.Unlock()
	o.mu.Lock()
	gone := o.gone
	o.gone = nil
	o.mu.Unlock()
	var err error
	if len(gone) > 0 {
		err = o.disk.append(appendGone(nil, gone))
	}
	if cerr := o.disk.close(); err == nil {
		err = cerr
	}
	return err
}
