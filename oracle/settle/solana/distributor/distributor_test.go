package distributor

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/gagliardetto/solana-go"

	"heliograph/oracle/reward"
	"heliograph/oracle/settle/claim"
	"heliograph/poc"
)

// address of the program on the main network.
const address = "mERKcfxMC5SqJn4Ld4BUris3WKZZ1ojjWJ3A3J5CKxv"

func program(t *testing.T) Program {
	t.Helper()
	p, err := ParseProgram(address)
	if err != nil || p.ID().String() != address {
		t.Fatal(p, err)
	}
	return p
}

func TestParseProgram(t *testing.T) {
	if _, err := ParseProgram(""); !errors.Is(err, ErrNoProgram) || !strings.Contains(err.Error(), "payout.program") {
		t.Errorf("%v", err)
	}
	if _, err := ParseProgram("0OIl"); err == nil {
		t.Error("an address that is none")
	}
}

func TestNewBytes(t *testing.T) {
	p := program(t)
	terms := Terms{Mint: solana.PublicKey{1}, Version: 0x0102, Root: claim.Hash{0xaa}, Total: 7, Count: 3, Start: 1000, End: 2000, Clawback: 2000 + day, Receiver: solana.PublicKey{2}, Admin: solana.PublicKey{3}}
	ix, err := p.New(terms)
	if err != nil {
		t.Fatal(err)
	}
	data, err := ix.Data()
	// First eight bytes of SHA-256("global:new_distributor"), by sha256sum.
	want := "20" + "8b70ab0002e19b" + "0201000000000000" + "aa" + strings.Repeat("00", 31) + "0700000000000000" + "0300000000000000" + "e803000000000000" + "d007000000000000" + "5059010000000000"
	if err != nil || hex.EncodeToString(data) != want {
		t.Errorf("data %x, %v\nwant %s", data, err, want)
	}
	var flags string
	for _, a := range ix.Accounts() {
		switch {
		case a.IsSigner && a.IsWritable:
			flags += "S"
		case a.IsWritable:
			flags += "w"
		default:
			flags += "r"
		}
	}
	if flags != "wwrwSrrr" || ix.ProgramID() != p.ID() {
		t.Errorf("accounts %s", flags)
	}
	for name, change := range map[string]func(*Terms){
		"nothing":      func(t *Terms) { t.Total = 0 },
		"nobody":       func(t *Terms) { t.Count = 0 },
		"began":        func(t *Terms) { t.Start = 10 },
		"ends at once": func(t *Terms) { t.End = t.Start },
		"taken back":   func(t *Terms) { t.Clawback-- },
	} {
		bad := terms
		change(&bad)
		if bad.Check(10) == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if err := terms.Check(10); err != nil {
		t.Error(err)
	}
}

func TestClaimBytes(t *testing.T) {
	p := program(t)
	proof := claim.Proof{Payout: reward.Payout{Wallet: poc.Wallet{9}, Amount: 0x0a0b}, Nodes: []claim.Hash{{1}, {2}}}
	ix, err := p.Claim(solana.PublicKey{1}, 5, proof)
	if err != nil {
		t.Fatal(err)
	}
	data, err := ix.Data()
	want := "4eb1627bd215bb53" + "0b0a000000000000" + "0000000000000000" + "02000000" + "01" + strings.Repeat("00", 31) + "02" + strings.Repeat("00", 31)
	if err != nil || hex.EncodeToString(data) != want {
		t.Errorf("data %x, %v\nwant %s", data, err, want)
	}
	acc := ix.Accounts()
	if len(acc) != 7 || !acc[4].IsSigner || acc[4].PublicKey != (solana.PublicKey{9}) || acc[5].PublicKey != solana.TokenProgramID {
		t.Errorf("accounts %v", acc)
	}
	proof.Nodes = make([]claim.Hash, claim.MaxProof+1)
	if _, err := p.Claim(solana.PublicKey{1}, 5, proof); err == nil {
		t.Error("a proof without end")
	}
}

func TestParseStatus(t *testing.T) {
	b := append(discriminator("account", "ClaimStatus"), make([]byte, 56)...)
	b[8] = 4
	binary.LittleEndian.PutUint64(b[56:], 99)
	if c, err := ParseStatus(b); err != nil || c.Wallet != (poc.Wallet{4}) || c.Amount != 99 {
		t.Errorf("%+v, %v", c, err)
	}
	for n := range b {
		if _, err := ParseStatus(b[:n]); err == nil {
			t.Errorf("%d bytes are taken", n)
		}
	}
	b[0] ^= 1
	if _, err := ParseStatus(b); err == nil {
		t.Error("another account is taken")
	}
}

func TestParseNew(t *testing.T) {
	p := program(t)
	terms := Terms{Mint: solana.PublicKey{1}, Version: 77, Root: claim.Hash{0xaa}, Total: 7, Count: 3, Start: 1000, End: 2000, Clawback: 2000 + day, Receiver: solana.PublicKey{2}, Admin: solana.PublicKey{3}}
	ix, err := p.New(terms)
	if err != nil {
		t.Fatal(err)
	}
	data, err := ix.Data()
	if err != nil {
		t.Fatal(err)
	}
	accounts := func() (out []solana.PublicKey) {
		for _, a := range ix.Accounts() {
			out = append(out, a.PublicKey)
		}
		return out
	}
	if got, err := p.ParseNew(accounts(), data); err != nil || got != terms {
		t.Errorf("%+v, %v", got, err)
	}
	for _, i := range []int{0, 3, 5, 6, 7} { // the others are terms
		bad := accounts()
		bad[i][9] ^= 1
		if _, err := p.ParseNew(bad, data); err == nil {
			t.Errorf("account %d is free", i)
		}
	}
	for n := range data {
		if _, err := p.ParseNew(accounts(), data[:n]); err == nil {
			t.Errorf("%d bytes are taken", n)
		}
	}
	data[0] ^= 1
	if _, err := p.ParseNew(accounts(), data); err == nil {
		t.Error("another instruction is taken")
	}
}

func FuzzParseState(f *testing.F) {
	b := append(discriminator("account", "MerkleDistributor"), make([]byte, stateSize-8)...)
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseState(b)
		if err == nil && s.Claimed > s.Total {
			t.Errorf("%+v", s)
		}
	})
}
