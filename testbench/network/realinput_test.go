package network

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"heliograph/firmware/forwarder"
	"heliograph/firmware/hotspot"
	"heliograph/oracle/journal"
	"heliograph/oracle/node"
	"heliograph/oracle/router"
	"heliograph/oracle/store"
	"heliograph/oracle/store/segment"
	"heliograph/poc"
	"heliograph/radio"
	"heliograph/radio/gwmp"
	"heliograph/radio/lorawan"
	"heliograph/radio/region"
	"heliograph/testbench/lns"
)

// realInput is what testdata/real_input.json holds, as far as it is sent here.
type realInput struct {
	Examples []struct {
		Kind      string          `json:"kind"`
		JSON      json.RawMessage `json:"json"`
		HeaderHex string          `json:"header_hex"`
	} `json:"gwmp_examples"`
	Session struct {
		Push        json.RawMessage `json:"gwmp_push_data_json"` // the join-request
		JoinRequest string          `json:"join_request_hex"`
		ConfirmedUp string          `json:"confirmed_up_hex"`
	} `json:"captured_session_cns_3_16_8"`
	Frames []struct {
		Name      string `json:"name"`
		Direction string `json:"direction"`
		PHY       string `json:"phy_hex"`
	} `json:"frames_1_0"`
}

// datagrams are the PUSH_DATA to be sent, and the uplinks among them that a
// network must carry. A test gateway's header stands before those that were
// published without one.
func (in realInput) datagrams(t *testing.T, mac gwmp.MAC, us bool) (out [][]byte, want map[string]gwmp.RxPK) {
	t.Helper()
	want = map[string]gwmp.RxPK{}
	add := func(header, body []byte) {
		if header == nil {
			header = append([]byte{2, byte(len(out)), 0x5a, byte(gwmp.KindPushData)}, mac[:]...)
		}
		d := append(slices.Clone(header), body...)
		m, err := gwmp.Parse(d)
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		push, ok := m.(gwmp.PushData)
		if !ok || len(push.RxPKs) == 0 || (push.RxPKs[0].Frequency > 900*radio.MHz) != us {
			return
		}
		out = append(out, d)
		for _, p := range push.RxPKs {
			if p.CRC == radio.CRCOK && p.DataRate.Modulation == radio.LoRa && lorawan.Classify(p.Payload).Uplink() {
				want[string(p.Payload)] = p
			}
		}
	}
	for _, e := range in.Examples {
		if strings.Contains(string(e.JSON), `"rxpk"`) {
			var header []byte
			if e.HeaderHex != "" {
				header = unhex(t, e.HeaderHex)
			}
			add(header, e.JSON)
		}
	}
	add(nil, in.Session.Push)
	phys := [][]byte{unhex(t, in.Session.ConfirmedUp), long(t, 25), long(t, 48), long(t, 49), long(t, 222)}
	for _, f := range in.Frames {
		if f.Direction == "up" {
			phys = append(phys, unhex(t, f.PHY))
		}
	}
	for i, phy := range phys { // published as frames only: received as the captured ones were
		freq := "868.300000"
		if us {
			freq = "904.100000"
		}
		add(nil, fmt.Appendf(nil, `{"rxpk":[{"tmst":%d,"freq":%s,"stat":1,"modu":"LORA","datr":"SF7BW125","codr":"4/5","rssi":-60,"lsnr":7.5,"size":%d,"data":"%s"}]}`,
			2_000_000+1_000_000*i, freq, len(phy), base64.StdEncoding.EncodeToString(phy)))
	}
	return out, want
}

// long is a data uplink of n bytes.
func long(t *testing.T, n int) []byte {
	t.Helper()
	phy, err := lorawan.BuildData10(lorawan.Data{
		DevAddr: 0x48000099, FCnt: uint32(n), HasFPort: true, FPort: 1, FRMPayload: make([]byte, n-13),
	}, lorawan.SessionKeys{})
	if err != nil || len(phy) != n {
		t.Fatalf("%d bytes, %v", len(phy), err)
	}
	return phy
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// background runs f until the test ends or the returned function is called.
func background(t *testing.T, what string, f func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", what, err)
		}
	}
	t.Cleanup(stop)
	return stop
}

// routing is an oracle that only routes, in this process, and its network server.
type routing struct {
	node *node.Node
	data string
	sink *lns.Server
	stop func()
}

func startRouting(t *testing.T, plan *region.Plan, devices ...lns.Device) routing {
	t.Helper()
	return startRoutingWith(t, plan, nil, devices...)
}

// startRoutingWith takes the content of the oracle's key file; nil makes a key.
func startRoutingWith(t *testing.T, plan *region.Plan, key []byte, devices ...lns.Device) routing {
	t.Helper()
	sink, err := lns.Listen("127.0.0.1:0", lns.Config{Plan: plan, Devices: devices}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sink.Close() })
	dir := t.TempDir()
	routes := filepath.Join(dir, "routes.json")
	text, err := json.Marshal(map[string]any{"routes": []router.Route{{Number: 1, Name: "sink", Server: sink.Addr().String(), Default: true}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(routes, text, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := node.Defaults()
	cfg.Data, cfg.Key = filepath.Join(dir, "data"), filepath.Join(dir, "oracle.key")
	cfg.Listen, cfg.Explorer.Listen, cfg.Admin.Listen = "127.0.0.1:0", "", ""
	if key != nil {
		if err := os.WriteFile(cfg.Key, key, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg.MinFree, cfg.Router.Routes = 1<<20, routes
	n, err := node.New(t.Context(), cfg, node.Options{Logger: testLog(t)})
	if err != nil {
		t.Fatal(err)
	}
	return routing{n, cfg.Data, sink, background(t, "oracle", n.Run)}
}

// testLog shows warnings in the test's output.
func testLog(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// carried reads from the stopped oracle's journal what was bought: data credits
// by packet.
func (r routing) carried(t *testing.T) map[string][]uint32 {
	t.Helper()
	log, _, err := segment.Open(filepath.Join(r.data, "journal"), segment.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	j, err := journal.New(t.Context(), log)
	if err != nil {
		t.Fatal(err)
	}
	phys, credits := map[poc.ID]string{}, map[poc.ID][]uint32{}
	for s := range store.Shard(store.Shards) {
		err := j.Read(t.Context(), s, 0, log.End(s), func(_ journal.Position, e journal.Entry) error {
			switch e.Type {
			case journal.TypeReport:
				if r, err := poc.ParseReport(e.Data); err == nil && r.Packet != nil {
					phys[r.ID] = string(r.Packet.PHY)
				}
			case journal.TypeCarried:
				c, err := journal.ParseCarried(e.Data)
				if err != nil {
					return err
				}
				credits[c.Packet] = append(credits[c.Packet], c.Credits)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	out := map[string][]uint32{}
	for id, c := range credits {
		out[phys[id]] = append(out[phys[id]], c...)
	}
	return out
}

// attach starts a hotspot with the firmware's Semtech UDP listener, as hotspotd
// does, and gives the socket of a packet forwarder attached to it.
func attach(t *testing.T, r routing, plan string) (net.Conn, func()) {
	t.Helper()
	return attachIn(t, r, plan, t.TempDir())
}

func attachIn(t *testing.T, r routing, plan, dir string) (net.Conn, func()) {
	t.Helper()
	fwd, err := forwarder.Listen(t.Context(), forwarder.Config{Addr: "127.0.0.1:0", Log: testLog(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = fwd.Close() })
	key, err := fileKey(filepath.Join(dir, "hotspot.key"))
	if err != nil {
		t.Fatal(err)
	}
	addr, _, _ := r.node.Addrs()
	h, err := hotspot.New(hotspot.Config{
		Key: key, OracleAddr: addr.String(), OracleKey: r.node.ID(), Region: plan, Owner: poc.Wallet{1},
		Position: poc.Position{LatE7: 48_2085000, LonE7: 16_3731000}, DataDir: dir, Concentrator: fwd,
		TrustSystemClock: true, Log: testLog(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	stop := background(t, "hotspot", h.Run)
	conn, err := net.Dial("udp", fwd.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn, stop
}

// TestRealInput sends recorded datagrams into a hotspot over UDP: what is an
// uplink comes out at the network server with the same bytes, radio parameters
// and counter, and costs one data credit for each 24 bytes begun; joins are free.
func TestRealInput(t *testing.T) {
	text, err := os.ReadFile("testdata/real_input.json")
	if err != nil {
		t.Fatal(err)
	}
	var in realInput
	if err := json.Unmarshal(text, &in); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"EU868", "US915"} {
		t.Run(name, func(t *testing.T) {
			plan, err := region.ByName(name)
			if err != nil {
				t.Fatal(err)
			}
			r := startRouting(t, plan)
			conn, stop := attach(t, r, name)
			datagrams, want := in.datagrams(t, gwmp.MAC{0xaa, 0x55}, name == "US915")
			if name == "EU868" && want[string(unhex(t, in.Session.JoinRequest))].Tmst != 1_000_000 {
				t.Fatal("the captured join-request is not among the datagrams")
			}
			for _, d := range datagrams {
				if _, err := conn.Write(d); err != nil {
					t.Fatal(err)
				}
				acked(t, conn, d)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			got, err := r.sink.Await(ctx, func(all []lns.Record) bool { return len(all) >= len(want) })
			if err != nil {
				t.Fatalf("%d of %d uplinks arrived: %v", len(got), len(want), err)
			}
			compareUplinks(t, got, want)
			stop()
			r.stop()
			checkCredits(t, r.carried(t), want)
		})
	}
}

// acked waits for the PUSH_ACK of a datagram.
func acked(t *testing.T, conn net.Conn, d []byte) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 64)
	n, err := conn.Read(buf)
	if err != nil || n != 4 || buf[1] != d[1] || buf[2] != d[2] || gwmp.Kind(buf[3]) != gwmp.KindPushAck {
		t.Fatalf("acknowledgement %x of %x, %v", buf[:n], d[:4], err)
	}
}

func compareUplinks(t *testing.T, got []lns.Record, want map[string]gwmp.RxPK) {
	t.Helper()
	open := maps.Clone(want)
	for _, r := range got {
		w, ok := open[string(r.First.Payload)]
		if !ok {
			t.Errorf("came out and should not have, or twice: %x", r.First.Payload)
			continue
		}
		delete(open, string(r.First.Payload))
		if g := r.First; g.Tmst != w.Tmst || g.Frequency != w.Frequency || g.DataRate != w.DataRate || g.CRC != radio.CRCOK || len(r.Gateways) != 1 {
			t.Errorf("%x: %d µs, %v, %v through %v; want %d µs, %v, %v", g.Payload, g.Tmst, g.Frequency, g.DataRate, r.Gateways, w.Tmst, w.Frequency, w.DataRate)
		}
	}
	for phy := range open {
		t.Errorf("lost: %x", phy)
	}
}

func checkCredits(t *testing.T, got map[string][]uint32, want map[string]gwmp.RxPK) {
	t.Helper()
	for phy := range want {
		price := uint32(len(phy)+23) / 24
		if lorawan.Classify([]byte(phy)) == lorawan.JoinRequest {
			price = 0
		}
		if c := got[phy]; !slices.Equal(c, []uint32{price}) && (price != 0 || len(c) != 0) {
			t.Errorf("%d bytes %x: credits %v, want %d once", len(phy), phy[:4], c, price)
		}
		delete(got, phy)
	}
	for phy, c := range got {
		t.Errorf("%v credits for %x, which should not be carried", c, phy)
	}
}

// TestOracleForgets: a hotspot whose assertion an oracle of the same key does not
// know, because it was restored from an empty disk, asserts again.
func TestOracleForgets(t *testing.T) {
	plan, err := region.ByName("EU868")
	if err != nil {
		t.Fatal(err)
	}
	r := startRouting(t, plan)
	key, err := os.ReadFile(filepath.Join(filepath.Dir(r.data), "oracle.key"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	visit := func(r routing) {
		t.Helper()
		conn, stop := attachIn(t, r, "EU868", dir)
		d := append([]byte{2, 1, 2, byte(gwmp.KindPushData), 1, 2, 3, 4, 5, 6, 7, 8},
			fmt.Appendf(nil, `{"rxpk":[{"tmst":1,"freq":868.1,"stat":1,"modu":"LORA","datr":"SF7BW125","codr":"4/5","rssi":-60,"lsnr":7.5,"size":25,"data":"%s"}]}`,
				base64.StdEncoding.EncodeToString(long(t, 25)))...)
		if _, err := conn.Write(d); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if _, err := r.sink.Await(ctx, func(all []lns.Record) bool { return len(all) == 1 }); err != nil {
			t.Fatal(err)
		}
		stop()
		r.stop()
	}
	visit(r)
	visit(startRoutingWith(t, plan, key))
}
