package solanavm

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gagliardetto/solana-go/rpc"
)

// anyCluster is the cluster behind SOLANA_RPC_URL, for tests that need nothing but
// standard RPC methods and airdrops and make their own mint, accounts and keys. It
// may be Solana's own test validator, or this VM in another process. Without the
// variable it is a VM of the test's own.
func anyCluster(t *testing.T) *VM {
	t.Helper()
	url := os.Getenv("SOLANA_RPC_URL")
	if url == "" {
		return ForTest(t, Config{SlotInterval: 10 * time.Millisecond})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	genesis, err := rpc.New(url).GetGenesisHash(ctx)
	if err != nil {
		t.Fatalf("SOLANA_RPC_URL: %v", err)
	}
	return &VM{Control: NewControl(strings.TrimRight(url, "/")), genesis: genesis}
}
