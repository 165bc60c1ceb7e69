package main

import (
	"context"
	"errors"
	"fmt"

	"heliograph/oracle/audit"
	"heliograph/oracle/settle"
	"heliograph/oracle/settle/payment"
	"heliograph/oracle/settle/solana"
	"heliograph/oracle/settle/solana/distributor"
	"heliograph/oracle/settle/solana/trail"
	"heliograph/poc"
)

// claiming says how an epoch is to be planned again: as one that wallets claim when its
// commit memo says so, otherwise nil. The program is the one that the first marker
// shows; --program names it as long as that transaction may still be on its way.
func (c command) claiming(ctx context.Context, e poc.Epoch, endpoints []string, cfg *solana.Config, claims bool) (*settle.Claiming, error) {
	hot := solana.Address(cfg.Hot.PublicKey()).String()
	program := c.program
	for _, url := range endpoints {
		found, err := madeBy(ctx, trail.NewReader(url), hot, cfg.Mint.String(), e)
		if err != nil {
			return nil, err
		}
		if found == "" {
			continue
		}
		if want := c.program; want == "" && found != payment.KnownProgram || want != "" && found != want {
			return nil, fmt.Errorf("epoch %d: its marker was used for a distributor of the program %s: if that is the program you trust, name it with --program", e, found)
		}
		if !claims {
			return nil, fmt.Errorf("epoch %d: its commit memo says that payouts are sent, its first marker shows a distributor of the program %s: run oraclectl audit", e, found)
		}
		program = found
	}
	switch {
	case !claims:
		return nil, nil
	case program == "":
		return nil, fmt.Errorf("epoch %d: its commit memo says that wallets claim, and no distributor was made yet: name the program (payout.program) with --program", e)
	}
	var err error
	if cfg.Distributor, err = distributor.ParseProgram(program); err != nil {
		return nil, err
	}
	return &settle.Claiming{For: settle.UsualClaim, Random: noRandom{}}, nil
}

// madeBy is the program of the distributor that an epoch's first marker shows, "" when
// there is none.
func madeBy(ctx context.Context, t audit.Trail, hot, mint string, e poc.Epoch) (string, error) {
	m := settle.Marker{Epoch: e}
	touched, err := t.Marked(ctx, hot, mint, m)
	if err != nil {
		return "", fmt.Errorf("first marker of epoch %d: %w", e, err)
	}
	for _, p := range touched {
		for _, is := range p.Markers {
			if p.Failed == "" && is == (payment.Marker{Base: hot, Marker: m}) && len(p.Distributors) > 0 {
				return p.Distributors[0].Program, nil
			}
		}
	}
	return "", nil
}

// noRandom draws nothing: settle rebuild signs nothing.
type noRandom struct{}

func (noRandom) Read([]byte) (int, error) {
	return 0, errors.New("oraclectl draws no versions: settle rebuild signs nothing")
}
