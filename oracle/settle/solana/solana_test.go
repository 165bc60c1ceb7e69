package solana

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gagliardetto/solana-go"
	"github.com/gagliardetto/solana-go/rpc"
	"github.com/gagliardetto/solana-go/rpc/jsonrpc"

	"heliograph/oracle/reward"
	"heliograph/oracle/settle"
	"heliograph/poc"
)

func newKey(t *testing.T) solana.PrivateKey {
	t.Helper()
	k, err := solana.NewRandomPrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func keyFile(t *testing.T, k []byte, mode os.FileMode) string {
	t.Helper()
	numbers := make([]int, len(k))
	for i, b := range k {
		numbers[i] = int(b)
	}
	text, err := json.Marshal(numbers)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "hot.json")
	if err := os.WriteFile(path, text, mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoadKey(t *testing.T) {
	k := newKey(t)
	if got, err := LoadKey(keyFile(t, k, 0o600)); err != nil || !got.PublicKey().Equals(k.PublicKey()) {
		t.Errorf("sound file: %v", err)
	}
	mismatched := append(append([]byte(nil), k[:32]...), newKey(t)[32:]...)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(keyFile(t, k, 0o600), link); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, path, want string }{
		{"readable by others", keyFile(t, k, 0o640), "chmod 600"},
		{"halves disagree", keyFile(t, mismatched, 0o600), "halves"},
		{"too short", keyFile(t, k[:63], 0o600), "64 numbers"},
		{"missing", filepath.Join(t.TempDir(), "none"), "solana-keygen"},
		{"symbolic link", link, "regular file"},
		{"folder", t.TempDir(), "regular file"},
	} {
		if _, err := LoadKey(tt.path); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q in it", tt.name, err, tt.want)
		}
	}
}

func testClient(t *testing.T) *Client {
	k := newKey(t)
	return &Client{
		cfg: Config{Hot: NewFileKey(k), Mint: newKey(t).PublicKey(), Treasury: newKey(t).PublicKey(), UnitPrice: 100, MaxUnitPrice: 1000},
		hot: k.PublicKey(), program: solana.TokenProgramID, decimals: 8, rent: 2_039_280,
	}
}

func recipients(n int) (to []reward.Payout) {
	for i := range n {
		to = append(to, reward.Payout{Wallet: poc.Wallet{byte(i + 1), 7}, Amount: 1000})
	}
	return to
}

func TestPayoutFitsAndIsGuarded(t *testing.T) {
	c := testClient(t)
	m := settle.Marker{Epoch: 4_000_000_000, Batch: 4_000_000_000} // the longest seed
	tx, err := c.Payout(context.Background(), m, recipients(maxRecipients), settle.Blockhash{Hash: [32]byte{1}, LastValid: 9}, 3)
	if err != nil {
		t.Fatal(err)
	}
	if len(tx.Raw) > maxTransaction || tx.LastValid != 9 {
		t.Errorf("%d bytes, last valid %d", len(tx.Raw), tx.LastValid)
	}
	decoded, err := solana.TransactionFromBytes(tx.Raw)
	if err != nil || decoded.VerifySignatures() != nil || decoded.Signatures[0].String() != tx.Signature {
		t.Fatalf("the transaction does not verify: %v", err)
	}
	var landed Landed
	if err := decode(&landed, decoded); err != nil || len(landed.Transfers) != maxRecipients || landed.Transfers[0].Amount != 1000 {
		t.Errorf("decoded as %+v, %v", landed, err)
	}
	again, err := c.Payout(context.Background(), m, recipients(maxRecipients), settle.Blockhash{Hash: [32]byte{1}, LastValid: 9}, 3)
	if err != nil || string(again.Raw) != string(tx.Raw) {
		t.Error("the same payout was built in two ways")
	}
	for _, n := range []int{0, maxRecipients + 1} {
		if _, err := c.Payout(context.Background(), m, recipients(n), settle.Blockhash{}, 0); err == nil {
			t.Errorf("%d recipients passed", n)
		}
	}
	one, _, _ := MarkerAddress(c.hot, c.program, settle.Marker{Epoch: 1, Batch: 2})
	two, _, _ := MarkerAddress(c.hot, c.program, settle.Marker{Epoch: 1, Batch: 3})
	other, _, _ := MarkerAddress(c.hot, solana.Token2022ProgramID, settle.Marker{Epoch: 1, Batch: 2})
	if one == two || one == other {
		t.Error("two batches share a marker")
	}
}

func TestUnitPriceGrowsToItsLimit(t *testing.T) {
	c := testClient(t)
	last := uint64(0)
	for n := range 100 {
		p := c.unitPrice(0, n)
		if p < last || p > 1000 {
			t.Errorf("attempt %d bids %d after %d", n, p, last)
		}
		last = p
	}
	if last != 1000 {
		t.Errorf("the last attempt bids %d", last)
	}
}

func TestSortRefusal(t *testing.T) {
	for _, tt := range []struct {
		data      string
		cause     settle.RejectCause
		recipient int
		landed    bool
	}{
		{`{"err":"BlockhashNotFound"}`, settle.CauseExpired, 0, false},
		{`{"err":"AlreadyProcessed"}`, 0, 0, true},
		{`{"err":"InsufficientFundsForFee"}`, settle.CauseFunds, 0, false},
		{`{"err":{"InsufficientFundsForRent":{"account_index":1}}}`, settle.CauseFunds, 0, false},
		{`{"err":{"InstructionError":[1,{"Custom":0}]}}`, settle.CauseMarker, 0, false},
		{`{"err":{"InstructionError":[0,{"Custom":1}]}}`, settle.CauseFunds, 0, false},
		{`{"err":{"InstructionError":[7,{"Custom":1}]}}`, settle.CauseFunds, 0, false},
		{`{"err":{"InstructionError":[7,{"Custom":17}]}}`, settle.CauseRecipient, 2, false},
		{`{"err":{"InstructionError":[5,"InvalidAccountData"]}}`, settle.CauseRecipient, 0, false},
		{`{"err":{"InstructionError":[3,"ComputationalBudgetExceeded"]}}`, settle.CauseOther, 0, false},
		{`{"err":{"InstructionError":[-5,{"Custom":0}]}}`, settle.CauseOther, 0, false},
		{`{"err":{"InstructionError":["x"]}}`, settle.CauseOther, 0, false},
		{`{"err":{"InstructionError":[1,{"Strange":0}]}}`, settle.CauseOther, 0, false},
		{`"text"`, settle.CauseOther, 0, false},
		{`null`, settle.CauseOther, 0, false},
	} {
		var data any
		if err := json.Unmarshal([]byte(tt.data), &data); err != nil {
			t.Fatal(err)
		}
		err := sortRefusal(&jsonrpc.RPCError{Code: preflightFailure, Message: "Transaction simulation failed", Data: data})
		if tt.landed {
			if err != nil {
				t.Errorf("%s: %v", tt.data, err)
			}
			continue
		}
		var r *settle.Rejected
		if !errors.As(err, &r) || r.Cause != tt.cause || r.Recipient != tt.recipient {
			t.Errorf("%s: %+v, want cause %d, recipient %d", tt.data, err, tt.cause, tt.recipient)
		}
	}
}

func tokenData(mint, owner solana.PublicKey, amount uint64, state byte) []byte {
	b := make([]byte, tokenAccountSize)
	copy(b, mint[:])
	copy(b[32:], owner[:])
	binary.LittleEndian.PutUint64(b[64:], amount)
	b[108] = state
	return b
}

func account(t *testing.T, program solana.PublicKey, data []byte) *rpc.Account {
	t.Helper()
	var d rpc.DataBytesOrJSON
	text, _ := json.Marshal([]string{base64.StdEncoding.EncodeToString(data), "base64"})
	if err := d.UnmarshalJSON(text); err != nil {
		t.Fatal(err)
	}
	return &rpc.Account{Owner: program, Data: &d}
}

func TestRecipientProblems(t *testing.T) {
	c := testClient(t)
	w := poc.Wallet(newKey(t).PublicKey())
	owner := solana.PublicKey(w)
	for _, tt := range []struct {
		name string
		acc  *rpc.Account
		want string
	}{
		{"missing", nil, "no token account"},
		{"sound", account(t, solana.TokenProgramID, tokenData(c.cfg.Mint, owner, 5, 1)), ""},
		{"frozen", account(t, solana.TokenProgramID, tokenData(c.cfg.Mint, owner, 5, 2)), "frozen"},
		{"not initialized", account(t, solana.TokenProgramID, tokenData(c.cfg.Mint, owner, 0, 0)), "not initialized"},
		{"other mint", account(t, solana.TokenProgramID, tokenData(owner, owner, 5, 1)), "another mint"},
		{"other owner", account(t, solana.TokenProgramID, tokenData(c.cfg.Mint, c.hot, 5, 1)), "somebody else"},
		{"other program", account(t, solana.Token2022ProgramID, tokenData(c.cfg.Mint, owner, 5, 1)), "not an account of the mint's token program"},
		{"other size", account(t, solana.TokenProgramID, make([]byte, 82)), "82 bytes are no token account"},
	} {
		if got := c.problem(tt.acc, w); got != tt.want && (tt.want == "" || !strings.Contains(got, tt.want)) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestRecipientProblems2022: what extensions of a recipient's account do to payouts.
func TestRecipientProblems2022(t *testing.T) {
	c := testClient(t)
	c.program = solana.Token2022ProgramID
	w := poc.Wallet(newKey(t).PublicKey())
	base := tokenData(c.cfg.Mint, solana.PublicKey(w), 5, 1)
	for _, tt := range []struct {
		name string
		data []byte
		want string
	}{
		{"bare", base, ""},
		{"associated", account2022(base, extension{immutableOwner, nil}), ""},
		{"guarded", account2022(base, extension{immutableOwner, nil}, extension{cpiGuard, []byte{1}}), ""},
		{"no memo wanted", account2022(base, extension{requiredMemo, []byte{0}}), ""},
		{"memo wanted", account2022(base, extension{immutableOwner, nil}, extension{requiredMemo, []byte{1}}), "disable-required-transfer-memos"},
		{"fee withheld", account2022(base, extension{2, make([]byte, 8)}), "extension number 2, which payouts do not know"},
		{"frozen", account2022(changed(base, 108, stateFrozen), extension{immutableOwner, nil}), "must thaw it"},
		{"a mint", changed(account2022(base, extension{immutableOwner, nil}), typeAt, typeMint), "account type 1"},
		{"cut off", account2022(base, extension{immutableOwner, []byte{1}})[:170], "cut off"},
	} {
		got := c.problem(account(t, solana.Token2022ProgramID, tt.data), w)
		if got != tt.want && (tt.want == "" || !strings.Contains(got, tt.want)) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	if got := c.problem(account(t, solana.TokenProgramID, base), w); !strings.Contains(got, "mint's token program") {
		t.Errorf("an account of the other program: %q", got)
	}
}

// TestOffCurve: a wallet that no key can sign for is held although its token account
// is sound, unless the configuration says that such wallets are paid.
func TestOffCurve(t *testing.T) {
	c := testClient(t)
	vault, _, err := solana.FindProgramAddress([][]byte{[]byte("vault")}, solana.TokenProgramID)
	if err != nil {
		t.Fatal(err)
	}
	sound := account(t, solana.TokenProgramID, tokenData(c.cfg.Mint, vault, 5, 1))
	if got := c.problem(sound, poc.Wallet(vault)); !strings.Contains(got, "off the curve") || !strings.Contains(got, "another wallet") {
		t.Errorf("held because %q", got)
	}
	c.cfg.OffCurve = true
	if got := c.problem(sound, poc.Wallet(vault)); got != "" {
		t.Errorf("not paid because %q", got)
	}
	if got := c.problem(nil, poc.Wallet(vault)); !strings.Contains(got, "no token account") {
		t.Errorf("without an account: %q", got)
	}
}

func TestSpendable(t *testing.T) {
	owner, delegate := newKey(t).PublicKey(), newKey(t).PublicKey()
	data := tokenData(newKey(t).PublicKey(), owner, 100, 1)
	binary.LittleEndian.PutUint32(data[72:], 1)
	copy(data[76:], delegate[:])
	binary.LittleEndian.PutUint64(data[121:], 30)
	for _, program := range []solana.PublicKey{solana.TokenProgramID, solana.Token2022ProgramID} {
		acc, err := ParseTokenAccount(program, data)
		if err != nil || acc.spendable(owner) != 100 || acc.spendable(delegate) != 30 || acc.spendable(acc.Mint) != 0 {
			t.Errorf("account %+v, %v", acc, err)
		}
	}
	if acc, err := ParseTokenAccount(solana.TokenProgramID, changed(data, 108, stateFrozen)); err != nil || acc.spendable(owner)+acc.spendable(delegate) != 0 {
		t.Errorf("a frozen account: %+v, %v", acc, err)
	}
}
