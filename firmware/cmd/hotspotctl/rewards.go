package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/mr-tron/base58"
	"golang.org/x/mod/sumdb/tlog"

	"heliograph/provisioning/identity"
)

// inclusion is an oracle's proof, of which only the leaf and the hashes are
// believed (docs/epoch-bundle.md).
type inclusion struct {
	Leaf   []byte   `json:"leaf"`
	Index  int64    `json:"index"`
	Size   int64    `json:"size"`
	Hashes []string `json:"hashes"`
	Root   string   `json:"root"`
}

// leafSize is that of a row: version u8, epoch u32, hotspot, owner, amounts for
// beacons, witnesses and data u64 each; big-endian.
const leafSize = 1 + 4 + identity.Size + 32 + 3*8

// earned is what a proof shows.
type earned struct {
	Epoch     uint32 `json:"epoch"`
	Hotspot   string `json:"hotspot"`
	Owner     string `json:"owner"`
	Beacon    uint64 `json:"beacon"`
	Witness   uint64 `json:"witness"`
	Data      uint64 `json:"data"`
	Root      string `json:"root"`
	Index     int64  `json:"index"`
	Size      int64  `json:"size"`
	Signature string `json:"commit_signature,omitempty"` // of the memo on chain
	Payer     string `json:"payer,omitempty"`            // who wrote it
	OnChain   bool   `json:"on_chain"`                   // the root was compared with the chain
}

// rewardsProve shows and checks what a hotspot earned in an epoch.
func rewardsProve(ctx context.Context, cfg config, w io.Writer) error {
	n, err := strconv.ParseUint(cfg.Epoch, 10, 32)
	if err != nil {
		return wrongUse("rewards prove: epoch %q is not a number: name one with --epoch", cfg.Epoch)
	}
	id, err := subject(cfg)
	if err != nil {
		return err
	}
	var p inclusion
	if err := oracleJSON(ctx, cfg, fmt.Sprintf("/api/epochs/%d/proof/%s", n, id), &p); err != nil {
		return err
	}
	out, err := p.check(uint32(n), id)
	if err != nil {
		return err
	}
	if cfg.RPC != "" {
		if err := out.compare(ctx, cfg); err != nil {
			return err
		}
	}
	if cfg.JSON {
		return printJSON(w, out)
	}
	return out.print(w)
}

// subject is the hotspot that is asked about: the named one, or that of the key.
func subject(cfg config) (identity.HotspotID, error) {
	if cfg.Hotspot != "" {
		id, err := identity.ParseText(cfg.Hotspot)
		if err != nil {
			return id, wrongUse("--hotspot: %w: give the key as `hotspotctl key show` prints it", err)
		}
		return id, nil
	}
	key, err := identity.LoadFile(cfg.KeyFile)
	if err != nil {
		return identity.HotspotID{}, fmt.Errorf("%w: name the key with --key-file, or the hotspot with --hotspot", err)
	}
	return key.ID(), nil
}

// oracleJSON asks an oracle's explorer.
func oracleJSON(ctx context.Context, cfg config, path string, v any) error {
	ctx, cancel := context.WithTimeout(ctx, cfg.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(cfg.URL, "/")+path, nil)
	if err != nil {
		return fmt.Errorf("%w: correct --url", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("%w: name the address of an oracle's explorer with --url", err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxStatus))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		var why struct{ Error string }
		_ = json.Unmarshal(b, &why) // another server's answer is shown by its status only
		return fmt.Errorf("%s answers %s: %s", req.URL, resp.Status, why.Error)
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%s: not an oracle's answer: %w: correct --url", req.URL, err)
	}
	return nil
}

// check says whether the proof is about the hotspot and leads to its root.
func (p inclusion) check(epoch uint32, id identity.HotspotID) (earned, error) {
	if len(p.Leaf) != leafSize || p.Leaf[0] != 1 {
		return earned{}, fmt.Errorf("the oracle's leaf has %d bytes, want %d of version 1", len(p.Leaf), leafSize)
	}
	b := p.Leaf[1:]
	e := earned{Epoch: binary.BigEndian.Uint32(b), Root: p.Root, Index: p.Index, Size: p.Size}
	if e.Epoch != epoch || !bytes.Equal(b[4:4+identity.Size], id.Bytes()) {
		return earned{}, fmt.Errorf("the oracle's proof is about another hotspot or epoch (%d)", e.Epoch)
	}
	b = b[4+identity.Size:]
	e.Hotspot, e.Owner = id.String(), base58.Encode(b[:32])
	e.Beacon, e.Witness, e.Data = binary.BigEndian.Uint64(b[32:]), binary.BigEndian.Uint64(b[40:]), binary.BigEndian.Uint64(b[48:])
	root, err := hash(p.Root)
	if err != nil || len(p.Hashes) > 64 {
		return earned{}, fmt.Errorf("the oracle's root or proof is malformed: %w", err)
	}
	proof := make(tlog.RecordProof, len(p.Hashes))
	for i, text := range p.Hashes {
		if proof[i], err = hash(text); err != nil {
			return earned{}, fmt.Errorf("the oracle's proof is malformed: %w", err)
		}
	}
	if err := tlog.CheckRecord(proof, p.Size, root, p.Index, tlog.RecordHash(p.Leaf)); err != nil {
		return earned{}, fmt.Errorf("the proof does NOT lead to the root that the oracle names: %w", err)
	}
	return e, nil
}

func hash(text string) (h tlog.Hash, err error) {
	b, err := hex.DecodeString(text)
	if err == nil && len(b) != sha256.Size {
		err = fmt.Errorf("hash of %d bytes", len(b))
	}
	copy(h[:], b)
	return h, err
}

// compare holds the root of the rewards against the oracle's memo on chain. The root
// of the payouts, which is there too, says what owners get: sums over their hotspots.
func (e *earned) compare(ctx context.Context, cfg config) error {
	var shown struct {
		Settlement struct {
			Signature string `json:"commit_signature"`
		} `json:"settlement"`
	}
	if err := oracleJSON(ctx, cfg, fmt.Sprintf("/api/epochs/%d", e.Epoch), &shown); err != nil {
		return err
	}
	if shown.Settlement.Signature == "" {
		return errors.New("the root is not final on chain yet: try again in some minutes, or leave --rpc out")
	}
	memo, err := readMemo(ctx, cfg, shown.Settlement.Signature)
	if err != nil {
		return err
	}
	e.Signature, e.Payer = shown.Settlement.Signature, memo.payer
	if cfg.Payer != "" && memo.payer != cfg.Payer {
		return fmt.Errorf("the memo %s was written by %s, not by %s", e.Signature, memo.payer, cfg.Payer)
	}
	for _, text := range memo.texts {
		words := strings.Fields(text)
		if len(words) > 1 && words[0] == "hsr1" && words[1] == fmt.Sprintf("e=%d", e.Epoch) && strings.Contains(text+" ", " w="+e.Root+" ") {
			e.OnChain = true
			return nil
		}
	}
	return fmt.Errorf("the chain does NOT hold this root: the memo %s says %q", e.Signature, memo.texts)
}

func (e earned) print(w io.Writer) error {
	chain := "not compared: name an RPC endpoint with --rpc"
	if e.OnChain {
		chain = fmt.Sprintf("the root is in memo %s of %s", e.Signature, e.Payer)
	}
	_, err := fmt.Fprintf(w, "%-8s %d\n%-8s %s\n%-8s %s\n%-8s %d for beacons, %d as witness, %d for data\n%-8s row %d of %d leads to root %s\n%-8s %s\n",
		"epoch", e.Epoch, "hotspot", e.Hotspot, "owner", e.Owner, "earned", e.Beacon, e.Witness, e.Data, "proof", e.Index+1, e.Size, e.Root, "chain", chain)
	return err
}

// memo is what a final transaction says.
type memo struct {
	payer string
	texts []string
}

// memoProgram is the address of the SPL memo program.
const memoProgram = "MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr"

// readMemo fetches a final transaction from a Solana endpoint. Its signature is
// checked, so that the endpoint cannot make one up.
func readMemo(ctx context.Context, cfg config, signature string) (m memo, err error) {
	ctx, cancel := context.WithTimeout(ctx, cfg.Timeout)
	defer cancel()
	ask, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": "getTransaction",
		"params": []any{signature, map[string]any{"encoding": "base64", "commitment": "finalized", "maxSupportedTransactionVersion": 0}}})
	if err != nil {
		return m, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, cfg.RPC, bytes.NewReader(ask))
	if err != nil {
		return m, fmt.Errorf("%w: correct --rpc", err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return m, fmt.Errorf("%w: correct --rpc", err)
	}
	defer resp.Body.Close()
	var answer struct {
		Result *struct {
			Transaction []string `json:"transaction"`
			Meta        *struct {
				Err any `json:"err"`
			} `json:"meta"`
		} `json:"result"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxStatus)).Decode(&answer); err != nil {
		return m, fmt.Errorf("%s answers %s: %w: correct --rpc", cfg.RPC, resp.Status, err)
	}
	r := answer.Result
	if r == nil || len(r.Transaction) == 0 || r.Meta == nil || r.Meta.Err != nil {
		return m, fmt.Errorf("%s knows no final, successful transaction %s: ask an endpoint of the right cluster that keeps history", cfg.RPC, signature)
	}
	raw, err := base64.StdEncoding.DecodeString(r.Transaction[0])
	if err != nil {
		return m, fmt.Errorf("%s: transaction: %w", cfg.RPC, err)
	}
	return parseMemo(raw, signature)
}

// parseMemo reads a transaction: signatures, then the message that they are over.
func parseMemo(raw []byte, signature string) (m memo, err error) {
	c := &cursor{b: raw}
	sigs := c.take(64 * c.short())
	message := c.b
	if c.peek()&0x80 != 0 {
		c.take(1) // version of the message
	}
	c.take(3)
	keys := c.take(32 * c.short())
	c.take(32) // blockhash
	for range c.short() {
		program := int(c.peek())
		c.take(1)
		c.take(c.short())
		data := c.take(c.short())
		if 32*program+32 <= len(keys) && base58.Encode(keys[32*program:32*program+32]) == memoProgram {
			m.texts = append(m.texts, string(data))
		}
	}
	if c.cut || len(sigs) < 64 || len(keys) < 32 {
		return memo{}, errors.New("the endpoint's transaction is cut short")
	}
	if base58.Encode(sigs[:64]) != signature {
		return memo{}, errors.New("the endpoint shows another transaction than the one that was asked for")
	}
	m.payer = base58.Encode(keys[:32])
	id, err := identity.ParseHotspotID(append([]byte{byte(identity.Mainnet) | byte(identity.Ed25519)}, keys[:32]...))
	if err == nil {
		err = id.Verify(message, sigs[:64])
	}
	if err != nil {
		return memo{}, fmt.Errorf("the endpoint's transaction is not signed by its payer: %w", err)
	}
	return m, nil
}

// cursor takes fields off a transaction. After the end everything is empty.
type cursor struct {
	b   []byte
	cut bool // something was missing
}

func (c *cursor) take(n int) []byte {
	if n < 0 || n > len(c.b) {
		c.cut, c.b = true, nil
		return nil
	}
	out := c.b[:n]
	c.b = c.b[n:]
	return out
}

func (c *cursor) peek() byte {
	if len(c.b) == 0 {
		c.cut = true
		return 0
	}
	return c.b[0]
}

// short reads a compact-u16: seven bits a byte, the lowest first.
func (c *cursor) short() (n int) {
	for shift := 0; shift < 21; shift += 7 {
		b := c.peek()
		c.take(min(1, len(c.b)))
		n |= int(b&0x7f) << shift
		if b&0x80 == 0 {
			return n
		}
	}
	c.cut = true
	return 0
}
