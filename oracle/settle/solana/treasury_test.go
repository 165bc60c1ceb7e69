package solana

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gagliardetto/solana-go"

	"heliograph/oracle/settle"
)

// TestTreasuryTrouble: a treasury from which nothing can be spent says why, also
// through a pool, and it is no failure of the endpoint.
func TestTreasuryTrouble(t *testing.T) {
	data := make([]byte, tokenAccountSize)
	data[64], data[108] = 9, stateInitialized // of the mint and the owner zero
	account := func(b []byte) string {
		return fmt.Sprintf(`{"lamports":1,"owner":"%s","data":["%s","base64"],"executable":false,"rentEpoch":0}`, solana.TokenProgramID, base64.StdEncoding.EncodeToString(b))
	}
	for _, tt := range []struct{ name, account, want string }{
		{"good", account(data), ""},
		{"frozen", account(changed(data, 108, stateFrozen)), "must thaw it"},
		{"another mint", account(changed(data, 0, 7)), "solana.mint"},
		{"no token account", account(data[:9]), "correct solana.treasury"},
		{"none", "null", "does not exist"},
	} {
		n := newNode(t)
		n.answers["getMultipleAccounts"] = `{"context":{"slot":900},"value":[` + tt.account + `,null]}`
		p := testPool(nil, n)
		tokens, _, err := p.Funds(t.Context())
		var trouble *settle.TreasuryTrouble
		if errors.As(err, &trouble) != (tt.want != "") || err != nil && !strings.Contains(err.Error(), tt.want) || err == nil && tokens != 9 {
			t.Errorf("%s: %d tokens, %v", tt.name, tokens, err)
		}
		if got := fmt.Sprint(standings(p)); got != "[ok]" {
			t.Errorf("%s: endpoint %s", tt.name, got)
		}
	}
}
