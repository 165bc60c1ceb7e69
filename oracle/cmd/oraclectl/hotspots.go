package main

import (
	"context"
	"fmt"
	"net/url"
	"text/tabwriter"

	"heliograph/oracle/journal"
	"heliograph/oracle/registry"
	"heliograph/oracle/web"
)

// hotspots lists who is registered.
func (c command) hotspots(ctx context.Context) error {
	all := []web.Hotspot{}
	if c.data != "" {
		if err := c.onDisk(ctx, func(d *disk) (err error) { all, err = registered(ctx, d.Journal); return err }); err != nil {
			return err
		}
	} else {
		for after := ""; ; {
			var page web.Hotspots
			if err := c.getJSON(ctx, "/api/hotspots?limit=1000&after="+url.QueryEscape(after), &page); err != nil {
				return err
			}
			all = append(all, page.Hotspots...)
			if after = page.Next; after == "" {
				break
			}
		}
	}
	if c.json {
		return c.print(map[string]any{"hotspots": all})
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "NAME\tREGION\tCELL\tONLINE\tKEY")
	for _, h := range all {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%v\t%s\n", h.Name, h.Region, h.Cell, h.Online, h.ID)
	}
	return w.Flush()
}

// registered folds the registry of a stopped oracle.
func registered(ctx context.Context, j *journal.Journal) ([]web.Hotspot, error) {
	var failed error
	snapshot := registry.FromJournal(func(yield func(journal.Position, journal.Entry) bool) {
		stop := fmt.Errorf("stop")
		err := j.Control(ctx, j.ControlEnd(), func(p journal.Position, e journal.Entry) error {
			if !yield(p, e) {
				return stop
			}
			return nil
		})
		if err != stop {
			failed = err
		}
	})
	out := []web.Hotspot{}
	for h := range snapshot.All() {
		out = append(out, web.ShowHotspot(h.Assertion, false))
	}
	return out, failed
}
