package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"heliograph/oracle/ledger"
	"heliograph/oracle/settle/solana/signer"
	"heliograph/oracle/store"
	"heliograph/oracle/store/boltkv"
	"heliograph/poc"
)

// config is the configuration of a signer.
type config struct {
	Socket     string   `toml:"socket" help:"path of the unix socket, at most 107 bytes"`
	SocketMode string   `toml:"socket_mode" help:"mode of the socket, octal; 0660 lets its group open it"`
	AllowUID   []string `toml:"allow_uid" help:"numbers of the users, besides the signer's own, whose processes may ask"`
	State      string   `toml:"state" help:"directory of what was signed; only the owner may read it"`
	Key        string   `toml:"key" help:"file of the hot key (a JSON array of 64 numbers)"`

	Mint           string        `toml:"mint" help:"address of the token's mint"`
	TokenProgram   string        `toml:"token_program" help:"that the mint belongs to: spl-token or token-2022"`
	Treasury       string        `toml:"treasury" help:"token account that payouts come from"`
	Distributor    string        `toml:"distributor" help:"address of the merkle distributor program that wallets claim from; empty: none is signed for"`
	Decimals       uint8         `toml:"decimals" help:"of the mint"`
	MaxEpoch       uint64        `toml:"max_epoch" help:"most that one epoch may pay, in the token's smallest unit"`
	Approvals      string        `toml:"approvals" help:"directory where the operator approves each epoch; empty: every list within max_epoch"`
	MaxRent        uint64        `toml:"max_rent" help:"lamports that may be sent to one marker"`
	MaxPriorityFee uint64        `toml:"max_priority_fee" help:"lamports of priority fee in one transaction"`
	MaxFees        uint64        `toml:"max_fees" help:"lamports of fees that all signatures of a day may cost"`
	MarkerAge      time.Duration `toml:"marker_age" help:"how long after its last signature a batch's marker may be closed"`
	PerMinute      int           `toml:"per_minute" help:"signatures in the long run; 0 means no limit"`
	Burst          int           `toml:"burst" help:"signatures at once"`
}

func defaults() config {
	return config{
		Socket: "/run/oraclesigner/socket", SocketMode: "0600", State: "/var/lib/oraclesigner", Key: "/var/lib/oraclesigner/hot.json",
		TokenProgram: "spl-token", Decimals: 8, MaxRent: 3_000_000, MaxPriorityFee: 200_000, MaxFees: 1_000_000_000, MarkerAge: 24 * time.Hour, PerMinute: 6_000, Burst: 1_000,
	}
}

// policy reads the addresses and checks what must be said.
func (c config) policy() (p signer.Policy, err error) {
	if c.MaxEpoch == 0 || c.MaxEpoch > uint64(ledger.MaxAmount) {
		return p, fmt.Errorf("max_epoch is %d: name the most that one epoch may pay, in the token's smallest unit", c.MaxEpoch)
	}
	p = signer.Policy{Decimals: c.Decimals, MaxRent: c.MaxRent, MaxPriorityFee: c.MaxPriorityFee, MaxFees: c.MaxFees, MaxEpoch: ledger.Amount(c.MaxEpoch)}
	if p.Mint, err = signer.ParseAddress(c.Mint); err != nil {
		return p, fmt.Errorf("mint: %w", err)
	}
	program, ok := signer.TokenPrograms()[c.TokenProgram]
	if !ok {
		return p, fmt.Errorf("token_program is %q: write spl-token or token-2022", c.TokenProgram)
	}
	p.TokenProgram = program
	if p.Treasury, err = signer.ParseAddress(c.Treasury); err != nil {
		return p, fmt.Errorf("treasury: %w", err)
	}
	if c.Distributor == "" {
		return p, nil
	}
	if p.Distributor, err = signer.ParseAddress(c.Distributor); err != nil {
		return p, fmt.Errorf("distributor: %w", err)
	}
	if c.TokenProgram != "spl-token" {
		return p, errors.New("distributor: the program knows mints of spl-token only: leave it out")
	}
	return p, nil
}

// open makes the signer. close gives its state back.
func (c config) open(log *slog.Logger) (s *signer.Signer, closeState func() error, err error) {
	p, err := c.policy()
	if err != nil {
		return nil, nil, err
	}
	key, err := signer.LoadKey(c.Key)
	if err != nil {
		return nil, nil, err
	}
	if err := os.MkdirAll(c.State, 0o700); err != nil {
		return nil, nil, fmt.Errorf("state: %w", err)
	}
	info, err := os.Stat(c.State)
	if err != nil {
		return nil, nil, fmt.Errorf("state: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, nil, fmt.Errorf("state: others can read %s (mode %04o): run chmod 700 %s", c.State, info.Mode().Perm(), c.State)
	}
	kv, err := boltkv.Open(filepath.Join(c.State, "signed.db"), boltkv.Config{})
	if errors.Is(err, store.ErrLocked) {
		return nil, nil, fmt.Errorf("state: another oraclesigner runs on %s: stop it", c.State)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("state: %w", err)
	}
	s, err = signer.New(signer.Config{Key: key, Policy: p, KV: kv, Lists: filepath.Join(c.State, "lists"), Approvals: c.Approvals,
		MarkerAge: c.MarkerAge, PerMinute: c.PerMinute, Burst: c.Burst, Log: log})
	if err != nil {
		return nil, nil, errors.Join(err, kv.Close())
	}
	return s, kv.Close, nil
}

func serve(ctx context.Context, c config, log *slog.Logger) (err error) {
	mode, err := strconv.ParseUint(c.SocketMode, 8, 9)
	if err != nil {
		return fmt.Errorf("socket_mode is %q: write it in octal, as in 0660", c.SocketMode)
	}
	var users []int
	for _, text := range c.AllowUID {
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("allow_uid: %q is not a number", text)
		}
		users = append(users, n)
	}
	s, closeState, err := c.open(log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeState()) }()
	l, err := signer.Listen(c.Socket, fs.FileMode(mode))
	if err != nil {
		return err
	}
	log.Info("signer runs", "socket", c.Socket, "key", signer.AddressText(s.PublicKey()), "max_epoch", c.MaxEpoch, "approvals", c.Approvals)
	return s.Serve(ctx, l, users)
}

func release(ctx context.Context, c config, epoch, wallet string) (err error) {
	n, err := strconv.ParseUint(epoch, 10, 32)
	if err != nil {
		return fmt.Errorf("epoch %q is not a number", epoch)
	}
	w, err := signer.ParseAddress(wallet)
	if err != nil {
		return err
	}
	s, closeState, err := c.open(slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeState()) }()
	if err := s.Release(ctx, poc.Epoch(n), poc.Wallet(w)); err != nil {
		return err
	}
	fmt.Printf("wallet %s may be paid in another batch of epoch %d\n", wallet, n)
	return nil
}
