package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"heliograph/firmware/hotspot"
	"heliograph/provisioning/identity"
)

func TestCommands(t *testing.T) {
	keyFile := filepath.Join(t.TempDir(), "hotspot.key")
	key, err := identity.CreateFile(keyFile, identity.Ed25519, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	well := hotspot.Status{Hotspot: key.ID().String(), Name: key.ID().Name(), Region: "EU868", Beacons: map[string]uint64{"sent": 3}}
	sick := well
	sick.Problems = []string{"the clock may be off"}
	stranger := well
	stranger.Hotspot = "somebody else"
	tests := []struct {
		name   string
		status hotspot.Status
		args   []string
		code   int
		want   string // in stdout or stderr
	}{
		{"status", well, []string{"status"}, 0, "sent 3"},
		{"status as json", well, []string{"--json", "status"}, 0, `"region": "EU868"`},
		{"healthy", well, []string{"doctor"}, 0, "ok   the key file is sound"},
		{"sick", sick, []string{"doctor"}, 1, "BAD  the clock may be off"},
		{"sick as json", sick, []string{"doctor", "--json"}, 1, `"text": "the clock may be off"`},
		{"other key", stranger, []string{"doctor"}, 1, "but hotspotd runs as somebody else"},
		{"key", well, []string{"key", "show"}, 0, key.ID().Name()},
		{"key as json", well, []string{"key", "show", "--json"}, 0, `"type": "ed25519"`},
		{"no key", well, []string{"key", "show", "--key-file", "/absent"}, 1, "name the right file with --key-file"},
		{"nobody there", well, []string{"--url", "http://127.0.0.1:1", "status"}, 1, "is hotspotd running there"},
		{"no command", well, nil, 2, "no command"},
		{"unknown command", well, []string{"stauts"}, 2, `command "stauts" is not known`},
		{"unknown flag", well, []string{"--jsno", "status"}, 2, `did you mean "json"?`},
		{"help", well, []string{"--help"}, 0, "hotspotctl --json status | jq .outbox"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/status.json" {
					_ = json.NewEncoder(w).Encode(tt.status)
				}
			}))
			defer srv.Close()
			var out, errs bytes.Buffer
			env := []string{"HOTSPOTCTL_URL=" + srv.URL + "/", "HOTSPOTCTL_KEY_FILE=" + keyFile}
			code := run(t.Context(), tt.args, env, &out, &errs)
			if all := out.String() + errs.String(); code != tt.code || !strings.Contains(all, tt.want) {
				t.Errorf("exit code %d, want %d with %q:\n%s", code, tt.code, tt.want, all)
			}
		})
	}
}
