package node

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"heliograph/oracle/challenge"
	"heliograph/oracle/epoch"
	"heliograph/oracle/ingest"
	"heliograph/oracle/ledger"
	"heliograph/oracle/reward"
	"heliograph/provisioning/settings"
)

// Config is the configuration of an oracle: file, environment and flags fill it
// (package provisioning/settings). [Defaults] gives what an operator need not
// say.
type Config struct {
	Data    string `toml:"data" help:"directory of journal and books; only the owner may read it"`
	Key     string `toml:"key" help:"file of the oracle's Ed25519 identity key; made when it does not exist and data is empty"`
	Network string `toml:"network" help:"free text that names the network to hotspots and people"`
	Listen  string `toml:"listen" help:"address for hotspots (gRPC over TLS 1.3)"`
	MinFree int64  `toml:"min_free_bytes" help:"free disk space below which reports are refused"`

	Log      settings.Log `toml:"log"`
	Epoch    Epoch        `toml:"epoch"`
	Register Register     `toml:"register"`
	Limits   Limits       `toml:"limits"`
	Reward   Reward       `toml:"reward"`
	Payout   Payout       `toml:"payout"`
	Router   Router       `toml:"router"`
	Explorer Explorer     `toml:"explorer"`
	Admin    Admin        `toml:"admin"`
	Solana   Solana       `toml:"solana"`
}

// Epoch is the calendar and the density of challenges.
type Epoch struct {
	Length     time.Duration `toml:"length" help:"of an epoch, whole seconds; never change it on a running network"`
	Grace      time.Duration `toml:"grace" help:"how long after its end an epoch takes reports"`
	Tolerance  time.Duration `toml:"tolerance" help:"how far a report's time may lie ahead of the oracle's clock"`
	Challenges int           `toml:"challenges" help:"beacons that each hotspot is asked for in an epoch"`
	Guard      time.Duration `toml:"guard" help:"no challenge in the first and the last of an epoch"`
	MinLead    time.Duration `toml:"min_lead" help:"challenges due sooner than this after the epoch's opening do not count"`
	Deliver    time.Duration `toml:"deliver" help:"how long before it is due a challenge is delivered"`
	Poll       time.Duration `toml:"poll" help:"how often the oracle looks at what is due"`
}

// Register says who may register.
type Register struct {
	Mode  string `toml:"mode" help:"open: everybody; allowlist: the keys in register.allow"`
	Allow string `toml:"allow" help:"file with one hotspot key a line, # begins a comment"`
}

// Limits protect the door.
type Limits struct {
	ReportsPerMinute int           `toml:"reports_per_minute" help:"of one hotspot in the long run; 0 means no limit"`
	ReportsBurst     int           `toml:"reports_burst" help:"of one hotspot at once"`
	PeerPerMinute    int           `toml:"peer_per_minute" help:"reports outside sessions and openings of sessions from one address (IPv6: one /64); 0 means no limit"`
	PeerBurst        int           `toml:"peer_burst" help:"the same from one address at once"`
	SessionsPerHour  int           `toml:"sessions_per_hour" help:"of one hotspot; 0 means no limit"`
	Session          time.Duration `toml:"session" help:"longest validity of a session key"`
	Conns            int           `toml:"conns" help:"connections at once"`
	ConnsPerPeer     int           `toml:"conns_per_peer" help:"connections at once from one address"`
	Handshakes       int           `toml:"handshakes" help:"TLS handshakes at once"`
	Reports          int           `toml:"reports" help:"reports remembered for deduplication"`
}

// Reward is the emission policy.
type Reward struct {
	Emission    uint64 `toml:"emission" help:"tokens created in an epoch, in the smallest unit"`
	CreditPrice uint64 `toml:"credit_price" help:"price of a data credit in the token's smallest unit; packets earn at most that"`
	Operator    string `toml:"operator" help:"wallet that the operations share is paid to; empty: it stays in the remainder"`
	Threshold   uint64 `toml:"threshold" help:"least sum that is paid out, in the smallest unit; smaller ones are carried over"`
	Policy      string `toml:"policy" help:"files of the network's signed policy documents, separated by commas, from version 1 on; instead of the values above"`
	PolicyKey   string `toml:"policy_key" help:"key that the policy documents must be signed by"`
}

// Router is about packets.
type Router struct {
	Routes      string `toml:"routes" help:"JSON file with the routes; empty: packets are journaled and not forwarded"`
	MaxGateways int    `toml:"max_gateways" help:"hotspots with a socket to network servers at once"`
}

// Explorer is the public page and API.
type Explorer struct {
	Listen string `toml:"listen" help:"address of the explorer (plain HTTP); empty: none"`
	Bundle bool   `toml:"bundle" help:"give out what epochs are computed from; it holds the asserted places"`
}

// Admin is for the operator only.
type Admin struct {
	Listen string `toml:"listen" help:"address of metrics, health and bundles (plain HTTP): keep it on loopback; empty: none"`
	Socket string `toml:"socket" help:"unix socket for oraclectl settle and ledger; empty: admin.sock in the data directory, which only the owner may enter"`
}

// Solana is where payouts go. Without an endpoint reports are taken and packets
// routed, but no epoch is opened.
type Solana struct {
	RPC          string        `toml:"rpc" help:"URLs of JSON-RPC endpoints, separated by commas; what one says is final counts when a second one confirms it; empty: no epoch is opened"`
	Genesis      string        `toml:"genesis" help:"genesis hash of the cluster that is meant; empty: the first one seen"`
	Key          string        `toml:"key" help:"file of the hot key (a JSON array of 64 numbers); rather use a signer"`
	Signer       string        `toml:"signer" help:"socket of the oraclesigner that keeps the hot key, instead of a key file"`
	Mint         string        `toml:"mint" help:"address of the token's mint"`
	Treasury     string        `toml:"treasury" help:"token account that payouts come from; empty: the hot key's own"`
	UnitPrice    uint64        `toml:"unit_price" help:"priority fee of a first attempt, micro-lamports a compute unit"`
	MaxUnitPrice uint64        `toml:"max_unit_price" help:"limit of the priority fee of later attempts"`
	OffCurve     bool          `toml:"off_curve" help:"pay wallets that no key can sign for, such as vaults of programs; otherwise they are held"`
	Poll         time.Duration `toml:"poll" help:"between two looks at the chain"`
	ReclaimAfter uint64        `toml:"reclaim_after" help:"blocks after an epoch was closed until the rent of its markers is taken back; 0: never"`
}

// endpoints are the URLs of RPC.
func (s Solana) endpoints() []string {
	return strings.FieldsFunc(s.RPC, func(r rune) bool { return r == ',' || r == ' ' })
}

// Defaults is the configuration of an operator who says nothing.
func Defaults() Config {
	ch := challenge.Default()
	return Config{
		Data: "/var/lib/oracled", Key: "/var/lib/oracled/oracle.key", Listen: ":7443", MinFree: 1 << 30,
		Epoch: Epoch{Length: 24 * time.Hour, Grace: time.Hour, Tolerance: 2 * time.Second, Challenges: int(ch.PerEpoch),
			Guard: ch.Guard, MinLead: ch.MinLead, Deliver: 10 * time.Second, Poll: time.Second},
		Register: Register{Mode: "open"},
		Limits: Limits{ReportsPerMinute: 600, ReportsBurst: 1000, PeerPerMinute: 600, PeerBurst: 200, SessionsPerHour: 60,
			Session: time.Hour, Conns: 100_000, ConnsPerPeer: 256, Handshakes: 32, Reports: 4_000_000},
		Payout:   Payout{Mode: "direct"},
		Router:   Router{MaxGateways: 10_000},
		Explorer: Explorer{Listen: "127.0.0.1:8443", Bundle: true},
		Admin:    Admin{Listen: "127.0.0.1:9091"},
		Solana:   Solana{UnitPrice: 1_000, MaxUnitPrice: 1_000_000, Poll: 2 * time.Second, ReclaimAfter: 216_000},
	}
}

func (c Config) calendar() ingest.Calendar {
	return ingest.Calendar{Length: c.Epoch.Length, Grace: c.Epoch.Grace, Tolerance: c.Epoch.Tolerance}
}

// terms are the published rules that the configuration amounts to.
func (c Config) terms() (epoch.Terms, error) {
	if c.Epoch.Challenges < 1 || c.Epoch.Challenges > 1<<16-1 {
		return epoch.Terms{}, fmt.Errorf("epoch.challenges is %d: choose 1 to 65535", c.Epoch.Challenges)
	}
	t := epoch.DefaultTerms(c.calendar(), reward.DefaultPolicy(ledger.Amount(c.Reward.Emission), ledger.Amount(c.Reward.CreditPrice)))
	t.Challenge = challenge.Config{EpochLength: c.Epoch.Length, PerEpoch: uint16(c.Epoch.Challenges), Guard: c.Epoch.Guard, MinLead: c.Epoch.MinLead}
	t.Threshold = ledger.Amount(c.Reward.Threshold)
	if c.Reward.Operator != "" {
		w, err := parseWallet(c.Reward.Operator)
		if err != nil {
			return t, fmt.Errorf("reward.operator: %w", err)
		}
		t.Operator = w
	}
	return t, t.Check()
}

// Check finds what is wrong with the configuration by itself, before anything is
// opened. Errors name cause and remedy.
func (c Config) Check() error {
	if _, err := c.terms(); err != nil {
		return err
	}
	switch {
	case c.Data == "":
		return errors.New("data is empty: name the directory for journal and books")
	case c.Key == "":
		return errors.New("key is empty: name the file of the oracle's key")
	case c.Register.Mode != "open" && c.Register.Mode != "allowlist":
		return fmt.Errorf("register.mode is %q: choose open or allowlist", c.Register.Mode)
	case c.Register.Mode == "allowlist" && c.Register.Allow == "":
		return errors.New("register.mode is allowlist, but register.allow names no file")
	case c.MinFree < 0:
		return fmt.Errorf("min_free_bytes is %d: choose 0 or more", c.MinFree)
	case c.Solana.RPC != "" && c.Solana.Mint == "":
		return errors.New("solana.rpc is set, but solana.mint is not: name the address of the token's mint")
	case c.Solana.RPC != "" && (c.Solana.Key == "") == (c.Solana.Signer == ""):
		return errors.New("solana.rpc is set: name either solana.signer, the socket of oraclesigner, or solana.key, and not both")
	}
	if err := c.Payout.check(); err != nil {
		return err
	}
	if _, err := c.Reward.policies(); err != nil {
		return err
	}
	return nil
}

// perMinute turns a rate of the configuration into the door's form.
func perMinute(n, burst int) ingest.Rate {
	if n <= 0 {
		return ingest.Rate{}
	}
	return ingest.Rate{Interval: time.Minute / time.Duration(n), Burst: burst}
}
