package web

import (
	"errors"
	"net/http"
	"time"

	"github.com/mr-tron/base58"

	"heliograph/oracle/epoch"
	"heliograph/oracle/ingest"
	"heliograph/oracle/ledger"
	"heliograph/oracle/settle"
	"heliograph/poc"
	"heliograph/poc/geo"
	"heliograph/provisioning/identity"
)

// Limits of the lists.
const (
	maxHotspots = 1000
	maxBeacons  = 200
	maxEpochs   = 200
)

// shownResolution is how finely places are shown.
const shownResolution = 8

// Status is the answer to /api/status.
type Status struct {
	Oracle       identity.HotspotID `json:"oracle"`
	Network      string             `json:"network"`
	UnixNano     int64              `json:"unix_nano"`
	Epoch        poc.Epoch          `json:"epoch"`
	EpochSeconds int64              `json:"epoch_seconds"`
	EpochEnds    time.Time          `json:"epoch_ends"`
	Hotspots     int                `json:"hotspots"`
	Waiting      string             `json:"waiting,omitempty"` // why epochs do not get on
	Totals       ledger.Totals      `json:"totals"`
}

func (s *server) status(w http.ResponseWriter, r *http.Request) {
	totals, err := s.cfg.Book.Totals(r.Context())
	if err != nil {
		s.internal(w, err)
		return
	}
	now := s.cfg.Now().UnixNano()
	e := s.cfg.Calendar.Epoch(now)
	waiting := ""
	if s.cfg.Epochs.LastError() != "" {
		waiting = "an epoch step is being repeated; the operator's log says why"
	}
	answer(w, Status{
		Oracle: s.cfg.Oracle, Network: s.cfg.Network, UnixNano: now, Epoch: e,
		EpochSeconds: int64(s.cfg.Calendar.Length / time.Second), EpochEnds: time.Unix(0, s.cfg.Calendar.End(e)).UTC(),
		Hotspots: s.cfg.Core.Registered(), Waiting: waiting, Totals: totals,
	})
}

// Hotspot is how the explorer shows a hotspot: its place is the centre of a cell.
type Hotspot struct {
	ID     identity.HotspotID `json:"id"`
	Name   string             `json:"name"`
	Region string             `json:"region"`
	Cell   string             `json:"cell"`
	LatE7  int32              `json:"lat_e7"` // of the cell's centre
	LonE7  int32              `json:"lon_e7"`
	Gain   int32              `json:"gain_cdb"`
	Owner  string             `json:"owner"`
	Online bool               `json:"online"`
}

func (s *server) show(r ingest.Registration) Hotspot {
	return ShowHotspot(r.Assertion, s.cfg.Online(r.Hotspot))
}

// ShowHotspot blurs an assertion to what is shown.
func ShowHotspot(a poc.Assertion, online bool) Hotspot {
	cell := geo.CellOf(geo.LatLng{Lat: geo.E7(a.Position.LatE7), Lng: geo.E7(a.Position.LonE7)}, shownResolution)
	centre := cell.Center()
	return Hotspot{
		ID: a.Hotspot, Name: a.Hotspot.Name(), Region: a.Region, Cell: cell.String(),
		LatE7: int32(centre.Lat), LonE7: int32(centre.Lng), Gain: int32(a.Gain), Owner: base58.Encode(a.Owner[:]), Online: online,
	}
}

// Hotspots is a page of hotspots. Next is the key to ask for more with, empty at
// the end.
type Hotspots struct {
	Hotspots []Hotspot `json:"hotspots"`
	Next     string    `json:"next,omitempty"`
}

func (s *server) hotspots(w http.ResponseWriter, r *http.Request) {
	n, err := limit(r, 100, maxHotspots)
	var after identity.HotspotID
	if text := r.URL.Query().Get("after"); err == nil && text != "" {
		after, err = hotspotOf(text)
	}
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	out := Hotspots{Hotspots: []Hotspot{}}
	for _, reg := range s.cfg.Core.Hotspots(after, n) {
		out.Hotspots = append(out.Hotspots, s.show(reg))
	}
	if len(out.Hotspots) == n {
		out.Next = out.Hotspots[n-1].ID.String()
	}
	answer(w, out)
}

// HotspotDetail is one hotspot with the verdicts of the newest judged epoch.
type HotspotDetail struct {
	Hotspot
	Epoch    poc.Epoch    `json:"epoch"`
	Verdicts []OwnVerdict `json:"verdicts"`
	Earned   string       `json:"earned"` // lifetime, in the token's smallest unit
}

// OwnVerdict is a verdict on one report.
type OwnVerdict struct {
	Report epoch.Hash `json:"report"`
	Kind   string     `json:"kind"`
	Reason string     `json:"reason"`
	Text   string     `json:"text"`
}

// maxOwnVerdicts bounds the verdicts in one answer.
const maxOwnVerdicts = 500

func (s *server) hotspot(w http.ResponseWriter, r *http.Request) {
	id, err := hotspotOf(r.PathValue("id"))
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	reg, known := s.cfg.Core.Registration(id)
	if !known {
		fail(w, http.StatusNotFound, "hotspot "+id.String()+" is not registered here")
		return
	}
	e, verdicts, err := s.cfg.Epochs.LastVerdicts(r.Context(), id)
	if err != nil {
		s.internal(w, err)
		return
	}
	balance, err := s.cfg.Book.Balance(r.Context(), ledger.HotspotAccount(id))
	if err != nil {
		s.internal(w, err)
		return
	}
	out := HotspotDetail{Hotspot: s.show(reg), Epoch: e, Verdicts: []OwnVerdict{}, Earned: amount(balance.Credits)}
	for _, v := range verdicts[:min(len(verdicts), maxOwnVerdicts)] {
		out.Verdicts = append(out.Verdicts, OwnVerdict{Report: epoch.Hash(v.Report), Kind: v.Kind.String(), Reason: v.Reason.String(), Text: v.String()})
	}
	answer(w, out)
}

func (s *server) beacons(w http.ResponseWriter, r *http.Request) {
	n, err := limit(r, 50, maxBeacons)
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	list, err := s.cfg.Epochs.Beacons(r.Context(), n)
	if err != nil {
		s.internal(w, err)
		return
	}
	if list == nil {
		list = []epoch.Beacon{}
	}
	answer(w, map[string]any{"beacons": list})
}

// Epoch is an epoch's summary with its way to the chain.
type Epoch struct {
	epoch.Record
	SeedSignature string            `json:"seed_signature,omitempty"`
	Secret        *epoch.Hash       `json:"secret,omitempty"` // once the epoch is judged
	Settlement    *epoch.Settlement `json:"settlement,omitempty"`
}

func (s *server) describe(r *http.Request, rec epoch.Record) (Epoch, error) {
	out := Epoch{Record: rec, SeedSignature: s.cfg.SeedMemo(r.Context(), rec.Epoch)}
	secret, revealed, err := s.cfg.Epochs.RevealedSecret(r.Context(), rec.Epoch)
	if err != nil {
		return out, err
	}
	if revealed {
		h := epoch.Hash(secret)
		out.Secret = &h
	}
	st, err := s.cfg.Settlement(r.Context(), rec.Epoch)
	if errors.Is(err, settle.ErrUnknown) {
		return out, nil
	}
	v := epoch.ShowSettlement(st)
	out.Settlement = &v
	return out, err
}

func (s *server) epochs(w http.ResponseWriter, r *http.Request) {
	n, err := limit(r, 20, maxEpochs)
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	records, err := s.cfg.Epochs.Records(r.Context(), n)
	if err != nil {
		s.internal(w, err)
		return
	}
	out := make([]Epoch, 0, len(records))
	for _, rec := range records {
		e, err := s.describe(r, rec)
		if err != nil {
			s.internal(w, err)
			return
		}
		if e.Settlement != nil {
			e.Settlement.Batches = nil // one epoch's own page has them
		}
		out = append(out, e)
	}
	answer(w, map[string]any{"epochs": out})
}

func (s *server) epoch(w http.ResponseWriter, r *http.Request) {
	rec, ok := s.judged(w, r)
	if !ok {
		return
	}
	e, err := s.describe(r, rec)
	if err != nil {
		s.internal(w, err)
		return
	}
	answer(w, e)
}

// judged reads the record that the path names, or answers itself.
func (s *server) judged(w http.ResponseWriter, r *http.Request) (epoch.Record, bool) {
	e, err := epochOf(r)
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return epoch.Record{}, false
	}
	rec, found, err := s.cfg.Epochs.Record(r.Context(), e)
	if err != nil {
		s.internal(w, err)
		return epoch.Record{}, false
	}
	if !found {
		fail(w, http.StatusNotFound, "this epoch is not judged: it is still open, or was never opened")
		return epoch.Record{}, false
	}
	return rec, true
}

func (s *server) proof(w http.ResponseWriter, r *http.Request) {
	rec, ok := s.judged(w, r)
	if !ok {
		return
	}
	id, err := hotspotOf(r.PathValue("hotspot"))
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	p, found, err := s.cfg.Epochs.Proof(r.Context(), rec, id)
	switch {
	case err != nil:
		s.internal(w, err)
	case !found:
		fail(w, http.StatusNotFound, "the hotspot earned nothing in this epoch")
	default:
		answer(w, p)
	}
}

func (s *server) bundle(w http.ResponseWriter, r *http.Request) {
	if !s.cfg.Bundle {
		fail(w, http.StatusForbidden, "the operator gives bundles out on request only")
		return
	}
	rec, ok := s.judged(w, r)
	if !ok {
		return
	}
	select {
	case s.bundles <- struct{}{}:
		defer func() { <-s.bundles }()
	default:
		w.Header().Set("Retry-After", "30")
		fail(w, http.StatusServiceUnavailable, "other bundles are being sent: try again")
		return
	}
	b, err := BundleOf(r.Context(), Source{s.cfg.Epochs.EvidenceHead, s.cfg.Settlement, s.cfg.SeedMemo}, rec)
	if err != nil {
		s.internal(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/jsonl")
	if err := s.cfg.Epochs.WriteBundle(r.Context(), b, w); err != nil {
		s.cfg.Logger.Info("bundle was not sent whole", "error", err)
	}
}
