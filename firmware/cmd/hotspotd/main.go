// Command hotspotd is the hotspot's daemon: it drives a concentrator, or packet
// forwarders attach to it, and it reports to an oracle. See the README of firmware for its configuration.
//
// Exit codes: 0 after SIGINT or SIGTERM and after --help, 1 when running failed,
// 2 when it cannot start: the line on standard error names cause and remedy.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"

	"heliograph/firmware/hotspot"
	"heliograph/provisioning/identity"
	"heliograph/provisioning/settings"
)

const usage = `Usage: hotspotd [flags]
       hotspotd [flags] config print

hotspotd connects a concentrator, or packet forwarders, to an oracle: it answers challenges with
beacons, reports what it hears, and carries LoRaWAN packets. "config print" shows
the settings in force and where each comes from.`

const examples = `  hotspotd --config /etc/hotspotd.toml
  hotspotd --config /etc/hotspotd.toml config print
  HOTSPOTD_LOG_LEVEL=DEBUG hotspotd --radio.udp-listen 0.0.0.0:1680`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main without the process around it.
func run(ctx context.Context, args, env []string, stdout, stderr io.Writer) int {
	cfg, origins := defaults(), settings.Origins{}
	var words []string
	err := settings.Load(&cfg, settings.Source{
		Prefix: "HOTSPOTD", Args: args, Env: env, Usage: usage, Examples: examples, Out: stdout,
		DefaultFile: "/etc/hotspotd.toml", Positional: &words, Origins: origins,
	})
	switch {
	case errors.Is(err, settings.ErrHelp):
		return 0
	case err != nil:
		return wrong(stderr, err)
	case len(words) == 2 && words[0] == "config" && words[1] == "print":
		text, err := settings.Dump(&cfg, origins)
		if err != nil {
			return wrong(stderr, err)
		}
		fmt.Fprint(stdout, text)
		return 0
	case len(words) > 0:
		return wrong(stderr, fmt.Errorf("argument %q is not known: the only command is config print", words[0]))
	}
	st, err := cfg.check()
	if err != nil {
		return wrong(stderr, err)
	}
	log := cfg.Log.Logger(stderr)
	err = serve(ctx, cfg, st, log)
	var not notStarted
	switch {
	case errors.As(err, &not):
		return wrong(stderr, not.error)
	case err != nil:
		log.Error("hotspotd ends", "error", err.Error())
		return 1
	}
	return 0
}

// notStarted is what keeps the daemon from starting: a port, a file.
type notStarted struct{ error }

// wrong prints one line.
func wrong(stderr io.Writer, err error) int {
	fmt.Fprintln(stderr, "hotspotd:", strings.ReplaceAll(err.Error(), "\n", "; "))
	return 2
}

// serve runs all parts until ctx ends or one of them fails.
func serve(ctx context.Context, cfg config, st station, log *slog.Logger) error {
	key, err := loadKey(st.keyFile, log)
	if err != nil {
		return notStarted{err}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	src, err := openRadio(ctx, cfg, &st, log)
	if err != nil {
		return notStarted{err}
	}
	defer src.close()
	h, err := hotspot.New(hotspot.Config{
		Key: key, OracleAddr: cfg.Oracle, OracleKey: cfg.OracleKey, Region: cfg.Region,
		Position: st.position, Elevation: cfg.Position.Elevation, Gain: st.gain, Owner: st.owner,
		DataDir: cfg.DataDir, Concentrator: src.radio, MinPower: st.min, MaxPower: st.max, Listens: cfg.Radio.Listens || src.listens,
		TickBound: src.tickBound, GNSS: src.gnss, ClassB: cfg.Radio.ClassB,
		BeaconsOff: !cfg.Beacons, TrustSystemClock: cfg.Clock.Trust, SystemClockBound: cfg.Clock.Bound,
		Firmware: version(), Log: log,
	})
	if err != nil {
		return notStarted{err}
	}
	web, err := listenWeb(cfg.Web, h, src.chip, log)
	if err != nil {
		return notStarted{errors.Join(err, closed(h))}
	}
	log.Info("hotspotd starts", "hotspot", key.ID().String(), "name", key.ID().Name(), "region", cfg.Region, "radio", src.name)
	var wg sync.WaitGroup
	for _, s := range web {
		wg.Go(func() {
			if err := s.run(ctx); err != nil {
				cancel(err)
			}
		})
	}
	if src.run != nil {
		wg.Go(func() { src.run(ctx) })
	}
	err = h.Run(ctx)
	cancel(err)
	wg.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// closed ends a hotspot that never ran.
func closed(h *hotspot.Hotspot) error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := h.Run(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// loadKey reads the key, and makes one at the very first start.
func loadKey(path string, log *slog.Logger) (*identity.FileKey, error) {
	key, err := identity.LoadFile(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if key, err = identity.CreateFile(path, identity.Ed25519, rand.Reader); err == nil {
		log.Info("a new key was made: keep a copy of its file in a safe place", "file", path, "hotspot", key.ID().String())
	}
	return key, err
}

// version is what the build says about itself, at most 64 bytes.
func version() string {
	v := "hotspotd devel"
	if b, ok := debug.ReadBuildInfo(); ok {
		if b.Main.Version != "" {
			v = "hotspotd " + b.Main.Version
		}
		for _, s := range b.Settings {
			if s.Key == "vcs.revision" {
				v += " " + s.Value[:min(12, len(s.Value))]
			}
		}
	}
	return v[:min(64, len(v))]
}
