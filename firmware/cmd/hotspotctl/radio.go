package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"syscall"
	"time"

	"heliograph/firmware/radiohw"
	"heliograph/hardware/sx1302"
	"heliograph/provisioning/settings"
)

// radioCommand is one of the commands under "hotspotctl radio".
type radioCommand struct {
	words    string // after "radio"
	summary  string
	about    string // more for --help
	examples string
	options  func() any // with the defaults
	run      func(ctx context.Context, options any, words []string, to streams) error
	args     string // what follows the words

	// endless commands go on until they are interrupted, which is no failure then.
	endless bool
}

// streams are where a command writes.
type streams struct{ out, err io.Writer }

// usageError is a mistake in how the program was called.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func wrongUse(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// interrupted is the exit code after Ctrl-C, as shells have it.
const interrupted = 130

func radioCommands() []radioCommand {
	return []radioCommand{
		probeCommand(), listenCommand(), sendCommand(), spectrumCommand(), selftestCommand(), importCommand(), confCommand(),
	}
}

// board says which concentrator a command is about.
type board struct {
	Device    string `toml:"device" help:"spidev of an SPI board or tty of a USB board, as in /dev/spidev0.0 or /dev/ttyACM0"`
	Conf      string `toml:"conf" help:"the board's global_conf.json"`
	Firmware  string `toml:"firmware" help:"directory of the microcontroller images (see radio firmware import)"`
	ResetPin  string `toml:"reset_pin" help:"GPIO line of the reset pin of an SPI board, as in GPIO17"`
	PowerPin  string `toml:"power_pin" help:"GPIO line that powers an SPI board; empty: it is always on"`
	SX1261    string `toml:"sx1261_device" help:"spidev of the SX1261; empty: none"`
	SX1261Pin string `toml:"sx1261_reset_pin" help:"GPIO line of the SX1261's reset; empty: none"`
	DACPin    string `toml:"dac_reset_pin" help:"GPIO line of the AD5338R's reset on full-duplex boards; empty: none"`
	I2C       string `toml:"i2c" help:"I2C bus of an SPI board's temperature sensor and, on full-duplex boards, which need it, of the amplifier's bias DAC; empty: none"`
	SPIHz     int64  `toml:"spi_hz" help:"clock of an SPI board's bus, 100000 to 10000000; lower it when bytes are damaged on the way"`
	JSON      bool   `toml:"json" help:"print JSON"`
	Verbose   bool   `toml:"verbose" help:"say what the driver does, to standard error"`
}

const firmwareDir = "/var/lib/hotspotd/firmware"

func defaultBoard() board {
	return board{Device: "/dev/spidev0.0", Firmware: firmwareDir, SPIHz: radiohw.DefaultSPIHz}
}

func (b board) device() radiohw.Device {
	return radiohw.Device{
		Path: b.Device, SX1261: b.SX1261, I2C: b.I2C, SPIHz: b.SPIHz,
		ResetPin: b.ResetPin, PowerPin: b.PowerPin, SX1261Reset: b.SX1261Pin, DACReset: b.DACPin,
	}
}

// conf reads the configuration that most commands need.
func (b board) conf() (sx1302.Config, error) {
	if b.Conf == "" {
		return sx1302.Config{}, wrongUse("no configuration: name the board's global_conf.json with --conf")
	}
	g, err := radiohw.LoadConf(b.Conf)
	return g.Config, err
}

// open makes the driver's options, with the stored microcontroller images.
func (b board) open(cfg sx1302.Config, log *slog.Logger) (sx1302.Options, func() error, error) {
	fw, _, err := radiohw.LoadFirmware(b.Firmware, &cfg)
	if err != nil {
		return sx1302.Options{}, nil, err
	}
	return b.device().Open(cfg, fw, log)
}

func (b board) log() *slog.Logger {
	if b.Verbose {
		return slog.Default()
	}
	return slog.New(slog.DiscardHandler)
}

// with runs do with a started chip and leaves it at rest.
func (b board) with(ctx context.Context, cfg sx1302.Config, do func(*sx1302.Concentrator) error) (err error) {
	o, closeBus, err := b.open(cfg, b.log())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeBus()) }()
	c, err := sx1302.New(o)
	if err != nil {
		return err
	}
	defer rest(ctx, c)
	if err := c.Start(ctx); err != nil {
		return err
	}
	return do(c)
}

// rest puts a chip at rest, also when ctx has ended.
func rest(ctx context.Context, c *sx1302.Concentrator) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	_ = c.Close(ctx) // the command's own result counts
}

// radioWords cuts "radio" out of a command line; ok is false when it is another
// command.
func radioWords(args []string) (rest []string, ok bool) {
	flags, words := splitFlags(args)
	if len(words) == 0 || words[0] != "radio" {
		return nil, false
	}
	return append(slices.Clone(flags), words[1:]...), true
}

// runRadio runs a command under "hotspotctl radio".
func runRadio(ctx context.Context, args, env []string, stdout, stderr io.Writer) int {
	cmd, rest, ok := findRadio(args)
	if !ok {
		return noRadioCommand(args, stdout, stderr)
	}
	opt := cmd.options()
	var words []string
	usage := fmt.Sprintf("Usage: hotspotctl radio %s%s [flags]\n\n%s", cmd.words, cmd.args, cmd.about)
	err := settings.Load(opt, settings.Source{
		Prefix: "HOTSPOTCTL_RADIO", Args: rest, Env: env, Usage: usage, Examples: cmd.examples, Out: stdout, Positional: &words,
	})
	if errors.Is(err, settings.ErrHelp) {
		return 0
	}
	if err == nil && len(words) != strings.Count(cmd.args, " ") {
		err = fmt.Errorf("radio %s wants%s after it, got %q", cmd.words, orNothing(cmd.args), words)
	}
	if err != nil {
		fmt.Fprintf(stderr, "hotspotctl: %v\n", err)
		return 2
	}
	return cmd.exit(ctx, cmd.run(ctx, opt, words, streams{stdout, stderr}), stderr)
}

// exit reports how a command ended and makes its exit code.
func (c radioCommand) exit(ctx context.Context, err error, stderr io.Writer) int {
	var wrong usageError
	switch {
	case err == nil:
		return 0
	case c.endless && (ctx.Err() != nil || errors.Is(err, syscall.EPIPE)): // who reads has seen enough
		return 0
	case ctx.Err() != nil:
		fmt.Fprintln(stderr, "hotspotctl: interrupted")
		return interrupted
	}
	fmt.Fprintf(stderr, "hotspotctl: %v\n", err)
	if errors.As(err, &wrong) {
		return 2
	}
	return 1
}

// noRadioCommand answers a command line that names no command.
func noRadioCommand(args []string, stdout, stderr io.Writer) int {
	_, words := splitFlags(args)
	if i := slices.IndexFunc(words, func(w string) bool { return strings.HasPrefix(w, "-") }); i >= 0 {
		words = words[:i]
	}
	help := slices.Contains(args, "--help") || slices.Contains(args, "-h")
	begun := slices.ContainsFunc(radioCommands(), func(c radioCommand) bool {
		return len(words) == 0 || strings.HasPrefix(c.words, strings.Join(words, " ")+" ")
	})
	switch {
	case help && begun:
		fmt.Fprint(stdout, radioUsage())
		return 0
	case len(words) == 0:
		fmt.Fprint(stderr, "hotspotctl: radio: no command given\n\n", radioUsage())
	default:
		fmt.Fprintf(stderr, "hotspotctl: radio %s: no such command\n\n%s", strings.Join(words, " "), radioUsage())
	}
	return 2
}

func orNothing(args string) string {
	if args == "" {
		return " nothing"
	}
	return args
}

// findRadio finds the command that the words name. Flags may stand before it.
func findRadio(args []string) (cmd radioCommand, rest []string, ok bool) {
	flags, args := splitFlags(args)
	for _, c := range radioCommands() {
		words := strings.Fields(c.words)
		if len(args) >= len(words) && slices.Equal(args[:len(words)], words) {
			return c, append(slices.Clone(flags), args[len(words):]...), true
		}
	}
	return cmd, nil, false
}

// splitFlags cuts off the flags that a command line begins with, each with its value.
func splitFlags(args []string) (flags, rest []string) {
	alone := []string{"json", "verbose", "help", "h"} // those without a value
	i := 0
	for i < len(args) && strings.HasPrefix(args[i], "-") {
		if name := strings.TrimLeft(args[i], "-"); !slices.Contains(alone, name) && !strings.Contains(name, "=") {
			i++
		}
		i++
	}
	i = min(i, len(args))
	return args[:i], args[i:]
}

func radioUsage() string {
	var b strings.Builder
	b.WriteString("Usage: hotspotctl radio COMMAND [flags]\n\nLooks at the concentrator itself, so hotspotd must not run on it meanwhile.\n\n")
	for _, c := range radioCommands() {
		fmt.Fprintf(&b, "  %-28s %s\n", c.words+c.args, c.summary)
	}
	b.WriteString("\nEach takes --help. Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.\n")
	return b.String()
}
