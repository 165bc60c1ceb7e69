package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mr-tron/base58"
	"golang.org/x/mod/sumdb/tlog"

	"heliograph/provisioning/identity"
)

// leaf is a row as docs/epoch-bundle.md describes it.
func leaf(epoch uint32, id identity.HotspotID) []byte {
	b := binary.BigEndian.AppendUint32([]byte{1}, epoch)
	b = append(append(b, id.Bytes()...), bytes.Repeat([]byte{5}, 32)...)
	for _, n := range []uint64{11, 22, 33} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return b
}

// transaction is a signed legacy transaction that holds one memo.
func transaction(t *testing.T, payer *identity.Key, text string) (raw []byte, signature string) {
	t.Helper()
	program, err := base58.Decode(memoProgram)
	if err != nil {
		t.Fatal(err)
	}
	m := append([]byte{1, 0, 1, 2}, payer.ID().Bytes()[1:]...)
	m = append(append(m, program...), make([]byte, 32)...)
	m = append(m, 1, 1, 0, byte(len(text)&0x7f|0x80), byte(len(text)>>7))
	m = append(m, text...)
	sig, err := payer.Sign(m)
	if err != nil {
		t.Fatal(err)
	}
	return append(append([]byte{1}, sig...), m...), base58.Encode(sig)
}

func TestRewardsProve(t *testing.T) {
	hot, hotspot, other := identity.NewEd25519([32]byte{9}), identity.NewEd25519([32]byte{1}), identity.NewEd25519([32]byte{2})
	mine, theirs := leaf(7, hotspot.ID()), leaf(7, other.ID())
	root := tlog.NodeHash(tlog.RecordHash(mine), tlog.RecordHash(theirs))
	sibling := tlog.RecordHash(theirs)
	rootText := hex.EncodeToString(root[:])
	good := inclusion{Leaf: mine, Index: 0, Size: 2, Hashes: []string{hex.EncodeToString(sibling[:])}, Root: rootText}
	payer := base58.Encode(hot.ID().Bytes()[1:])
	for _, c := range []struct {
		name   string
		change func(p *inclusion)
		text   string // of the memo
		tamper bool   // the endpoint changes the memo
		args   []string
		code   int
		want   string
	}{
		{name: "good", want: "the root is in memo"},
		{name: "payer named", args: []string{"--payer", payer}, want: payer},
		{name: "as json", args: []string{"--json"}, want: `"on_chain": true`},
		{name: "without a chain", args: []string{"--rpc", ""}, want: "not compared"},
		{name: "another payer", args: []string{"--payer", "x"}, code: 1, want: "was written by"},
		{name: "another amount", change: func(p *inclusion) { p.Leaf[len(p.Leaf)-1]++ }, code: 1, want: "does NOT lead"},
		{name: "another root", change: func(p *inclusion) { p.Root = strings.Repeat("0", 64) }, code: 1, want: "does NOT lead"},
		{name: "another hotspot", change: func(p *inclusion) { copy(p.Leaf, theirs) }, code: 1, want: "another hotspot"},
		{name: "cut", change: func(p *inclusion) { p.Leaf = p.Leaf[:9] }, code: 1, want: "want"},
		{name: "malformed", change: func(p *inclusion) { p.Hashes[0] = "zz" }, code: 1, want: "malformed"},
		{name: "another root on chain", text: "hsr1 e=7 n=1 t=1 r=" + rootText + " l=00 w=00", code: 1, want: "does NOT hold this root"},
		{name: "another epoch on chain", text: "hsr1 e=8 n=1 t=1 r=00 l=00 w=" + rootText, code: 1, want: "does NOT hold this root"},
		{name: "made up by the endpoint", tamper: true, code: 1, want: "not signed by its payer"},
		{name: "no epoch", args: []string{"--epoch", "x"}, code: 2, want: "name one with --epoch"},
		{name: "no hotspot's key", args: []string{"--hotspot", "1abc"}, code: 2, want: "key show"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := good
			p.Leaf, p.Hashes = bytes.Clone(good.Leaf), []string{good.Hashes[0]}
			if c.change != nil {
				c.change(&p)
			}
			if c.text == "" {
				c.text = "hsr1 e=7 n=2 t=132 r=00 l=00 w=" + rootText
			}
			raw, sig := transaction(t, hot, c.text)
			if c.tamper {
				raw[len(raw)-1] ^= 1
			}
			mux := http.NewServeMux()
			mux.HandleFunc("/api/epochs/7/proof/"+hotspot.ID().String(), func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(p) })
			mux.HandleFunc("/api/epochs/7", func(w http.ResponseWriter, _ *http.Request) {
				_, _ = fmt.Fprintf(w, `{"settlement":{"commit_signature":%q}}`, sig)
			})
			mux.HandleFunc("POST /rpc", func(w http.ResponseWriter, _ *http.Request) {
				_, _ = fmt.Fprintf(w, `{"result":{"transaction":[%q,"base64"],"meta":{"err":null}}}`, base64.StdEncoding.EncodeToString(raw))
			})
			srv := httptest.NewServer(mux)
			defer srv.Close()
			args := append([]string{"rewards", "prove", "--epoch", "7", "--url", srv.URL, "--rpc", srv.URL + "/rpc", "--hotspot", hotspot.ID().String()}, c.args...)
			var out, errs bytes.Buffer
			if code := run(t.Context(), args, nil, &out, &errs); code != c.code || !strings.Contains(out.String()+errs.String(), c.want) {
				t.Errorf("%d, want %d and %q\n%s%s", code, c.code, c.want, &out, &errs)
			}
		})
	}
}

// FuzzParseMemo: no endpoint makes the reader panic, or believe what its payer did
// not sign.
func FuzzParseMemo(f *testing.F) {
	f.Add([]byte{1, 2, 3})
	f.Add(append([]byte{1}, make([]byte, 200)...))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if m, err := parseMemo(raw, "x"); err == nil {
			t.Fatalf("%+v", m)
		}
	})
}
