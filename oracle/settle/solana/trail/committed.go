package trail

import (
	"context"
	"fmt"
	"strings"

	"github.com/gagliardetto/solana-go/rpc"

	hsolana "heliograph/oracle/settle/solana"
	"heliograph/poc"
)

// Committed looks for the final commit memos that a hot key has sent for epochs, each
// before a slot, and returns their signatures. It reads the key's transactions from
// the newest on until all are found.
func (r *Reader) Committed(ctx context.Context, hot string, before map[poc.Epoch]uint64) (map[poc.Epoch]string, error) {
	key, err := hsolana.ParseAddress(hot)
	if err != nil {
		return nil, err
	}
	out := map[poc.Epoch]string{}
	if len(before) == 0 {
		return out, nil
	}
	err = r.history(ctx, key, func(s *rpc.TransactionSignature) (bool, error) {
		if s.Err != nil || s.Memo == nil {
			return true, nil
		}
		e, ok := commitOf(*s.Memo)
		if slot, wanted := before[e]; !ok || !wanted || s.Slot >= slot || out[e] != "" {
			return true, nil
		}
		p, err := r.payment(ctx, s.Signature, "")
		if err != nil {
			return false, err
		}
		if p.Payer != hot || p.Failed != "" || p.Slot >= before[e] {
			return true, nil
		}
		for _, m := range p.Memos {
			if at, ok := commitOf(m); ok && at == e && strings.HasPrefix(m, "hsr1 ") {
				out[e] = p.Signature
			}
		}
		return len(out) < len(before), nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// commitOf reads the epoch of a commit memo, with what nodes put before it.
func commitOf(text string) (e poc.Epoch, ok bool) {
	i := strings.Index(text, "hsr1 e=")
	if i < 0 {
		return 0, false
	}
	n, err := fmt.Sscanf(text[i:], "hsr1 e=%d n=", &e)
	return e, n == 1 && err == nil
}
