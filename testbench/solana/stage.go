package solanavm

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gagliardetto/solana-go"
	ata "github.com/gagliardetto/solana-go/programs/associated-token-account"
	"github.com/gagliardetto/solana-go/programs/system"
	"github.com/gagliardetto/solana-go/programs/token"
	"github.com/gagliardetto/solana-go/rpc"

	hsolana "heliograph/oracle/settle/solana"
)

const (
	defaultDecimals = 8
	defaultLamports = 100 * solana.LAMPORTS_PER_SOL
	mintBytes       = 82
	extensionsAt    = 166 // where a mint of Token-2022 has its extensions
	// createsPerTx recipient accounts fit into one legacy transaction.
	createsPerTx = 9
	// accountsPerCall is what getMultipleAccounts takes at once.
	accountsPerCall = 100
)

// StageConfig describes a token and who holds it. The keys are the caller's.
type StageConfig struct {
	Sender // its payer also is the mint authority
	// Mint is the key of the mint account.
	Mint solana.PrivateKey
	// Program is the token program that the mint belongs to; zero: SPL Token.
	Program solana.PublicKey
	// Extensions of a mint of Token-2022.
	Extensions []MintExtension
	// FreezeAuthority may freeze token accounts; zero: nobody.
	FreezeAuthority solana.PublicKey
	// Decimals of the token; 0 means 8.
	Decimals uint8
	// Lamports is the least balance of the payer; an airdrop fills it up.
	// 0 means 100 SOL.
	Lamports uint64
	// TreasuryOwner owns the treasury's token account; zero: the payer.
	TreasuryOwner solana.PublicKey
	// TreasuryAmount is the least balance of the treasury, in the token's
	// smallest unit; mintTo fills it up.
	TreasuryAmount uint64
	// Recipients are wallets that get an associated token account.
	Recipients []solana.PublicKey
}

// MintExtension is an extension with which a mint of Token-2022 is made.
type MintExtension struct {
	Bytes int    // of its value in the account
	Init  []byte // data of the instruction that makes it; its only account is the mint
}

// Stage is what SetStage has prepared.
type Stage struct {
	Mint     solana.PublicKey
	Program  solana.PublicKey // the token program
	Decimals uint8
	Treasury solana.PublicKey // associated token account
	// Recipients are the token accounts, in the order of the wallets.
	Recipients []solana.PublicKey
}

// SetStage brings the chain to what cfg describes. It adds only what is
// missing, so it may run again on a chain that it has prepared before.
func SetStage(ctx context.Context, cfg StageConfig) (*Stage, error) {
	if cfg.Decimals == 0 {
		cfg.Decimals = defaultDecimals
	}
	if cfg.Lamports == 0 {
		cfg.Lamports = defaultLamports
	}
	if cfg.TreasuryOwner.IsZero() {
		cfg.TreasuryOwner = cfg.Payer.PublicKey()
	}
	if cfg.Program.IsZero() {
		cfg.Program = solana.TokenProgramID
	}
	s := &Stage{Mint: cfg.Mint.PublicKey(), Program: cfg.Program, Decimals: cfg.Decimals}
	wallets := append([]solana.PublicKey{cfg.TreasuryOwner}, cfg.Recipients...)
	accounts := make([]solana.PublicKey, len(wallets))
	for i, w := range wallets {
		a, _, err := solana.FindAssociatedTokenAddressWithProgram(w, s.Mint, s.Program)
		if err != nil {
			return nil, fmt.Errorf("solanavm: token account of %s: %w", w, err)
		}
		accounts[i] = a
	}
	s.Treasury, s.Recipients = accounts[0], accounts[1:]
	if err := cfg.Fund(ctx, cfg.Payer.PublicKey(), cfg.Lamports); err != nil {
		return nil, err
	}
	if err := cfg.createMint(ctx); err != nil {
		return nil, err
	}
	if err := cfg.createAccounts(ctx, wallets, accounts); err != nil {
		return nil, err
	}
	return s, cfg.fillTreasury(ctx, s)
}

// Fund airdrops what `to` lacks of a balance of `lamports`.
func (s Sender) Fund(ctx context.Context, to solana.PublicKey, lamports uint64) error {
	have, err := s.Client.GetBalance(ctx, to, s.commitment())
	if err != nil {
		return fmt.Errorf("solanavm: balance of %s: %w", to, err)
	}
	if have.Value >= lamports {
		return nil
	}
	sig, err := s.Client.RequestAirdrop(ctx, to, lamports-have.Value, s.commitment())
	if err != nil {
		return fmt.Errorf("solanavm: airdrop to %s: %w", to, err)
	}
	return s.Wait(ctx, sig)
}

func (cfg StageConfig) createMint(ctx context.Context) error {
	mint, payer := cfg.Mint.PublicKey(), cfg.Payer.PublicKey()
	_, err := cfg.Client.GetAccountInfoWithOpts(ctx, mint, &rpc.GetAccountInfoOpts{Encoding: solana.EncodingBase64, Commitment: cfg.commitment()})
	if err == nil || !errors.Is(err, rpc.ErrNotFound) {
		return err
	}
	size := uint64(mintBytes)
	if len(cfg.Extensions) > 0 {
		size = extensionsAt
		for _, e := range cfg.Extensions {
			size += 4 + uint64(e.Bytes)
		}
	}
	rent, err := cfg.Client.GetMinimumBalanceForRentExemption(ctx, size, cfg.commitment())
	if err != nil {
		return fmt.Errorf("solanavm: rent of a mint: %w", err)
	}
	ixs := []solana.Instruction{system.NewCreateAccountInstruction(rent, size, cfg.Program, payer, mint).Build()}
	for _, e := range cfg.Extensions {
		ixs = append(ixs, solana.NewInstruction(cfg.Program, solana.AccountMetaSlice{{PublicKey: mint, IsWritable: true}}, e.Init))
	}
	init := token.NewInitializeMint2InstructionBuilder().SetDecimals(cfg.Decimals).SetMintAuthority(payer).SetMintAccount(mint)
	if !cfg.FreezeAuthority.IsZero() {
		init.SetFreezeAuthority(cfg.FreezeAuthority)
	}
	_, err = cfg.Send(ctx, append(ixs, hsolana.Under(cfg.Program, init.Build())), cfg.Mint)
	return err
}

// createAccounts opens the associated token accounts that do not exist yet.
func (cfg StageConfig) createAccounts(ctx context.Context, wallets, accounts []solana.PublicKey) error {
	var ixs []solana.Instruction
	for i := 0; i < len(accounts); i += accountsPerCall {
		chunk := accounts[i:min(i+accountsPerCall, len(accounts))]
		have, err := cfg.Client.GetMultipleAccountsWithOpts(ctx, chunk, &rpc.GetMultipleAccountsOpts{
			Encoding: solana.EncodingBase64, Commitment: cfg.commitment(),
		})
		if err != nil {
			return fmt.Errorf("solanavm: look up token accounts: %w", err)
		}
		for j, account := range have.Value {
			if account == nil {
				ixs = append(ixs, ata.NewCreateIdempotentInstructionWithTokenProgram(cfg.Payer.PublicKey(), wallets[i+j], cfg.Mint.PublicKey(), cfg.Program).Build())
			}
		}
	}
	for chunk := range slices.Chunk(ixs, createsPerTx) {
		if _, err := cfg.Send(ctx, chunk); err != nil {
			return fmt.Errorf("solanavm: create token accounts: %w", err)
		}
	}
	return nil
}

func (cfg StageConfig) fillTreasury(ctx context.Context, s *Stage) error {
	have, err := TokenBalance(ctx, cfg.Client, s.Treasury, cfg.commitment())
	if err != nil || have >= cfg.TreasuryAmount {
		return err
	}
	_, err = cfg.Send(ctx, []solana.Instruction{
		hsolana.Under(s.Program, token.NewMintToInstruction(cfg.TreasuryAmount-have, s.Mint, s.Treasury, cfg.Payer.PublicKey(), nil).Build()),
	})
	return err
}

// Approve lets the owner of a stage's treasury hand exactly amount to a
// delegate, in place of what it has granted before. The sender's payer pays.
func (s Sender) Approve(ctx context.Context, stage *Stage, owner solana.PrivateKey, delegate solana.PublicKey, amount uint64) error {
	_, err := s.Send(ctx, []solana.Instruction{
		hsolana.Under(stage.Program, token.NewApproveCheckedInstruction(amount, stage.Decimals, stage.Treasury, stage.Mint, delegate, owner.PublicKey(), nil).Build()),
	}, owner)
	return err
}

// TokenBalance reads a token account's amount in its smallest unit.
func TokenBalance(ctx context.Context, client *rpc.Client, account solana.PublicKey, commitment rpc.CommitmentType) (uint64, error) {
	out, err := client.GetTokenAccountBalance(ctx, account, commitment)
	if err != nil {
		return 0, fmt.Errorf("solanavm: token balance of %s: %w", account, err)
	}
	var amount uint64
	if _, err := fmt.Sscan(out.Value.Amount, &amount); err != nil {
		return 0, fmt.Errorf("solanavm: token balance of %s: amount %q: %w", account, out.Value.Amount, err)
	}
	return amount, nil
}
