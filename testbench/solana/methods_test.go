package solanavm

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/gagliardetto/solana-go"
	computebudget "github.com/gagliardetto/solana-go/programs/compute-budget"
	"github.com/gagliardetto/solana-go/rpc"
)

// TestReads asks the methods that no other test asks.
func TestReads(t *testing.T) {
	b := newBench(t, Config{})
	b.tick(1) // a block's fee is its lowest, and the stage paid none
	b.send(computebudget.NewSetComputeUnitPriceInstruction(77).Build(), b.transfer(0, 4))
	tx := b.sign("fee")
	message, err := tx.Message.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	b.tick(2)
	slot, err := b.Client().GetSlot(b.ctx, rpc.CommitmentConfirmed)
	if err != nil {
		t.Fatal(err)
	}
	const processed = `{"commitment":"processed"}`
	for _, c := range []struct{ method, params, want string }{
		{"getHealth", ``, `"ok"`},
		{"getVersion", ``, `"solana-core"`},
		{"getGenesisHash", ``, `"` + b.Genesis().String() + `"`},
		{"getEpochInfo", ``, `"slotsInEpoch":432000`},
		{"getTransactionCount", ``, `"result":`},
		{"getMinimumBalanceForRentExemption", `165`, `"result":2039280`},
		{"getBlockTime", fmt.Sprint(slot), `"result":1`},
		{"getBlockTime", fmt.Sprint(slot + 1000), `"code":-32004`},
		{"getBlock", fmt.Sprintf(`%d,{"commitment":"confirmed"}`, slot), `"signatures":["`},
		{"getFeeForMessage", fmt.Sprintf(`"%s",%s`, base64.StdEncoding.EncodeToString(message), processed), `"value":5000`},
		{"getFeeForMessage", `"AAAA"`, `"code":-32602`},
		{"getRecentPrioritizationFees", fmt.Sprintf(`["%s"]`, b.Treasury), `"prioritizationFee":77`},
		{"getMultipleAccounts", fmt.Sprintf(`["%s","%s"]`, b.Treasury, key("nobody").PublicKey()), `,null]`},
		{"getAccountInfo", fmt.Sprintf(`"%s",{"encoding":"base64","dataSlice":{"offset":0,"length":1}}`, b.Mint), `"base64"],`},
		{"getProgramAccounts", fmt.Sprintf(`"%s",{"encoding":"base64","filters":[{"dataSize":165},{"memcmp":{"offset":0,"bytes":"%s"}}]}`, solana.TokenProgramID, b.Mint), b.Treasury.String()},
		{"getTokenAccountsByOwner", fmt.Sprintf(`"%s",{"mint":"%s"}`, b.Payer.PublicKey(), b.Mint), b.Treasury.String()},
		{"getTokenAccountBalance", fmt.Sprintf(`"%s"`, b.Mint), `"code":-32602`},
		{"simulateTransaction", fmt.Sprintf(`"%s",{"encoding":"base64","commitment":"processed","sigVerify":true,"accounts":{"addresses":["%s"]}}`, tx.MustToBase64(), b.Treasury), `"accounts":[{`},
	} {
		_, answer := post(t, b.URL(), fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":[%s]}`, c.method, c.params))
		if !strings.Contains(answer, c.want) {
			t.Errorf("%s(%s): %.500s; want %s in it", c.method, c.params, answer, c.want)
		}
	}
	// A simulation leaves no trace.
	b.wantBalance(b.Recipients[0], 4)
}

func TestSetAccount(t *testing.T) {
	b := newBench(t, Config{})
	to := key("written").PublicKey()
	want := Account{Lamports: 5_000_000, Owner: solana.TokenProgramID, Data: []byte{1, 2, 3}}
	if err := b.SetAccount(b.ctx, to, want); err != nil {
		t.Fatal(err)
	}
	got, err := b.Client().GetAccountInfo(b.ctx, to)
	if err != nil {
		t.Fatal(err)
	}
	if got.Value.Lamports != want.Lamports || got.Value.Owner != want.Owner || string(got.Value.Data.GetBinary()) != "\x01\x02\x03" {
		t.Errorf("account: %+v", got.Value)
	}
	if err := b.LoadProgram(b.ctx, to, []byte("no program")); err == nil || !strings.Contains(err.Error(), "ELF") {
		t.Errorf("a program that is none: %v", err)
	}
}
