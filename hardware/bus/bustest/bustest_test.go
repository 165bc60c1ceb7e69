package bustest

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
)

// device answers each byte with its complement.
type device struct{ fail error }

func (d device) Tx(_ context.Context, w, r []byte) error {
	for i := range r {
		r[i] = ^w[i]
	}
	return d.fail
}

type i2cDevice struct{}

func (i2cDevice) Tx(_ context.Context, addr uint16, _, r []byte) error {
	for i := range r {
		r[i] = byte(addr) + byte(i)
	}
	return nil
}

type pinDevice struct{}

func (pinDevice) Set(context.Context, bool) error { return nil }

func TestRecordAndPlay(t *testing.T) {
	ctx := context.Background()
	var text bytes.Buffer
	rec := NewRecorder(&text)
	type devices struct {
		spi interface {
			Tx(context.Context, []byte, []byte) error
		}
		i2c interface {
			Tx(context.Context, uint16, []byte, []byte) error
		}
		pin interface {
			Set(context.Context, bool) error
		}
	}
	session := func(d devices) (string, error) {
		r := make([]byte, 2)
		both := []byte{7, 8}
		in := make([]byte, 3)
		err := errors.Join(d.pin.Set(ctx, true), d.spi.Tx(ctx, []byte{1, 2}, r), d.spi.Tx(ctx, []byte{3}, nil),
			d.spi.Tx(ctx, both, both), d.i2c.Tx(ctx, 0x39, []byte{0xFE}, in), d.i2c.Tx(ctx, 0x39, []byte{3, 4}, nil),
			d.pin.Set(ctx, false))
		return string(r) + string(both) + string(in), err
	}
	want, err := session(devices{rec.SPI("chip", device{}), rec.I2C("board", i2cDevice{}), rec.Pin("reset", pinDevice{})})
	if err != nil || rec.Err() != nil {
		t.Fatal(err, rec.Err())
	}
	p, err := NewPlayer(strings.NewReader("# by hand\n\n" + text.String()))
	if err != nil {
		t.Fatal(err)
	}
	if p.Done() == nil {
		t.Error("done before it began")
	}
	got, err := session(devices{p.SPI("chip"), p.I2C("board"), p.Pin("reset")})
	if err != nil || got != want {
		t.Errorf("played %x, %v; recorded %x\n%s", got, err, want, text.String())
	}
	if err := p.Done(); err != nil {
		t.Error(err)
	}
	if err := p.Pin("reset").Set(ctx, true); err == nil {
		t.Error("plays beyond the end")
	}
}

func TestPlayerRefuses(t *testing.T) {
	ctx := context.Background()
	for _, transcript := range []string{
		"spi chip 0103 fefc\n", "spi chip 010 fefd\n", "spi other 0102 fefd\n", "pin chip 1\n",
		"spi chip 0102 fe\n", "spi chip 0102 zz00\n", "spi chip 010203 fefdfc\n", "",
	} {
		p, err := NewPlayer(strings.NewReader(transcript))
		if err != nil {
			t.Fatal(err)
		}
		if err := p.SPI("chip").Tx(ctx, []byte{1, 2}, make([]byte, 2)); err == nil {
			t.Errorf("%q plays", transcript)
		}
	}
}

func TestRecorderErrors(t *testing.T) {
	var text bytes.Buffer
	boom := errors.New("boom")
	if err := NewRecorder(&text).SPI("chip", device{boom}).Tx(context.Background(), []byte{1}, nil); !errors.Is(err, boom) || text.Len() > 0 {
		t.Errorf("failed transaction: %v, transcript %q", err, text.String())
	}
	r := NewRecorder(failing{})
	if err := r.Pin("p", pinDevice{}).Set(context.Background(), true); err != nil || r.Err() == nil {
		t.Errorf("failing writer: %v, %v", err, r.Err())
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("disk full") }
