package web_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mr-tron/base58"

	"heliograph/oracle/audit"
	"heliograph/oracle/epoch"
	"heliograph/oracle/epoch/epochtest"
	"heliograph/oracle/ledger"
	"heliograph/oracle/policy"
	"heliograph/oracle/web"
	"heliograph/poc"
	"heliograph/provisioning/identity"
)

func serve(t *testing.T, change func(*web.Config)) (*epochtest.World, []epoch.Record, string) {
	t.Helper()
	w := epochtest.New(t, 4)
	recs := w.Run(2)
	c := web.Config{Core: w.Core, Epochs: w.Manager, Book: ledger.NewBook(w.KV), Settlement: w.Chain.Settlement, Calendar: epochtest.Calendar(), Bundle: true,
		SeedMemo: func(_ context.Context, e poc.Epoch) string { return fmt.Sprintf("seed-%d", e) },
		Oracle:   epochtest.Oracle().ID(), Network: "test", Online: func(id identity.HotspotID) bool { return id == w.Keys[0].ID() }}
	if change != nil {
		change(&c)
	}
	h, err := web.New(c)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return w, recs, s.URL
}

func get(t *testing.T, url string, want int) []byte {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	b, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != want {
		t.Fatalf("%s: %s, want %d: %s %v", url, r.Status, want, b, err)
	}
	for _, h := range []string{"Content-Security-Policy", "X-Content-Type-Options"} {
		if r.Header.Get(h) == "" {
			t.Errorf("%s: no %s", url, h)
		}
	}
	return b
}

func into[T any](t *testing.T, b []byte) (v T) {
	t.Helper()
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	return v
}

func TestAPI(t *testing.T) {
	w, recs, url := serve(t, nil)
	st := into[web.Status](t, get(t, url+"/api/status", 200))
	if st.Hotspots != 4 || st.Totals.Issued != 2*epochtest.Emission || st.Oracle != epochtest.Oracle().ID() {
		t.Errorf("%+v", st)
	}
	var all []web.Hotspot
	for after := ""; ; {
		page := into[web.Hotspots](t, get(t, url+"/api/hotspots?limit=3&after="+after, 200))
		all = append(all, page.Hotspots...)
		if after = page.Next; after == "" {
			break
		}
	}
	if len(all) != 4 {
		t.Fatalf("%d hotspots", len(all))
	}
	for _, h := range all {
		reg, _ := w.Core.Registration(h.ID)
		if h.LatE7 == reg.Position.LatE7 || h.LonE7 == reg.Position.LonE7 {
			t.Errorf("hotspot %s is shown at its exact place", h.Name)
		}
		if h.Online != (h.ID == w.Keys[0].ID()) || h.Name != h.ID.Name() {
			t.Errorf("%+v", h)
		}
	}
	one := into[web.HotspotDetail](t, get(t, url+"/api/hotspots/"+w.Keys[1].ID().String(), 200))
	if len(one.Verdicts) == 0 || one.Earned == "0" || one.Epoch != recs[1].Epoch {
		t.Errorf("%+v", one)
	}
	bs := into[struct{ Beacons []epoch.Beacon }](t, get(t, url+"/api/beacons?limit=2", 200)).Beacons
	if len(bs) != 2 || len(bs[0].Witnesses) != 3 || bs[0].Text == "" || bs[0].Witnesses[0].Text == "" {
		t.Errorf("%+v", bs)
	}
	es := into[struct{ Epochs []web.Epoch }](t, get(t, url+"/api/epochs", 200)).Epochs
	if len(es) != 2 || es[0].Epoch != recs[1].Epoch || es[0].Settlement.CommitSignature == "" || es[0].Secret == nil {
		t.Errorf("%+v", es)
	}
	e := into[web.Epoch](t, get(t, fmt.Sprintf("%s/api/epochs/%d", url, recs[0].Epoch), 200))
	if e.Root != recs[0].Root {
		t.Errorf("%+v", e)
	}
	p := into[epoch.Proof](t, get(t, fmt.Sprintf("%s/api/epochs/%d/proof/%s", url, recs[0].Epoch, w.Keys[2].ID()), 200))
	if err := p.Check(); err != nil || p.Root != recs[0].Root {
		t.Errorf("%+v: %v", p, err)
	}
}

// What the explorer gives out is enough for a stranger.
func TestBundleCanBeAudited(t *testing.T) {
	w, recs, url := serve(t, nil)
	b, err := epoch.ReadBundle(strings.NewReader(string(get(t, fmt.Sprintf("%s/api/epochs/%d/bundle", url, recs[1].Epoch), 200))))
	if err != nil {
		t.Fatal(err)
	}
	rep, err := audit.Run(t.Context(), b, audit.Options{Chain: w.Chain, Payer: epochtest.Payer})
	if err != nil || !rep.OK {
		t.Errorf("%+v, %v", rep, err)
	}
}

func TestSecretOfOpenEpochStaysSecret(t *testing.T) {
	w, recs, url := serve(t, nil)
	open := recs[1].Epoch + 1
	w.Now = w.Now.Add(1)
	w.Advance()
	if _, ok := w.Journal.Opening(open); !ok {
		t.Fatal("the epoch is not open")
	}
	for _, path := range []string{"", "/bundle", "/proof/" + w.Keys[0].ID().String()} {
		get(t, fmt.Sprintf("%s/api/epochs/%d%s", url, open, path), 404)
	}
}

func TestRefusals(t *testing.T) {
	_, recs, url := serve(t, func(c *web.Config) { c.Bundle = false })
	for path, want := range map[string]int{
		"/api/beacons?limit=0":     400,
		"/api/beacons?limit=201":   400,
		"/api/beacons?limit=x":     400,
		"/api/hotspots?limit=1001": 400,
		"/api/hotspots?after=x":    400,
		"/api/hotspots/x":          400,
		"/api/epochs/-1":           400,
		"/api/epochs/4294967296":   400,
		"/api/epochs/7":            404,
		"/api/nothing":             404,
		"/nothing":                 404,
		fmt.Sprintf("/api/epochs/%d/bundle", recs[0].Epoch):                                                    403,
		fmt.Sprintf("/api/epochs/%d/proof/%s", recs[0].Epoch, identity.NewEd25519([32]byte{99}).ID().String()): 404,
		"/api/hotspots/" + identity.NewEd25519([32]byte{99}).ID().String():                                     404,
	} {
		get(t, url+path, want)
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS"} {
		req, _ := http.NewRequest(method, url+"/api/status", nil)
		r, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Body.Close()
		if r.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("%s: %s", method, r.Status)
		}
	}
}

// The page loads nothing from elsewhere and holds no inline script or style.
func TestPage(t *testing.T) {
	_, _, url := serve(t, nil)
	page := string(get(t, url+"/", 200))
	for _, name := range []string{"explorer.js", "explorer.css", "icon.svg"} {
		if !strings.Contains(page, `"`+name+`"`) {
			t.Errorf("the page does not name %s", name)
		}
		text := string(get(t, url+"/"+name, 200))
		for _, bad := range []string{"innerHTML", "https://", "//cdn"} {
			if strings.Contains(text, bad) {
				t.Errorf("%s holds %q", name, bad)
			}
		}
	}
	for _, bad := range []string{"<style", "style=", "onclick=", "http://", "https://"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page holds %q", bad)
		}
	}
}

// threshold is a policy under which nobody is paid below a sum.
func threshold(t *testing.T, least ledger.Amount) policy.Chain {
	t.Helper()
	shares := epochtest.Terms().Policy
	shares.Emission = 0
	key := identity.NewEd25519([32]byte{0x70})
	s, err := policy.Sign(policy.Document{Version: 1, From: epochtest.First, Shares: shares, Threshold: least,
		Schedule: policy.Schedule{Kind: policy.Fixed, Initial: epochtest.Emission}}, key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := policy.NewChain(key.ID(), []policy.Signed{s})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestWalletThatWaits: what is below the payout threshold is shown with its reason.
func TestWalletThatWaits(t *testing.T) {
	w := epochtest.New(t, 4)
	w.Rule(threshold(t, 2*epochtest.Emission))
	recs := w.Run(2)
	h, err := web.New(web.Config{Core: w.Core, Epochs: w.Manager, Book: ledger.NewBook(w.KV), Settlement: w.Chain.Settlement, Calendar: epochtest.Calendar(), Oracle: epochtest.Oracle().ID()})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(h)
	defer s.Close()
	waiting, err := w.Manager.Carried(t.Context(), recs[1].Epoch)
	if err != nil || len(waiting) == 0 {
		t.Fatalf("%d wallets wait, %v", len(waiting), err)
	}
	for _, p := range waiting {
		got := into[web.Wallet](t, get(t, s.URL+"/api/wallets/"+base58.Encode(p.Wallet[:]), http.StatusOK))
		if got.CarriedOver != fmt.Sprint(p.Amount) || got.Owed != got.CarriedOver || got.Threshold != fmt.Sprint(2*epochtest.Emission) || !strings.Contains(got.Why, "threshold") {
			t.Errorf("wallet waits for %d: %+v", p.Amount, got)
		}
	}
}
