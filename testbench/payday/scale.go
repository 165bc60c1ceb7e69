package payday

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/gagliardetto/solana-go"

	"heliograph/oracle/ledger"
	"heliograph/oracle/reward"
	"heliograph/oracle/settle"
	hsolana "heliograph/oracle/settle/solana"
	"heliograph/oracle/store/boltkv"
	"heliograph/poc"
	"heliograph/provisioning/identity"
	solanavm "heliograph/testbench/solana"
)

// Paid is what the payment of a large epoch came to.
type Paid struct {
	Recipients   int     `json:"recipients"`
	Batches      uint32  `json:"batches"`
	Wrong        int     `json:"wrong_balances"`
	Seconds      float64 `json:"seconds"`
	PerSecond    float64 `json:"recipients_per_second"`
	OracleCPU    float64 `json:"oracle_cpu_seconds"` // of this process: settler, store, RPC client
	LedgerEquals bool    `json:"ledger_equals_chain"`
}

// Scale pays one epoch of many recipients, with the store on disk in dir, and reads
// every balance afterwards. The token accounts are put into the VM beforehand,
// without transactions; paying is all real.
func Scale(ctx context.Context, vm *solanavm.VM, recipients int, dir string, out io.Writer) (p Paid, err error) {
	b, err := New(ctx, Config{VM: vm})
	if err != nil {
		return p, err
	}
	fmt.Fprintf(out, "making %d token accounts\n", recipients)
	if err := b.populate(ctx, recipients); err != nil {
		return p, err
	}
	kv, err := boltkv.Open(filepath.Join(dir, "scale.db"), boltkv.Config{})
	if err != nil {
		return p, err
	}
	defer kv.Close()
	c, err := b.calm(ctx, kv, 256, 0)
	if err != nil {
		return p, err
	}
	l := settle.List{Epoch: 1, Secret: poc.Secret{1}, Rules: "payday"}
	for i, w := range b.wallets {
		l.Payouts = append(l.Payouts, reward.Payout{Wallet: w, Amount: ledger.Amount(1000 + i)})
	}
	slices.SortFunc(l.Payouts, byWallet)
	if err := c.freeze(ctx, l); err != nil {
		return p, err
	}
	fmt.Fprintln(out, "paying")
	began, cpu := time.Now(), cpuSeconds()
	err = c.close(ctx, l, func(e settle.Epoch) bool { p.Batches = e.Batches; return e.State == settle.Closed })
	if err != nil {
		return p, err
	}
	p.Recipients, p.Seconds, p.OracleCPU = recipients, time.Since(began).Seconds(), cpuSeconds()-cpu
	p.PerSecond = float64(recipients) / p.Seconds
	fmt.Fprintln(out, "reading every balance")
	chain, err := b.balances(ctx)
	if err != nil {
		return p, err
	}
	book := ledger.NewBook(kv)
	p.LedgerEquals = book.Audit(ctx) == nil
	for _, to := range l.Payouts {
		if chain[to.Wallet] != uint64(to.Amount) {
			p.Wrong++
		}
		if bal, err := book.Balance(ctx, ledger.Paid(to.Wallet)); err != nil || uint64(bal.Net()) != chain[to.Wallet] {
			p.LedgerEquals = false
		}
	}
	return p, nil
}

// populate makes wallets with empty token accounts.
func (b *Bench) populate(ctx context.Context, n int) error {
	const atOnce = 100
	rent, err := b.vm.Client().GetMinimumBalanceForRentExemption(ctx, tokenAccountBytes, "")
	if err != nil {
		return fmt.Errorf("payday: ask for the rent: %w", err)
	}
	group := map[solana.PublicKey]solanavm.Account{}
	for i := range n {
		w := wallet(i)
		at, err := hsolana.AssociatedAccount(poc.Wallet(w), b.stage.Mint, b.stage.Program)
		if err != nil {
			return fmt.Errorf("payday: %w", err)
		}
		b.wallets = append(b.wallets, poc.Wallet(w))
		b.stage.Recipients = append(b.stage.Recipients, at)
		data := make([]byte, tokenAccountBytes)
		copy(data, b.stage.Mint[:])
		copy(data[32:], w[:])
		data[108] = 1 // initialized
		group[at] = solanavm.Account{Lamports: rent, Owner: b.stage.Program, Data: data}
		if len(group) == atOnce || i == n-1 {
			if err := b.vm.SetAccounts(ctx, group); err != nil {
				return err
			}
			clear(group)
		}
	}
	return nil
}

const tokenAccountBytes = 165

// wallet is the i-th of as many as one likes, on the curve.
func wallet(i int) solana.PublicKey {
	seed := sha256.Sum256(binary.BigEndian.AppendUint64([]byte("payday wallet"), uint64(i)))
	return solana.PublicKeyFromBytes(ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey))
}

// Planned is what the planning of a large epoch came to.
type Planned struct {
	Recipients int     `json:"recipients"`
	Tree       float64 `json:"tree_seconds"`
	Proofs     float64 `json:"proofs_seconds"` // one for every hotspot
	List       float64 `json:"list_seconds"`
	ListBytes  int     `json:"list_bytes"`
	Batches    uint32  `json:"batches"`
	Plan       float64 `json:"plan_seconds"` // batches, on disk
	Seconds    float64 `json:"seconds"`
	PeakBytes  uint64  `json:"peak_bytes"`
}

// Plan makes everything of an epoch that comes before paying: rows, tree, a proof
// for each row, the published list, and the batches in a store on disk in dir.
func Plan(ctx context.Context, recipients int, dir string) (p Planned, err error) {
	rows := make([]reward.Row, recipients)
	hotspot := identity.NewEd25519([32]byte{1}).ID()
	for i := range rows {
		rows[i] = reward.Row{Epoch: 1, Hotspot: hotspot, Beacon: ledger.Amount(1 + i), Witness: 1}
		rows[i].Owner = poc.Wallet(sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i))))
	}
	began := time.Now()
	lap := func(into *float64, since *time.Time) {
		*into, *since = time.Since(*since).Seconds(), time.Now()
	}
	at := began
	tree, err := reward.NewTree(rows)
	if err != nil {
		return p, err
	}
	lap(&p.Tree, &at)
	for i := range rows {
		if _, err := tree.Prove(i); err != nil {
			return p, err
		}
	}
	lap(&p.Proofs, &at)
	payouts, err := reward.Payouts(rows)
	if err != nil {
		return p, err
	}
	list := reward.AppendList(nil, payouts)
	hash := sha256.Sum256(list)
	p.ListBytes = len(list)
	lap(&p.List, &at)
	kv, err := boltkv.Open(filepath.Join(dir, "plan.db"), boltkv.Config{})
	if err != nil {
		return p, err
	}
	defer kv.Close()
	s := settle.New(settle.Config{KV: kv, Signer: planner{}})
	if err := s.Freeze(ctx, settle.List{Epoch: 1, ListHash: hash, Payouts: payouts}); err != nil {
		return p, err
	}
	lap(&p.Plan, &at)
	all, err := s.Epochs(ctx)
	if err != nil {
		return p, err
	}
	p.Recipients, p.Batches, p.Seconds = recipients, all[0].Batches, time.Since(began).Seconds()
	p.PeakBytes = peakBytes()
	runtime.KeepAlive(rows)
	return p, nil
}

// planner is a signer that is asked nothing but how large a batch is.
type planner struct{ settle.Signer }

func (planner) Identity() string   { return "payday" }
func (planner) MaxRecipients() int { return 14 }
