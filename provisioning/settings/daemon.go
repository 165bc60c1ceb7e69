package settings

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"syscall"
)

// Log is the table "log" that every daemon's configuration has.
type Log struct {
	Level Level `toml:"level" help:"debug, info, warn or error"`
	JSON  bool  `toml:"json" help:"one JSON object a line instead of text"`
}

// Logger makes the logger that the table asks for.
func (l Log) Logger(w io.Writer) *slog.Logger {
	opt := &slog.HandlerOptions{Level: slog.Level(l.Level)}
	if l.JSON {
		return slog.New(slog.NewJSONHandler(w, opt))
	}
	return slog.New(slog.NewTextHandler(w, opt))
}

// Level is a level of the log; the zero value is INFO.
type Level slog.Level

// UnmarshalText takes a level in any case.
func (l *Level) UnmarshalText(b []byte) error {
	if err := (*slog.Level)(l).UnmarshalText(b); err != nil {
		return errors.New("no level of the log: choose debug, info, warn or error")
	}
	return nil
}

// MarshalText is the inverse of UnmarshalText.
func (l Level) MarshalText() ([]byte, error) {
	return []byte(strings.ToLower(slog.Level(l).String())), nil
}

// Listen opens a TCP listener on an address of the configuration, whose key the
// error names with what to do. There is no listener, and no error, without an address.
func Listen(addr, key string) (net.Listener, error) {
	if addr == "" {
		return nil, nil
	}
	l, err := net.Listen("tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s %s: the port is in use by another program: stop it, or choose another port with --%s", key, addr, key)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("%s %s: not permitted: ports below 1024 need a privilege; choose another port with --%s", key, addr, key)
	case err != nil:
		return nil, fmt.Errorf("%s %s: %w: correct the address with --%s", key, addr, err, key)
	}
	return l, nil
}
