package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"heliograph/poc"
	"heliograph/provisioning/identity"
)

// answer writes v as JSON.
func answer(w http.ResponseWriter, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		fail(w, http.StatusInternalServerError, "cannot encode the answer")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-cache")
	_, _ = w.Write(append(b, '\n')) // a client that left is no error
}

// fail writes an error as JSON.
func fail(w http.ResponseWriter, status int, why string) {
	b, _ := json.Marshal(map[string]string{"error": why}) // strings always encode
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n'))
}

// internal hides what only the operator should see.
func (s *server) internal(w http.ResponseWriter, err error) {
	s.cfg.Logger.Error("explorer query failed", "error", err)
	fail(w, http.StatusInternalServerError, "the oracle could not read its data: its log says why")
}

// limit reads ?limit=, 1..most.
func limit(r *http.Request, standard, most int) (int, error) {
	text := r.URL.Query().Get("limit")
	if text == "" {
		return standard, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, fmt.Errorf("limit %q: choose 1 to %d", text, most)
	}
	return n, nil
}

func epochOf(r *http.Request) (poc.Epoch, error) {
	n, err := strconv.ParseUint(r.PathValue("epoch"), 10, 32)
	if err != nil {
		return 0, fmt.Errorf("epoch %q: use a number", r.PathValue("epoch"))
	}
	return poc.Epoch(n), nil
}

func hotspotOf(text string) (identity.HotspotID, error) {
	id, err := identity.ParseText(text)
	if err != nil {
		return id, fmt.Errorf("hotspot %.64q: %w", text, err)
	}
	return id, nil
}
