package main

import (
	"context"
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"heliograph/oracle/audit"
	"heliograph/oracle/epoch"
	"heliograph/oracle/settle/solana"
	"heliograph/oracle/web"
	"heliograph/provisioning/identity"
)

func (c command) print(v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = c.out.Write(append(b, '\n'))
	return err
}

// verify recomputes an epoch.
func (c command) verify(ctx context.Context, number string) error {
	e, err := epochNumber(number)
	if err != nil {
		return err
	}
	o := audit.Options{Payer: c.payer}
	if c.oracle != "" {
		if o.Oracle, err = identity.ParseText(c.oracle); err != nil {
			return fmt.Errorf("--oracle: %w", err)
		}
	}
	if c.rpc != "" {
		o.Chain = chain{solana.NewReader(c.rpc)}
	}
	b, err := c.bundle(ctx, e)
	if err != nil {
		return err
	}
	if b.Epoch != e {
		return fmt.Errorf("the bundle is of epoch %d, asked for was %d", b.Epoch, e)
	}
	rep, err := audit.Run(ctx, b, o)
	if err != nil {
		return err
	}
	if c.json {
		err = c.print(rep)
	} else {
		err = c.printReport(rep)
	}
	if err == nil && !rep.OK {
		return errWrong
	}
	return err
}

func (c command) printReport(rep audit.Report) error {
	p := func(format string, args ...any) { _, _ = fmt.Fprintf(c.out, format, args...) }
	p("epoch %d of oracle %s\n", rep.Epoch, rep.Oracle)
	for _, x := range rep.Comparisons {
		if x.OK {
			p("  equal   %-44s %s\n", x.What, x.Computed)
			continue
		}
		p("  DIFFERS %-44s computed %s\n%54s claimed  %s\n%54s %s\n", x.What, x.Computed, "", x.Claimed, "", x.Note)
	}
	if !rep.OnChain {
		p("  the chain was not asked: name an RPC endpoint with --rpc\n")
	}
	if rep.Paid != nil && rep.Paid.AuditToo() != "" {
		p("  %s\n", rep.Paid.AuditToo())
	}
	if rep.OK {
		p("all is equal\n")
	} else {
		p("NOT EVERYTHING IS EQUAL\n")
	}
	return nil
}

// listed is what epoch list and show read.
type listed struct {
	Epochs []web.Epoch `json:"epochs"`
}

func (c command) epochs(ctx context.Context) error {
	var l listed
	if c.data == "" {
		if err := c.getJSON(ctx, "/api/epochs?limit=50", &l); err != nil {
			return err
		}
	} else if err := c.onDisk(ctx, func(d *disk) error {
		recs, err := d.Records(ctx, 50)
		for _, r := range recs {
			l.Epochs = append(l.Epochs, describe(ctx, d, r))
		}
		return err
	}); err != nil {
		return err
	}
	if c.json {
		return c.print(l)
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "EPOCH\tSTATE\tHOTSPOTS\tPAYOUTS\tPAYABLE\tROOT")
	for _, e := range l.Epochs {
		_, _ = fmt.Fprintf(w, "%d\t%s\t%d\t%d\t%d\t%s\n", e.Epoch, state(e), e.Rows, e.Payouts, e.Payable, e.Root)
	}
	return w.Flush()
}

func state(e web.Epoch) string {
	if e.Settlement == nil {
		return string(e.State)
	}
	if e.Settlement.Stalled {
		return e.Settlement.State + " (stalled)"
	}
	return e.Settlement.State
}

func describe(ctx context.Context, d *disk, r epoch.Record) web.Epoch {
	out := web.Epoch{Record: r, SeedSignature: d.seedMemo(ctx, r.Epoch)}
	if st, err := d.settler.Epoch(ctx, r.Epoch); err == nil {
		s := epoch.ShowSettlement(st)
		out.Settlement = &s
	}
	return out
}

func (c command) onDisk(ctx context.Context, f func(*disk) error) error {
	d, err := openDisk(ctx, c.data)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	return f(d)
}

func (c command) epoch(ctx context.Context, number string) error {
	n, err := epochNumber(number)
	if err != nil {
		return err
	}
	var e web.Epoch
	if c.data == "" {
		err = c.getJSON(ctx, fmt.Sprintf("/api/epochs/%d", n), &e)
	} else {
		err = c.onDisk(ctx, func(d *disk) error {
			r, found, err := d.Record(ctx, n)
			if err == nil && !found {
				err = fmt.Errorf("epoch %d is not judged", n)
			}
			e = describe(ctx, d, r)
			return err
		})
	}
	if err != nil {
		return err
	}
	if c.json {
		return c.print(e)
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	row := func(k string, v any) { _, _ = fmt.Fprintf(w, "%s\t%v\n", k, v) }
	row("epoch", e.Epoch)
	row("state", state(e))
	row("rules", e.Rules)
	row("reports", audit.Counts(e.Reports))
	row("verdicts", audit.Counts(e.Reasons))
	row("root", e.Root)
	row("payout root", e.PayoutRoot)
	row("list", e.List)
	row("emission", fmt.Sprintf("%d = %d payable + %d remainder", e.Emission, e.Payable+e.CarriedOut-e.CarriedIn, e.Remainder))
	if e.CarriedIn+e.CarriedOut > 0 {
		row("carried over", fmt.Sprintf("%d from the epoch before; %d to the next, of %d wallets below %d", e.CarriedIn, e.CarriedOut, e.Waiting, e.Threshold))
	}
	row("policy", e.Policy)
	row("seed memo", e.SeedSignature)
	if s := e.Settlement; s != nil {
		row("commit memo", s.CommitSignature)
		row("close memo", s.CloseSignature)
		row("money", fmt.Sprintf("%s paid, %s owed, %s held", s.Paid, s.Owed, s.Held))
		for _, b := range s.Batches {
			row(fmt.Sprintf("batch %d", b.Index), fmt.Sprintf("%s, %d recipients, %s, %s", b.State, b.Recipients, b.Sum, b.Signature))
		}
	}
	return w.Flush()
}
