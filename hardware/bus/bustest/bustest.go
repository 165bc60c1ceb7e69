// Package bustest records what passes over package bus's interfaces, and plays it
// back: a transcript taken on real hardware becomes a test that runs anywhere.
//
// A transcript is text, one transaction a line: what it is, what went out and what
// came in, in hexadecimal.
//
//	spi chip 00560600 00000010
//	i2c board 39 fe 53
//	pin reset 1
package bustest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"

	"heliograph/hardware/bus"
)

// Recorder writes a transcript of the devices that it wraps. It is safe for
// concurrent use: lines are in the order in which transactions ended.
type Recorder struct {
	mu  sync.Mutex
	w   io.Writer
	err error
}

// NewRecorder makes a recorder that writes to w.
func NewRecorder(w io.Writer) *Recorder { return &Recorder{w: w} }

// Err is the first error of writing the transcript.
func (r *Recorder) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

func (r *Recorder) line(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, err := fmt.Fprintf(r.w, format+"\n", args...); err != nil && r.err == nil {
		r.err = fmt.Errorf("bustest: write transcript: %w", err)
	}
}

// SPI wraps a chip select. A name tells several apart and has no spaces.
func (r *Recorder) SPI(name string, dev bus.SPI) bus.SPI { return recordedSPI{r, name, dev} }

type recordedSPI struct {
	r    *Recorder
	name string
	dev  bus.SPI
}

func (s recordedSPI) Tx(ctx context.Context, w, r []byte) error {
	in := r
	if in == nil {
		in = make([]byte, len(w))
	}
	out := bytes.Clone(w) // w and r may be the same
	if err := s.dev.Tx(ctx, w, in); err != nil {
		return err
	}
	s.r.line("spi %s %x %x", s.name, out, in)
	return nil
}

// I2C wraps a bus.
func (r *Recorder) I2C(name string, dev bus.I2C) bus.I2C { return recordedI2C{r, name, dev} }

type recordedI2C struct {
	r    *Recorder
	name string
	dev  bus.I2C
}

func (s recordedI2C) Tx(ctx context.Context, addr uint16, w, r []byte) error {
	if err := s.dev.Tx(ctx, addr, w, r); err != nil {
		return err
	}
	s.r.line("i2c %s %02x %s %s", s.name, addr, text(w), text(r))
	return nil
}

// Pin wraps an output.
func (r *Recorder) Pin(name string, dev bus.Pin) bus.Pin { return recordedPin{r, name, dev} }

type recordedPin struct {
	r    *Recorder
	name string
	dev  bus.Pin
}

func (s recordedPin) Set(ctx context.Context, high bool) error {
	if err := s.dev.Set(ctx, high); err != nil {
		return err
	}
	s.r.line("pin %s %d", s.name, level(high))
	return nil
}

func level(high bool) int {
	if high {
		return 1
	}
	return 0
}

// text is bytes in hexadecimal, "-" for none.
func text(b []byte) string {
	if len(b) == 0 {
		return "-"
	}
	return hex.EncodeToString(b)
}

// Player plays a transcript back: its devices accept exactly the transactions of
// the transcript, in its order, and answer as then. It is safe for concurrent use.
type Player struct {
	mu    sync.Mutex
	lines []string
	next  int
}

// MaxTranscript is the longest transcript that [NewPlayer] reads, in lines.
const MaxTranscript = 1 << 20

// NewPlayer reads a transcript. Empty lines and those that begin with # are
// skipped.
func NewPlayer(transcript io.Reader) (*Player, error) {
	p := &Player{}
	s := bufio.NewScanner(transcript)
	s.Buffer(nil, 1<<16)
	for s.Scan() {
		line := strings.TrimSpace(s.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		if len(p.lines) == MaxTranscript {
			return nil, fmt.Errorf("bustest: transcript has more than %d lines", MaxTranscript)
		}
		p.lines = append(p.lines, line)
	}
	if err := s.Err(); err != nil {
		return nil, fmt.Errorf("bustest: read transcript: %w", err)
	}
	return p, nil
}

// Done is an error while transactions of the transcript are left.
func (p *Player) Done() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next < len(p.lines) {
		return fmt.Errorf("bustest: %d transactions are left, the next is %q", len(p.lines)-p.next, p.lines[p.next])
	}
	return nil
}

// play takes the next line, which must begin with want, and returns its last
// field: what came in.
func (p *Player) play(ctx context.Context, want string, in []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next == len(p.lines) {
		return fmt.Errorf("bustest: %q after the transcript's end", want)
	}
	rest, ok := strings.CutPrefix(p.lines[p.next], want)
	if !ok || rest != "" && rest[0] != ' ' {
		return fmt.Errorf("bustest: transaction %d is %q, the transcript's is %q", p.next+1, want, p.lines[p.next])
	}
	rest = strings.TrimSpace(rest)
	if rest == "-" {
		rest = ""
	}
	b, err := hex.DecodeString(rest)
	if err != nil {
		return fmt.Errorf("bustest: transaction %d: %w", p.next+1, err)
	}
	if in != nil && len(b) != len(in) {
		return fmt.Errorf("bustest: transaction %d reads %d bytes, the transcript has %d", p.next+1, len(in), len(b))
	}
	copy(in, b)
	p.next++
	return nil
}

// SPI is the chip select of that name.
func (p *Player) SPI(name string) bus.SPI { return playedSPI{p, name} }

type playedSPI struct {
	p    *Player
	name string
}

func (s playedSPI) Tx(ctx context.Context, w, r []byte) error {
	return s.p.play(ctx, "spi "+s.name+" "+hex.EncodeToString(w), r)
}

// I2C is the bus of that name.
func (p *Player) I2C(name string) bus.I2C { return playedI2C{p, name} }

type playedI2C struct {
	p    *Player
	name string
}

func (s playedI2C) Tx(ctx context.Context, addr uint16, w, r []byte) error {
	return s.p.play(ctx, fmt.Sprintf("i2c %s %02x %s", s.name, addr, text(w)), r)
}

// Pin is the output of that name.
func (p *Player) Pin(name string) bus.Pin { return playedPin{p, name} }

type playedPin struct {
	p    *Player
	name string
}

func (s playedPin) Set(ctx context.Context, high bool) error {
	return s.p.play(ctx, "pin "+s.name+" "+strconv.Itoa(level(high)), nil)
}
