package network

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"heliograph/oracle/epoch"
	"heliograph/oracle/web"
)

// explorer reads the oracle's public JSON.
type explorer struct {
	base string // without a slash at the end
	http *http.Client
}

func newExplorer(base string) *explorer {
	return &explorer{base: base, http: &http.Client{Timeout: 10 * time.Second}}
}

// maxAnswer bounds what is read of one answer.
const maxAnswer = 8 << 20

func (x *explorer) get(ctx context.Context, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, x.base+path, nil)
	if err != nil {
		return fmt.Errorf("network: explorer: %w", err)
	}
	resp, err := x.http.Do(req)
	if err != nil {
		return fmt.Errorf("network: explorer: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("network: explorer: %s: %w", path, err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("network: explorer: %s: %s: %.200s", path, resp.Status, body)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("network: explorer: %s: %w", path, err)
	}
	return nil
}

func (x *explorer) status(ctx context.Context) (s web.Status, err error) {
	err = x.get(ctx, "/api/status", &s)
	return s, err
}

// epochs are the newest judged ones, newest first.
func (x *explorer) epochs(ctx context.Context) ([]web.Epoch, error) {
	var out struct {
		Epochs []web.Epoch `json:"epochs"`
	}
	err := x.get(ctx, "/api/epochs?limit=50", &out)
	return out.Epochs, err
}

func (x *explorer) epoch(ctx context.Context, n uint32) (e web.Epoch, err error) {
	err = x.get(ctx, "/api/epochs/"+strconv.FormatUint(uint64(n), 10), &e)
	return e, err
}

// wallet asks the ledger about a wallet.
func (x *explorer) wallet(ctx context.Context, address string) (w web.Wallet, err error) {
	err = x.get(ctx, "/api/wallets/"+address, &w)
	return w, err
}

// computed downloads what an epoch is computed from and computes it.
func (x *explorer) computed(ctx context.Context, n uint32) (epoch.Result, error) {
	url := fmt.Sprintf("%s/api/epochs/%d/bundle", x.base, n)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return epoch.Result{}, fmt.Errorf("network: bundle: %w", err)
	}
	resp, err := x.http.Do(req)
	if err != nil {
		return epoch.Result{}, fmt.Errorf("network: bundle: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return epoch.Result{}, fmt.Errorf("network: bundle of epoch %d: %s", n, resp.Status)
	}
	b, err := epoch.ReadBundle(resp.Body)
	if err != nil {
		return epoch.Result{}, err
	}
	return epoch.Compute(ctx, b.Evidence)
}
