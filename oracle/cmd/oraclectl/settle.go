package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"heliograph/oracle/ledger"
	"heliograph/oracle/operator"
	"heliograph/oracle/settle/solana"
	"heliograph/poc"
)

// barWidth is the length of a progress bar in characters.
const barWidth = 24

// bar shows how many of all are done.
func bar(done, all int) string {
	n := barWidth
	if all > 0 {
		n = barWidth * done / all
	}
	return "[" + strings.Repeat("#", n) + strings.Repeat(".", barWidth-n) + "]"
}

// progress is a bar on a terminal, and a number for files and pipes.
func (c command) progress(done, all int) string {
	if f, ok := c.out.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			return bar(done, all)
		}
	}
	percent := 100
	if all > 0 {
		percent = 100 * done / all
	}
	return fmt.Sprintf("%d%%", percent)
}

// settleStatus shows what is open. Something that waits for a person is exit code 1.
func (c command) settleStatus(ctx context.Context, o *office) error {
	var st operator.Status
	path := "/settle"
	if c.all {
		path += "?all"
	}
	if err := o.ask(ctx, "GET", path, nil, &st); err != nil {
		return err
	}
	var err error
	if c.json {
		err = c.print(st)
	} else {
		err = c.printStatus(st)
	}
	if err != nil {
		return err
	}
	waits := st.Paused+st.Refused != ""
	for _, e := range st.Epochs {
		waits = waits || e.State == "STALLED" || e.State == "REFUSED"
	}
	if waits {
		return errWrong
	}
	return nil
}

func (c command) printStatus(st operator.Status) error {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format, args...) }
	if st.Paused != "" {
		p("PAUSED: %s\n", st.Paused)
	}
	if st.Refused != "" {
		p("REFUSED: %s\n", st.Refused)
	}
	switch {
	case !st.Running:
		p("the oracle is stopped\n")
	case st.LastError != "":
		p("the chain: %s\n", st.LastError)
	}
	for _, e := range st.Endpoints {
		if e.State != "ok" {
			p("endpoint %s is %s: %s\n", e.Name, e.State, e.Why)
		}
	}
	if len(st.Epochs) == 0 {
		p("nothing is open\n")
	}
	if st.Owed+st.Held > 0 {
		p("to be paid in all: %d owed + %d held; the treasury's allowance must cover that (oraclectl settle approve)\n", st.Owed, st.Held)
	}
	for _, e := range st.Epochs {
		p("epoch %d  %s %d/%d batches  %s\n", e.Epoch, c.progress(e.Done, int(e.Batches)), e.Done, e.Batches, e.State)
		p("  %d recipients, total %d = %d paid + %d owed + %d held\n", e.Recipients, e.Total, e.Paid, e.Owed, e.Held)
		if e.InFlight > 0 {
			p("  %d batches are signed and not final\n", e.InFlight)
		}
		if e.Why != "" {
			p("  waits: %s\n", e.Why)
		}
		for _, why := range slices.Sorted(maps.Keys(e.HeldWhy)) {
			p("  held: %d recipients, %s\n", e.HeldWhy[why], why)
		}
	}
	_, err := io.WriteString(c.out, b.String())
	return err
}

func (c command) pause(ctx context.Context, o *office) error {
	if c.why == "" {
		return errors.New("say why with --why: whoever looks at the status will read it")
	}
	return c.order(ctx, o, "/settle/pause", map[string]string{"why": c.why})
}

func (c command) resume(ctx context.Context, o *office) error {
	return c.order(ctx, o, "/settle/resume", nil)
}

func (c command) order(ctx context.Context, o *office, path string, body any) error {
	var answer struct {
		Paused string `json:"paused"`
	}
	if err := o.ask(ctx, "POST", path, body, &answer); err != nil {
		return err
	}
	if c.json {
		return c.print(answer)
	}
	text := "settlement goes on\n"
	if answer.Paused != "" {
		text = "settlement is paused: " + answer.Paused + "\n"
	}
	_, err := io.WriteString(c.out, text)
	return err
}

// Prices of the cluster in lamports.
const (
	signatureFee  = 5_000     // of a transaction with one signature
	usualRent     = 2_039_280 // of a token account, where no endpoint is asked
	closesPerTx   = 27        // markers that one transaction gives back
	memosPerEpoch = 2
)

// forecast is what an epoch's payouts will take.
type forecast struct {
	Epoch         poc.Epoch     `json:"epoch"`
	State         string        `json:"state"`
	Recipients    int           `json:"recipients"` // that will be paid
	Tokens        ledger.Amount `json:"tokens"`
	HeldCount     int           `json:"held_recipients"`
	HeldTokens    ledger.Amount `json:"held_tokens"`
	Transactions  int           `json:"transactions"` // payouts, without memos and closing
	Lamports      uint64        `json:"lamports"`     // fees of payouts, memos and closing of markers
	PerRecipient  string        `json:"lamports_per_recipient"`
	LockedRent    uint64        `json:"locked_rent_lamports"` // in markers, until they are closed
	MarkerRent    uint64        `json:"marker_rent_lamports"`
	RentIsAssumed bool          `json:"rent_is_assumed,omitempty"`
	// Asked: recipients and funds are as the chain shows them now.
	Asked     bool           `json:"chain_asked"`
	Spendable ledger.Amount  `json:"treasury_spendable,omitempty"` // by the hot key
	FeePayer  uint64         `json:"fee_payer_lamports,omitempty"`
	To        []operator.Due `json:"to"`
}

func (c command) dryRun(ctx context.Context, o *office) error {
	var st operator.Status
	var only poc.Epoch
	path := "/settle"
	if c.epochNo != "" {
		path += "?all"
		var err error
		if only, err = epochNumber(c.epochNo); err != nil {
			return err
		}
	}
	if err := o.ask(ctx, "GET", path, nil, &st); err != nil {
		return err
	}
	rent, assumed := uint64(usualRent), true
	if c.rpc != "" {
		var err error
		if rent, err = solana.NewReader(c.rpc).MarkerRent(ctx); err != nil {
			return err
		}
		assumed = false
	}
	out := []forecast{}
	found := c.epochNo == ""
	for _, e := range st.Epochs {
		if c.epochNo != "" && e.Epoch != only || c.epochNo == "" && e.State == "CLOSED" {
			continue
		}
		found = true
		f := forecast{Epoch: e.Epoch, State: e.State, MarkerRent: rent, RentIsAssumed: assumed, To: []operator.Due{}}
		if err := f.read(ctx, o); err != nil {
			return err
		}
		if c.rpc != "" {
			if err := f.ask(ctx, c.rpc, e.Identity); err != nil {
				return err
			}
		}
		f.price(c.fee)
		out = append(out, f)
	}
	if !found {
		return fmt.Errorf("epoch %d is not frozen: it is paid only after it was judged", only)
	}
	if c.json {
		return c.print(map[string]any{"epochs": out})
	}
	return c.printForecasts(out)
}

// read sums up what is left to pay.
func (f *forecast) read(ctx context.Context, o *office) error {
	r, err := o.open(ctx, "GET", fmt.Sprintf("/settle/%d/due", f.Epoch), nil)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	for dec := json.NewDecoder(r); ; {
		var d operator.Due
		if err := dec.Decode(&d); err == io.EOF {
			break
		} else if err != nil {
			return fmt.Errorf("recipients of epoch %d: %w", f.Epoch, err)
		}
		if d.State == "paid" {
			continue
		}
		f.To = append(f.To, d)
	}
	return f.count()
}

// price says what the transactions cost.
func (f *forecast) price(priorityFee uint64) {
	n := uint64(f.Transactions)
	f.Lamports = n*(signatureFee+priorityFee) + (n+closesPerTx-1)/closesPerTx*signatureFee
	if f.State != "CLOSED" && f.State != "HELD" {
		f.Lamports += memosPerEpoch * signatureFee
	}
	f.LockedRent = n * f.MarkerRent
	f.PerRecipient = "0"
	if f.Recipients > 0 {
		f.PerRecipient = new(big.Rat).SetFrac64(int64(f.Lamports), int64(f.Recipients)).FloatString(1)
	}
}

func (c command) printForecasts(all []forecast) error {
	if len(all) == 0 {
		_, err := io.WriteString(c.out, "nothing is left to pay\n")
		return err
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	for _, f := range all {
		_, _ = fmt.Fprintf(w, "epoch %d, %s: %d recipients, %d units in %d transactions; %d recipients with %d units are held\n", f.Epoch, f.State, f.Recipients, f.Tokens, f.Transactions, f.HeldCount, f.HeldTokens)
		_, _ = fmt.Fprintf(w, "fees %d lamports, %s a recipient; %d lamports of rent are locked until the markers are closed\n", f.Lamports, f.PerRecipient, f.LockedRent)
		if f.Asked {
			_, _ = fmt.Fprintf(w, "on chain now: the hot key may spend %d units and has %d lamports\n", f.Spendable, f.FeePayer)
		} else {
			_, _ = fmt.Fprintln(w, "the chain was not asked (--rpc): recipients are as the books have them")
		}
		_, _ = fmt.Fprintln(w, "WALLET\tUNITS\tLAMPORTS\tBATCH\tSTATE\tWHY")
		for _, d := range f.To {
			lamports := f.PerRecipient
			if d.State == "held" {
				lamports = "0"
			}
			_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\n", d.Wallet, d.Amount, lamports, d.Batch, d.State, d.Why)
		}
	}
	return w.Flush()
}
