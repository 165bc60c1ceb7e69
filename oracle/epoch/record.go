package epoch

import (
	"context"
	"encoding/binary"

	"heliograph/oracle/journal"
	"heliograph/oracle/ledger"
	"heliograph/oracle/policy"
	"heliograph/oracle/store"
	"heliograph/poc"
	"heliograph/provisioning/identity"
	"heliograph/radio"
)

// State is how far an epoch has come.
type State string

// The states of an epoch, in order.
const (
	Judged State = "judged" // verdicts, rows and root are stored
	Booked State = "booked" // the ledger is posted
	Frozen State = "frozen" // the settler has the list; its own record goes on from here
)

// Record is the summary of an epoch that was cut.
type Record struct {
	Epoch      poc.Epoch      `json:"epoch"`
	State      State          `json:"state"`
	Rules      string         `json:"rules"`
	Seed       Hash           `json:"seed"`
	Challenges int            `json:"challenges"`     // that were due late enough to count
	Schedule   Hash           `json:"challenge_hash"` // over their ids, in the order of time
	Reports    map[string]int `json:"reports"`        // by kind
	Reasons    map[string]int `json:"reasons"`        // verdicts by reason
	Verdicts   Hash           `json:"verdicts"`
	Root       Hash           `json:"root"`        // over the rewards, by hotspot
	PayoutRoot Hash           `json:"payout_root"` // over the list of payouts
	List       Hash           `json:"list"`        // hash of the list of payouts
	Registry   Hash           `json:"registry"`    // hash of the snapshot at the opening
	Emission   ledger.Amount  `json:"emission"`
	Remainder  ledger.Amount  `json:"remainder"`
	Rows       int            `json:"rows"`
	Payouts    int            `json:"payouts"`
	Payable    ledger.Amount  `json:"payable"` // sum of the payouts
	// Wallets below the threshold wait: CarriedIn + Emission = Payable + CarriedOut +
	// Remainder.
	CarriedIn  ledger.Amount      `json:"carried_in"`
	CarriedOut ledger.Amount      `json:"carried_out"`
	Carried    Hash               `json:"carried"` // of the list of what is carried over
	Waiting    int                `json:"waiting"` // its wallets
	Threshold  ledger.Amount      `json:"threshold"`
	Policy     policy.Hash        `json:"policy"`   // the document that the money follows
	Evidence   Hash               `json:"evidence"` // [Evidence.Digest]
	Checkpoint journal.Checkpoint `json:"checkpoint"`
}

// Beacon is a judged beacon with its witnesses, as people want to see it.
type Beacon struct {
	Epoch     poc.Epoch          `json:"epoch"`
	Report    Hash               `json:"report"`
	Hotspot   identity.HotspotID `json:"hotspot"`
	UnixNano  int64              `json:"unix_nano"`
	Frequency radio.Hertz        `json:"frequency_hz"`
	DataRate  string             `json:"data_rate"`
	Power     radio.CentiDBm     `json:"power_cdbm"`
	Verdict
	Witnesses []Witness `json:"witnesses"`
}

// Witness is a judged witness report of a beacon.
type Witness struct {
	Report  Hash               `json:"report"`
	Hotspot identity.HotspotID `json:"hotspot"`
	RSSI    radio.CentiDBm     `json:"rssi_cdbm"`
	SNR     radio.CentiDB      `json:"snr_cdb"`
	Verdict
}

// Verdict is the outcome with the numbers that broke the rule.
type Verdict struct {
	Reason string `json:"reason"`
	Got    int64  `json:"got,omitempty"`
	Limit  int64  `json:"limit,omitempty"`
	Unit   string `json:"unit,omitempty"`
	Weight uint32 `json:"weight"`
	Text   string `json:"text"` // the sentence for the owner
}

func verdictOf(v poc.Verdict) Verdict {
	return Verdict{Reason: v.Reason.String(), Got: v.Got, Limit: v.Limit, Unit: v.Reason.Unit(), Weight: v.Weight, Text: v.String()}
}

// record reads the summary of an epoch; false when it was not judged.
func (m *Reader) record(ctx context.Context, e poc.Epoch) (r Record, found bool, err error) {
	err = m.KV.View(ctx, func(tx store.Tx) error {
		r = Record{}
		found, err = getJSON(tx, recordKey(e), &r)
		return err
	})
	return r, found, err
}

func (m *Manager) saveRecord(ctx context.Context, r Record) error {
	return m.cfg.KV.Update(ctx, func(tx store.Tx) error { return putJSON(tx, recordKey(r.Epoch), r) })
}

// Stored verdicts: id, kind, reason, got, limit, weight; one value a hotspot.
const verdictSize = 32 + 1 + 1 + 8 + 8 + 4

// maxVerdicts keeps the verdicts of one hotspot below store.MaxValue. The rest
// is in the bundle of the epoch.
const maxVerdicts = store.MaxValue / verdictSize

func appendVerdict(b []byte, v poc.Verdict) []byte {
	b = append(b, v.Report[:]...)
	b = append(b, byte(v.Kind), byte(v.Reason))
	b = binary.BigEndian.AppendUint64(b, uint64(v.Got))
	b = binary.BigEndian.AppendUint64(b, uint64(v.Limit))
	return binary.BigEndian.AppendUint32(b, v.Weight)
}

func parseVerdicts(h identity.HotspotID, b []byte) (out []poc.Verdict) {
	for ; len(b) >= verdictSize; b = b[verdictSize:] {
		out = append(out, poc.Verdict{
			Report:  poc.ID(b[:32]),
			Kind:    poc.Kind(b[32]),
			Hotspot: h,
			Reason:  poc.Reason(b[33]),
			Got:     int64(binary.BigEndian.Uint64(b[34:])),
			Limit:   int64(binary.BigEndian.Uint64(b[42:])),
			Weight:  binary.BigEndian.Uint32(b[50:]),
		})
	}
	return out
}
