package node_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	pb "heliograph/oracle/api/heliographv1"
	"heliograph/oracle/node"
	"heliograph/poc"
	"heliograph/provisioning/identity"
	"heliograph/radio"
)

// config is one that works on this machine, without a chain.
func config(t *testing.T) node.Config {
	t.Helper()
	c := node.Defaults()
	dir := t.TempDir()
	c.Data, c.Key = filepath.Join(dir, "data"), filepath.Join(dir, "oracle.key")
	c.Listen, c.Explorer.Listen, c.Admin.Listen = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	c.MinFree = 0
	return c
}

// start runs a node and gives a function that stops it and returns Run's error.
func start(t *testing.T, c node.Config) (*node.Node, func() error) {
	t.Helper()
	n, err := node.New(t.Context(), c, node.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	return n, func() error { cancel(); return <-done }
}

func client(t *testing.T, n *node.Node) pb.HotspotsClient {
	t.Helper()
	addr, _, _ := n.Addrs()
	conn, err := grpc.NewClient("passthrough:///"+addr.String(), grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{
		InsecureSkipVerify: true, // the key is compared instead
		VerifyConnection: func(s tls.ConnectionState) error {
			id := n.ID()
			if pub, ok := s.PeerCertificates[0].PublicKey.(ed25519.PublicKey); !ok || !pub.Equal(ed25519.PublicKey(id[1:])) {
				return fmt.Errorf("not the oracle's key")
			}
			return nil
		}})))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return pb.NewHotspotsClient(conn)
}

func assertion(t *testing.T, region string) []byte {
	t.Helper()
	key := identity.NewEd25519([32]byte{5})
	body, err := poc.Assertion{Hotspot: key.ID(), Region: region, Sequence: 1, Time: radio.WallTime{UnixNano: time.Now().UnixNano()}}.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := poc.SignBody(body, key)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func page(t *testing.T, addr net.Addr, path string) string {
	t.Helper()
	r, err := http.Get("http://" + addr.String() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	b, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != 200 {
		t.Fatalf("%s: %s %v", path, r.Status, err)
	}
	return string(b)
}

// A node without a chain takes reports, shows them, and has them after a restart.
func TestRunWithoutChain(t *testing.T) {
	c := config(t)
	n, stop := start(t, c)
	cl := client(t, n)
	if o, err := cl.Submit(t.Context(), &pb.SubmitRequest{Report: assertion(t, "EU869")}); err != nil || poc.Reason(o.GetReason()) != poc.NotRegistered {
		t.Fatalf("unknown region: %v, %v", o, err)
	}
	raw := assertion(t, "EU868")
	first, err := cl.Submit(t.Context(), &pb.SubmitRequest{Report: raw})
	if err != nil || first.GetReason() != 0 {
		t.Fatalf("%v, %v", first, err)
	}
	_, explorer, admin := n.Addrs()
	if s := page(t, explorer, "/api/status"); !strings.Contains(s, `"hotspots":1`) {
		t.Error(s)
	}
	if s := page(t, explorer, "/"); !strings.Contains(s, "Heliograph") {
		t.Error(s)
	}
	for path, want := range map[string]string{"/metrics": "heliograph_ingest_accepted_total 1", "/healthz": "ok", "/readyz": "ok"} {
		if s := page(t, admin, path); !strings.Contains(s, want) {
			t.Errorf("%s lacks %q", path, want)
		}
	}
	if s := page(t, admin, "/readyz"); strings.Contains(s, "wait") {
		t.Errorf("without a chain nothing waits for one: %s", s)
	}
	id := n.ID()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	n, stop = start(t, c)
	defer func() { _ = stop() }()
	if n.ID() != id {
		t.Error("the oracle has another key after a restart")
	}
	again, err := client(t, n).Submit(t.Context(), &pb.SubmitRequest{Report: raw})
	if err != nil || string(again.GetReceipt()) != string(first.GetReceipt()) {
		t.Errorf("after a restart: %v, %v", again, err)
	}
}

// What keeps an oracle from running is said in one line, with a remedy.
func TestRefusesToStart(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	for _, c := range []struct {
		name   string
		change func(*testing.T, *node.Config)
		want   []string
	}{
		{"port in use", func(_ *testing.T, c *node.Config) { c.Listen = taken.Addr().String() }, []string{"in use", "--listen"}},
		{"admin port in use", func(_ *testing.T, c *node.Config) { c.Admin.Listen = taken.Addr().String() }, []string{"in use", "--admin.listen"}},
		{"key of another type", func(t *testing.T, c *node.Config) {
			if _, err := identity.CreateFile(c.Key, identity.ECCCompact, rand.Reader); err != nil {
				t.Fatal(err)
			}
		}, []string{"ed25519", "--key"}},
		{"key for everybody", func(t *testing.T, c *node.Config) {
			if _, err := identity.CreateFile(c.Key, identity.Ed25519, rand.Reader); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(c.Key, 0o644); err != nil {
				t.Fatal(err)
			}
		}, []string{"chmod"}},
		{"not a key", func(t *testing.T, c *node.Config) { write(t, c.Key, "hello") }, []string{"oracle key"}},
		{"key lost", func(t *testing.T, c *node.Config) {
			if err := os.MkdirAll(filepath.Join(c.Data, "journal"), 0o700); err != nil {
				t.Fatal(err)
			}
		}, []string{"does not exist", "backup"}},
		{"data for everybody", func(t *testing.T, c *node.Config) {
			if err := os.Mkdir(c.Data, 0o755); err != nil {
				t.Fatal(err)
			}
		}, []string{"chmod 700"}},
		{"damaged state", func(t *testing.T, c *node.Config) {
			if err := os.Mkdir(c.Data, 0o700); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(c.Data, "state.db"), strings.Repeat("not a database ", 1000))
		}, []string{"damaged", "backup"}},
		{"no such mode", func(_ *testing.T, c *node.Config) { c.Register.Mode = "closed" }, []string{"register.mode", "allowlist"}},
		{"allow list with a slip", func(t *testing.T, c *node.Config) {
			c.Register.Mode, c.Register.Allow = "allowlist", filepath.Join(t.TempDir(), "allow")
			write(t, c.Register.Allow, "# comment\n\n149TDd8d\n")
		}, []string{"line 3"}},
		{"epoch too short", func(_ *testing.T, c *node.Config) { c.Epoch.Length = time.Millisecond }, []string{"epoch length", "choose"}},
		{"grace too long", func(_ *testing.T, c *node.Config) { c.Epoch.Grace = 25 * time.Hour }, []string{"grace", "choose"}},
		{"routes with a slip", func(t *testing.T, c *node.Config) {
			c.Router.Routes = filepath.Join(t.TempDir(), "routes")
			write(t, c.Router.Routes, `{"routes":[{"number":1,"server":"x"}]}`)
		}, []string{"router.routes", "host:port"}},
		{"hot key missing", func(_ *testing.T, c *node.Config) {
			c.Solana.RPC, c.Solana.Key, c.Solana.Mint = "http://127.0.0.1:1", "/nowhere", "x"
		}, []string{"solana.key", "solana-keygen"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := config(t)
			c.change(t, &cfg)
			n, err := node.New(t.Context(), cfg, node.Options{})
			if err == nil {
				t.Fatal("it starts", n.Close())
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q lacks %q", err, w)
				}
			}
		})
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTwoOnOneDirectory(t *testing.T) {
	c := config(t)
	_, stop := start(t, c)
	defer func() { _ = stop() }()
	_, err := node.New(t.Context(), c, node.Options{})
	if err == nil || !strings.Contains(err.Error(), "another oracled") {
		t.Errorf("%v", err)
	}
}

// On the wrong cluster the oracle stops and names both genesis hashes.
func TestWrongCluster(t *testing.T) {
	rpc := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q struct {
			ID any `json:"id"`
		}
		_ = json.NewDecoder(r.Body).Decode(&q)
		_ = json.NewEncoder(w).Encode(map[string]any{"jsonrpc": "2.0", "id": q.ID, "result": "EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG"})
	}))
	defer rpc.Close()
	c := config(t)
	seed := ed25519.NewKeyFromSeed(make([]byte, 32))
	numbers := make([]int, len(seed))
	for i, b := range seed {
		numbers[i] = int(b)
	}
	text, _ := json.Marshal(numbers)
	c.Solana.Key = filepath.Join(t.TempDir(), "hot.json")
	write(t, c.Solana.Key, string(text))
	c.Solana.RPC, c.Solana.Mint = rpc.URL, "So11111111111111111111111111111111111111112"
	c.Solana.Genesis = "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d"
	n, err := node.New(t.Context(), c, node.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err = n.Run(ctx)
	if err == nil || !strings.Contains(err.Error(), "EtWTRABZ") || !strings.Contains(err.Error(), "5eykt4Us") {
		t.Errorf("%v", err)
	}
}
