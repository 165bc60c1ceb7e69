package audit

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/mr-tron/base58"

	"heliograph/oracle/ledger"
	"heliograph/oracle/settle/claim"
	"heliograph/oracle/settle/payment"
	"heliograph/poc"
)

// clawbackDelay is the least time between a distributor's end and its giving back.
const clawbackDelay = 24 * 3600

// distributed takes a transaction that made a distributor instead of paying wallets.
// It must be the one under the first marker, and do just what the list says.
func (f *finder) distributed(p payment.Payment, batch uint32) {
	d := p.Distributors[0]
	root, err := claim.Root(f.List)
	var total ledger.Amount
	for _, due := range f.List {
		total += due.Amount // checked when the list was made
	}
	program := f.Program
	if program == "" {
		program = payment.KnownProgram
	}
	funded := payment.Transfer{Source: f.Treasury, Mint: f.Mint, Destination: d.Vault, Amount: d.Total}
	var wrong []string
	for _, c := range []struct {
		bad  bool
		what string
	}{
		{batch != 0, fmt.Sprintf("it has the marker of batch %d, not of the first", batch)},
		{len(p.Distributors) != 1 || f.made != nil, "it is not the only one of this epoch"},
		{d.Program != program, fmt.Sprintf("its program is %s, not %s (--program)", d.Program, program)},
		{err != nil || d.Root != root, fmt.Sprintf("its root is %x, the list's is %x", d.Root, root)},
		{d.Total != total || d.Count != uint64(len(f.List)), fmt.Sprintf("it is for %d wallets and %d in all, the list has %d and %d", d.Count, d.Total, len(f.List), total)},
		{d.Mint != f.Mint || d.Admin != f.Hot, "mint or maker are others"},
		{d.Receiver != f.Treasury, "what nobody claims goes to " + d.Receiver + ", not to the treasury"},
		{d.Clawback-clawbackDelay < d.End, "it gives back before its end"},
		{len(p.Transfers) != 1 || p.Transfers[0] != funded, "the transaction does not give it the total, and nothing else"},
	} {
		if c.bad {
			wrong = append(wrong, c.what)
		}
	}
	if len(wrong) > 0 {
		f.outside = append(f.outside, fmt.Sprintf("%s makes a distributor: %s", p.Signature, strings.Join(wrong, ", ")))
		return
	}
	f.made, f.paid.Distributor = &d, d.Vault
}

// claims compares what wallets have claimed with the list, and the distributor's
// account with both and with what came back to the treasury.
func (f *finder) claims(ctx context.Context, spent []payment.Payment) error {
	if f.made == nil {
		return nil
	}
	wallets := make([]poc.Wallet, len(f.List))
	for i, p := range f.List {
		wallets[i] = p.Wallet
	}
	c, err := f.trail.Claims(ctx, *f.made, wallets)
	if err != nil {
		return fmt.Errorf("audit: claims of epoch %d: %w", f.Epoch, err)
	}
	if c.Terms != *f.made || len(c.Amounts) != len(wallets) {
		f.outside = append(f.outside, fmt.Sprintf("the distributor of %s is not as it was made: %+v", f.made.Vault, c.Terms))
		return nil
	}
	claimed := make(map[poc.Wallet]ledger.Amount, len(wallets))
	for i, w := range wallets {
		claimed[w] = c.Amounts[i]
	}
	direct := f.paid.Sum
	for account, due := range f.due {
		n := claimed[due.Wallet]
		who := base58.Encode(due.Wallet[:])
		if f.got[account] != 0 {
			f.outside = append(f.outside, fmt.Sprintf("%s is paid besides what he can claim", who))
		}
		if n == 0 {
			continue
		}
		if n != due.Amount {
			f.outside = append(f.outside, fmt.Sprintf("%s has claimed %d, the list says %d", who, n, due.Amount))
		}
		f.got[account] += n
		f.paid.Sum += n
	}
	if sum := f.paid.Sum - direct; sum != c.Claimed {
		f.outside = append(f.outside, fmt.Sprintf("the distributor has paid %d, the wallets of the list have claimed %d", c.Claimed, sum))
	}
	f.left(c, spent)
	return nil
}

// left finds what nobody has claimed: in the vault, or back in the treasury.
func (f *finder) left(c payment.Claims, spent []payment.Payment) {
	rest, _ := f.made.Total.Sub(min(c.Claimed, f.made.Total))
	// The program moves them in an instruction of its own, and somebody may have added
	// tokens to the vault.
	back := slices.ContainsFunc(spent, func(p payment.Payment) bool {
		return len(p.Transfers) == 0 && p.After > p.Before && p.After-p.Before >= rest
	})
	switch {
	case !c.Back && c.Vault < rest:
		f.outside = append(f.outside, fmt.Sprintf("the vault %s holds %d, nobody has claimed %d", f.made.Vault, c.Vault, rest))
	case c.Back && rest > 0 && !back:
		f.outside = append(f.outside, fmt.Sprintf("the distributor gave back %d, which did not come to the treasury", rest))
	}
}
