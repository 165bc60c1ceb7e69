// Package trail reads payouts back from a Solana cluster, as a stranger does: by
// the addresses that epoch and batch lead to (see package solana), without keys
// and without anybody's database. It reads instructions and balances, never logs.
package trail

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gagliardetto/solana-go"
	"github.com/gagliardetto/solana-go/rpc"
	"github.com/gagliardetto/solana-go/rpc/jsonrpc"

	"heliograph/oracle/ledger"
	"heliograph/oracle/settle"
	"heliograph/oracle/settle/payment"
	hsolana "heliograph/oracle/settle/solana"
	"heliograph/poc"
)

// callTimeout bounds one call.
const callTimeout = 10 * time.Second

// pageSize is the most signatures that one answer of getSignaturesForAddress has.
const pageSize = 1000

// Reader reads one endpoint for an audit. It is safe for concurrent use.
type Reader struct {
	rpc *rpc.Client

	mu       sync.Mutex
	programs map[string]solana.PublicKey // mint -> its token program
}

// NewReader makes a reader of an endpoint.
func NewReader(endpoint string) *Reader {
	transport := jsonrpc.NewClientWithOpts(endpoint, &jsonrpc.RPCClientOpts{HTTPClient: &http.Client{Timeout: callTimeout}})
	return &Reader{rpc: rpc.NewWithCustomRPCClient(transport), programs: map[string]solana.PublicKey{}}
}

// program asks once which token program a mint belongs to: accounts and markers are
// derived under it.
func (r *Reader) program(ctx context.Context, mint string) (solana.PublicKey, error) {
	r.mu.Lock()
	known, ok := r.programs[mint]
	r.mu.Unlock()
	if ok {
		return known, nil
	}
	address, err := hsolana.ParseAddress(mint)
	if err != nil {
		return known, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	res, err := r.rpc.GetAccountInfoWithOpts(ctx, address, &rpc.GetAccountInfoOpts{Encoding: solana.EncodingBase64, Commitment: rpc.CommitmentFinalized})
	if errors.Is(err, rpc.ErrNotFound) {
		return known, fmt.Errorf("trail: mint %s does not exist on this cluster: ask an endpoint of the cluster that was paid on", mint)
	}
	if err != nil {
		return known, fmt.Errorf("trail: read mint %s: %w", mint, err)
	}
	if res == nil || res.Value == nil {
		return known, fmt.Errorf("trail: mint %s: empty answer", mint)
	}
	m, err := hsolana.ParseMint(address, res.Value.Owner, res.GetBinary())
	if err != nil {
		return known, fmt.Errorf("trail: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.programs) >= maxMints {
		clear(r.programs)
	}
	r.programs[mint] = m.Program
	return m.Program, nil
}

// maxMints bounds what is remembered: an audit concerns one mint.
const maxMints = 16

// Account is the token account that a wallet is paid into.
func (r *Reader) Account(ctx context.Context, w poc.Wallet, mint string) (string, error) {
	program, err := r.program(ctx, mint)
	if err != nil {
		return "", err
	}
	m, err := hsolana.ParseAddress(mint)
	if err != nil {
		return "", err
	}
	ata, err := hsolana.AssociatedAccount(w, m, program)
	return ata.String(), err
}

// Marked are the final transactions that touched the marker of a batch of a mint and
// did not fail, oldest first.
func (r *Reader) Marked(ctx context.Context, hot, mint string, m settle.Marker) ([]payment.Payment, error) {
	key, err := hsolana.ParseAddress(hot)
	if err != nil {
		return nil, err
	}
	program, err := r.program(ctx, mint)
	if err != nil {
		return nil, err
	}
	marker, _, err := hsolana.MarkerAddress(key, program, m)
	if err != nil {
		return nil, fmt.Errorf("trail: derive marker %d/%d: %w", m.Epoch, m.Batch, err)
	}
	return r.payments(ctx, marker, 0, "")
}

// Spent are the final transactions of a token account from a slot on that did not
// fail, oldest first.
func (r *Reader) Spent(ctx context.Context, account string, from uint64) ([]payment.Payment, error) {
	key, err := hsolana.ParseAddress(account)
	if err != nil {
		return nil, err
	}
	return r.payments(ctx, key, from, account)
}

// payments fetches what touched an address. watched is the account whose balance
// is read, "" for none.
func (r *Reader) payments(ctx context.Context, addr solana.PublicKey, from uint64, watched string) ([]payment.Payment, error) {
	sigs, err := r.signatures(ctx, addr, from)
	if err != nil {
		return nil, err
	}
	out := make([]payment.Payment, 0, len(sigs))
	for _, s := range sigs {
		p, err := r.payment(ctx, s, watched)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// signatures lists what touched an address from a slot on, oldest first.
func (r *Reader) signatures(ctx context.Context, addr solana.PublicKey, from uint64) (out []solana.Signature, err error) {
	err = r.history(ctx, addr, func(s *rpc.TransactionSignature) (bool, error) {
		if s.Slot >= from && s.Err == nil {
			out = append(out, s.Signature)
		}
		return s.Slot >= from, nil
	})
	slices.Reverse(out)
	return out, err
}

// maxPages bounds how far back a history is read: ten million transactions.
const maxPages = 10_000

// history walks the transactions of an address page by page, newest first, until
// yield wants no more or there are no more.
func (r *Reader) history(ctx context.Context, addr solana.PublicKey, yield func(*rpc.TransactionSignature) (more bool, err error)) error {
	limit := pageSize
	opts := &rpc.GetSignaturesForAddressOpts{Limit: &limit, Commitment: rpc.CommitmentFinalized}
	for range maxPages {
		page, err := r.page(ctx, addr, opts)
		if err != nil {
			return fmt.Errorf("trail: transactions of %s: %w", addr, err)
		}
		for _, s := range page {
			if s == nil {
				return fmt.Errorf("trail: transactions of %s: an empty entry", addr)
			}
			if s.Signature == opts.Before {
				return fmt.Errorf("trail: transactions of %s: the endpoint begins again at %s: ask another one", addr, s.Signature)
			}
			more, err := yield(s)
			if err != nil || !more {
				return err
			}
		}
		if len(page) == 0 { // a short one need not be the last
			return nil
		}
		opts.Before = page[len(page)-1].Signature
	}
	return fmt.Errorf("trail: transactions of %s: there are more than %d, if the endpoint is right: ask another one", addr, maxPages*pageSize)
}

func (r *Reader) page(ctx context.Context, addr solana.PublicKey, opts *rpc.GetSignaturesForAddressOpts) ([]*rpc.TransactionSignature, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	page, err := r.rpc.GetSignaturesForAddressWithOpts(ctx, addr, opts)
	if errors.Is(err, rpc.ErrNotFound) {
		return nil, nil
	}
	return page, err
}

// payment fetches and decodes one transaction.
func (r *Reader) payment(ctx context.Context, sig solana.Signature, watched string) (p payment.Payment, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	version := uint64(0)
	res, err := r.rpc.GetTransaction(ctx, sig, &rpc.GetTransactionOpts{
		Encoding: solana.EncodingBase64, Commitment: rpc.CommitmentFinalized, MaxSupportedTransactionVersion: &version,
	})
	if err != nil {
		return p, fmt.Errorf("trail: transaction %s: %w", sig, err)
	}
	if res == nil || res.Transaction == nil || res.Meta == nil {
		return p, fmt.Errorf("trail: transaction %s: the endpoint gives no result: ask one that keeps history", sig)
	}
	tx, err := res.Transaction.GetTransaction()
	if err != nil {
		return p, fmt.Errorf("trail: transaction %s: %w", sig, err)
	}
	if err := tx.VerifySignatures(); err != nil || len(tx.Signatures) == 0 || tx.Signatures[0] != sig {
		return p, fmt.Errorf("trail: transaction %s: the endpoint shows one whose signature does not fit (%v)", sig, err)
	}
	keys := slices.Concat([]solana.PublicKey(tx.Message.AccountKeys), []solana.PublicKey(res.Meta.LoadedAddresses.Writable), []solana.PublicKey(res.Meta.LoadedAddresses.ReadOnly))
	if len(keys) == 0 {
		return p, fmt.Errorf("trail: transaction %s has no accounts", sig)
	}
	p = payment.Payment{Signature: sig.String(), Slot: res.Slot, Payer: keys[0].String()}
	if res.Meta.Err != nil {
		p.Failed = fmt.Sprint(res.Meta.Err)
	}
	for _, ix := range tx.Message.Instructions {
		if err := decode(&p, ix, keys); err != nil {
			return p, fmt.Errorf("trail: transaction %s: %w", sig, err)
		}
	}
	if watched != "" {
		p.Before, err = tokens(res.Meta.PreTokenBalances, keys, watched)
		if err == nil {
			p.After, err = tokens(res.Meta.PostTokenBalances, keys, watched)
		}
	}
	return p, err
}

// decode takes from an instruction what a payout consists of: the allocation of a
// marker, and transfers.
func decode(p *payment.Payment, ix solana.CompiledInstruction, keys []solana.PublicKey) error {
	at := func(i int) (solana.PublicKey, bool) {
		if i >= len(ix.Accounts) || int(ix.Accounts[i]) >= len(keys) {
			return solana.PublicKey{}, false
		}
		return keys[ix.Accounts[i]], true
	}
	if int(ix.ProgramIDIndex) >= len(keys) {
		return errors.New("an instruction of a program that is not in it")
	}
	switch keys[ix.ProgramIDIndex] {
	case solana.SystemProgramID:
		base, owner, seed, ok := allocated(ix.Data)
		addr, there := at(0)
		if !ok || !there {
			return nil
		}
		if m, ok := markerOf(seed); ok {
			want, _, err := hsolana.MarkerAddress(base, owner, m)
			if err == nil && want == addr {
				p.Markers = append(p.Markers, payment.Marker{Base: base.String(), Marker: m})
			}
		}
	case solana.MemoProgramID:
		p.Memos = append(p.Memos, string(ix.Data))
	case solana.TokenProgramID, solana.Token2022ProgramID:
		t, ok := transfer(ix.Data, at)
		if ok {
			p.Transfers = append(p.Transfers, t)
		}
	default:
		if d, ok := made(ix, keys); ok {
			p.Distributors = append(p.Distributors, d)
		}
	}
	return nil
}

// allocated reads System.AllocateWithSeed: tag 9 as u32, base 32, length u64 and
// seed, space u64, owner 32; little-endian. The owner must be a token program.
func allocated(b []byte) (base, owner solana.PublicKey, seed string, ok bool) {
	const before, behind = 4 + 32 + 8, 8 + 32
	if len(b) < before+behind || binary.LittleEndian.Uint32(b) != 9 {
		return base, owner, "", false
	}
	n := binary.LittleEndian.Uint64(b[36:])
	if n > 32 || uint64(len(b)) != before+n+behind {
		return base, owner, "", false
	}
	copy(base[:], b[4:])
	copy(owner[:], b[len(b)-32:])
	return base, owner, string(b[before : before+n]), owner == solana.TokenProgramID || owner == solana.Token2022ProgramID
}

// markerOf reads a seed "hs/<epoch>/<batch>".
func markerOf(seed string) (m settle.Marker, ok bool) {
	rest, ok := strings.CutPrefix(seed, "hs/")
	e, b, two := strings.Cut(rest, "/")
	epoch, err := strconv.ParseUint(e, 10, 32)
	batch, err2 := strconv.ParseUint(b, 10, 32)
	m = settle.Marker{Epoch: poc.Epoch(epoch), Batch: uint32(batch)}
	return m, ok && two && err == nil && err2 == nil
}

// transfer reads Token.TransferChecked: tag 12, amount u64 little-endian,
// decimals; accounts source, mint, destination, authority.
func transfer(b []byte, at func(int) (solana.PublicKey, bool)) (t payment.Transfer, ok bool) {
	if len(b) != 10 || b[0] != 12 {
		return t, false
	}
	source, ok1 := at(0)
	mint, ok2 := at(1)
	to, ok3 := at(2)
	t = payment.Transfer{Source: source.String(), Mint: mint.String(), Destination: to.String(), Amount: ledger.Amount(binary.LittleEndian.Uint64(b[1:]))}
	return t, ok1 && ok2 && ok3
}

// tokens is an account's balance in a list; an account that is not listed is
// empty.
func tokens(all []rpc.TokenBalance, keys []solana.PublicKey, account string) (ledger.Amount, error) {
	for _, b := range all {
		if int(b.AccountIndex) >= len(keys) || keys[b.AccountIndex].String() != account {
			continue
		}
		if b.UiTokenAmount == nil {
			return 0, errors.New("a token balance without an amount")
		}
		n, err := strconv.ParseUint(b.UiTokenAmount.Amount, 10, 63)
		if err != nil {
			return 0, fmt.Errorf("token balance %.32q: %w", b.UiTokenAmount.Amount, err)
		}
		return ledger.Amount(n), nil
	}
	return 0, nil
}
