package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"heliograph/oracle/operator"
)

func (c command) totals(ctx context.Context, o *office) error {
	var t operator.Totals
	if err := o.ask(ctx, "GET", "/ledger/totals", nil, &t); err != nil {
		return err
	}
	var err error
	if c.json {
		err = c.print(t)
	} else {
		w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', tabwriter.AlignRight)
		_, _ = fmt.Fprintf(w, "issued\t%d\t\npaid\t%d\t\nowed\t%d\t\nheld\t%d\t\nremainder\t%d\t\n", t.Issued, t.Paid, t.Owed, t.Held, t.Remainder)
		if err = w.Flush(); err == nil {
			text := "issued = paid + owed + held + remainder\n"
			if !t.OK {
				text = "THE BOOKS DO NOT AGREE: " + t.Why + "\n"
			}
			_, err = io.WriteString(c.out, text)
		}
	}
	if err == nil && !t.OK {
		return errWrong
	}
	return err
}

func (c command) statement(ctx context.Context, o *office) error {
	var s operator.Statement
	if err := o.ask(ctx, "GET", "/ledger/statement/"+c.words[2], nil, &s); err != nil {
		return err
	}
	if c.json {
		return c.print(s)
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(w, "wallet %s\nearned %d = %d paid + %d owed + %d held\n", s.Wallet, s.Earned, s.Paid, s.Owed, s.Held)
	_, _ = fmt.Fprintln(w, "CAUSE\tACCOUNT\tIN\tOUT")
	for _, l := range s.Lines {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%d\t%d\n", l.Cause, l.Account, l.In, l.Out)
	}
	return w.Flush()
}

func (c command) export(ctx context.Context, o *office) error {
	if !c.csv {
		return errors.New("name the format: --csv is the one that there is")
	}
	r, err := o.open(ctx, "GET", "/ledger/export", nil)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	if _, err := io.Copy(c.out, r); err != nil {
		return fmt.Errorf("the export broke off and is not whole: %w", err)
	}
	return nil
}
