package router

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"heliograph/radio/lorawan"
)

// AddrRange is a range of device addresses, both ends included. In a file it is
// the text "26000000-26ffffff".
type AddrRange struct{ First, Last lorawan.DevAddr }

// UnmarshalText reads the two ends.
func (r *AddrRange) UnmarshalText(b []byte) (err error) {
	first, last, ok := strings.Cut(string(b), "-")
	if !ok {
		return fmt.Errorf("router: range %q: write it as 26000000-26ffffff", b)
	}
	if r.First, err = lorawan.ParseDevAddr(first); err != nil {
		return err
	}
	if r.Last, err = lorawan.ParseDevAddr(last); err != nil {
		return err
	}
	if r.Last < r.First {
		return fmt.Errorf("router: range %q ends before it begins", b)
	}
	return nil
}

// MarshalText is the inverse of UnmarshalText.
func (r AddrRange) MarshalText() ([]byte, error) {
	return []byte(r.First.String() + "-" + r.Last.String()), nil
}

// EUIPair selects join requests. A DevEUI that is absent means every device of
// the join server.
type EUIPair struct {
	JoinEUI lorawan.EUI64  `json:"join_eui"`
	DevEUI  *lorawan.EUI64 `json:"dev_eui,omitempty"`
}

// Route leads packets to one network server.
type Route struct {
	Number    uint32      `json:"number"` // as the journal shows it; never give it to another route
	Name      string      `json:"name"`
	Server    string      `json:"server"` // host:port, Semtech UDP
	DevAddrs  []AddrRange `json:"dev_addrs,omitempty"`
	EUIs      []EUIPair   `json:"euis,omitempty"`
	Default   bool        `json:"default,omitempty"`    // takes what no other route wants
	MaxCopies int         `json:"max_copies,omitempty"` // of one packet; 0 = 1
}

// Limits of a routing table.
const (
	maxRoutes    = 1024
	maxRouteFile = 16 << 20
	maxMaxCopies = 100
)

// Table looks routes up. It is immutable.
type Table struct {
	routes   []Route
	fallback []int
}

// NewTable checks the routes.
func NewTable(routes []Route) (*Table, error) {
	if len(routes) > maxRoutes {
		return nil, fmt.Errorf("router: %d routes, at most %d", len(routes), maxRoutes)
	}
	t := &Table{}
	numbers := make(map[uint32]bool)
	for i, r := range routes {
		if r.MaxCopies == 0 {
			r.MaxCopies = 1
		}
		_, _, err := net.SplitHostPort(r.Server)
		switch {
		case r.Number == 0 || numbers[r.Number]:
			return nil, fmt.Errorf("router: route %q: number %d is 0 or taken: give every route its own", r.Name, r.Number)
		case err != nil:
			return nil, fmt.Errorf("router: route %q: server %q: write it as host:port: %w", r.Name, r.Server, err)
		case r.MaxCopies < 1 || r.MaxCopies > maxMaxCopies:
			return nil, fmt.Errorf("router: route %q: max_copies is %d: choose 1 to %d", r.Name, r.MaxCopies, maxMaxCopies)
		case len(r.DevAddrs) == 0 && len(r.EUIs) == 0 && !r.Default:
			return nil, fmt.Errorf("router: route %q matches nothing: give it dev_addrs, euis or default", r.Name)
		}
		numbers[r.Number] = true
		t.routes = append(t.routes, r)
		if r.Default {
			t.fallback = append(t.fallback, i)
		}
	}
	return t, nil
}

// ReadTable reads a routing table in JSON: {"routes": [...]}.
func ReadTable(r io.Reader) (*Table, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxRouteFile+1))
	if err != nil {
		return nil, fmt.Errorf("router: read routes: %w", err)
	}
	if len(b) > maxRouteFile {
		return nil, fmt.Errorf("router: routes are over %d bytes", maxRouteFile)
	}
	var file struct {
		Routes []Route `json:"routes"`
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&file); err != nil {
		return nil, fmt.Errorf("router: parse routes: %w", err)
	}
	if d.More() {
		return nil, errors.New("router: parse routes: something follows the table")
	}
	return NewTable(file.Routes)
}

// LoadTable reads the file at path.
func LoadTable(path string) (*Table, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("router: open routes: %w", err)
	}
	defer func() { _ = f.Close() }()
	return ReadTable(f)
}

// Lookup gives the routes that want a frame, the default routes if no other
// does, and none for a frame that is not an uplink.
func (t *Table) Lookup(f lorawan.Frame) []Route {
	if !f.Kind.Uplink() {
		return nil
	}
	var out []Route
	for _, r := range t.routes {
		if r.wants(f) {
			out = append(out, r)
		}
	}
	if len(out) == 0 {
		for _, i := range t.fallback {
			out = append(out, t.routes[i])
		}
	}
	return out
}

func (r Route) wants(f lorawan.Frame) bool {
	switch f.Kind {
	case lorawan.DataUp:
		for _, a := range r.DevAddrs {
			if f.DevAddr >= a.First && f.DevAddr <= a.Last {
				return true
			}
		}
	case lorawan.JoinRequest:
		for _, p := range r.EUIs {
			if p.JoinEUI == f.JoinEUI && (p.DevEUI == nil || *p.DevEUI == f.DevEUI) {
				return true
			}
		}
	case lorawan.Rejoin:
		for _, p := range r.EUIs {
			if p.DevEUI != nil && *p.DevEUI == f.DevEUI {
				return true
			}
		}
	}
	return false
}
