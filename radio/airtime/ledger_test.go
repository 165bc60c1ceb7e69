package airtime

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"testing"

	"heliograph/radio"
)

const second = radio.Micros(1_000_000)

func newLedger(t *testing.T, bands ...Band) *Ledger {
	t.Helper()
	l, err := NewLedger(bands...)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestReserveUntilSpent(t *testing.T) {
	l := newLedger(t, DutyCycle("M", 10)) // 36 s in an hour
	at := 100 * second
	for i := range 36 {
		if ok, _ := l.Reserve("M", at, second); !ok {
			t.Fatalf("second %d of 36 refused", i+1)
		}
		at += 5 * second
	}
	if left := l.Remaining("M", at); left != 0 {
		t.Fatalf("%d us left after the budget", left)
	}
	ok, retry := l.Reserve("M", at, second)
	if ok {
		t.Fatal("the 37th second was granted")
	}
	// The first second was sent in 100..101 s: it leaves the hour at 3701 s and
	// the ledger may be up to a slot later.
	if retry < 3701*second || retry > 3711*second+10*second {
		t.Errorf("retry at %v, want 3701..3721 s", retry.Duration())
	}
	if ok, _ := l.Reserve("M", retry-10*second, second); ok {
		t.Error("granted a slot before the retry time")
	}
	if ok, again := l.Reserve("M", retry, second); !ok {
		t.Errorf("refused at its own retry time (now says %v)", again.Duration())
	}
}

func TestReserveNever(t *testing.T) {
	l := newLedger(t, DutyCycle("K", 1))
	for name, f := range map[string]func() (bool, radio.Micros){
		"unknown band":     func() (bool, radio.Micros) { return l.Reserve("X", 0, 1) },
		"above the budget": func() (bool, radio.Micros) { return l.Reserve("K", 0, 3_600_001) },
		"negative instant": func() (bool, radio.Micros) { return l.Reserve("K", -1, 1) },
		"negative time":    func() (bool, radio.Micros) { return l.Reserve("K", 0, -1) },
		"far instant":      func() (bool, radio.Micros) { return l.Reserve("K", Never, 1) },
	} {
		if ok, retry := f(); ok || retry != Never {
			t.Errorf("%s: ok %v, retry %d", name, ok, retry)
		}
	}
	if left := l.Remaining("K", 0); left != 3_600_000 {
		t.Errorf("refusals cost airtime: %d left", left)
	}
}

// sent is a transmission that the ledger granted.
type sent struct{ at, onAir radio.Micros }

// worst is the most time on air that any window holds: the maximum is reached
// by a window that starts where a transmission starts or ends where one ends.
func worst(log []sent, window radio.Micros) (most radio.Micros) {
	in := func(from radio.Micros) (sum radio.Micros) {
		for _, s := range log {
			sum += max(0, min(s.at+s.onAir, from+window)-max(s.at, from))
		}
		return sum
	}
	for _, s := range log {
		most = max(most, in(s.at), in(s.at+s.onAir-window))
	}
	return most
}

// TestNoWindowExceedsBudget books random traffic, out of order, ahead of time
// and across saves, and measures every window of the granted part exactly.
func TestNoWindowExceedsBudget(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 1))
		band := Band{Name: "b", Window: 3600 * second, Budget: radio.Micros(1+rng.Int64N(100)) * second}
		l := newLedger(t, band)
		var log []sent
		now, refused := radio.Micros(0), 0
		for range 800 {
			now += radio.Micros(rng.Int64N(int64(30 * second)))
			at := now + radio.Micros(rng.Int64N(int64(600*second)))
			onAir := radio.Micros(1 + rng.Int64N(int64(3*second)))
			if onAir > band.Budget {
				continue
			}
			ok, retry := l.Reserve("b", at, onAir)
			if !ok {
				refused++
				if retry <= at {
					t.Fatalf("seed %d: refused at %d but told to retry at %d", seed, at, retry)
				}
				if !copyOf(t, l).fitsAt(retry, onAir) {
					t.Fatalf("seed %d: does not fit at its retry time", seed)
				}
				continue
			}
			if rng.IntN(10) == 0 {
				l.Release("b", at, onAir)
				continue
			}
			log = append(log, sent{at, onAir})
			if rng.IntN(50) == 0 {
				l = copyOf(t, l)
			}
		}
		if most := worst(log, band.Window); most > band.Budget {
			t.Errorf("seed %d: a window holds %d us, budget %d", seed, most, band.Budget)
		}
		if refused == 0 {
			t.Errorf("seed %d: nothing was refused, the test shows nothing", seed)
		}
		if n := len(l.accounts[0].used); n > keepSlots {
			t.Errorf("seed %d: %d slots kept", seed, n)
		}
	}
}

func (l *Ledger) fitsAt(at, onAir radio.Micros) bool { return l.accounts[0].fits(at, onAir) }

// copyOf saves and reads back.
func copyOf(t *testing.T, l *Ledger) *Ledger {
	t.Helper()
	b, err := l.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := ParseLedger(b)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRebootIsNotFreeAirtime(t *testing.T) {
	l := newLedger(t, DutyCycle("K", 1), DutyCycle("M", 10))
	if ok, _ := l.Reserve("K", 5000*second, 3*second); !ok {
		t.Fatal("refused")
	}
	l = copyOf(t, l)
	l.Resume(20 * second) // the new clock has just started
	if ok, retry := l.Reserve("K", 20*second, second); ok || retry < 3600*second {
		t.Errorf("after a reboot: ok %v, retry %v", ok, retry.Duration())
	}
	if left := l.Remaining("K", 20*second); left != 600_000 {
		t.Errorf("%d us left, want 600000", left)
	}
	if left := l.Remaining("M", 20*second); left != 36*second {
		t.Errorf("the other band has %d us left", left)
	}
	l.Fill("M", 20*second)
	if left := l.Remaining("M", 20*second); left != 0 {
		t.Errorf("%d us left after Fill", left)
	}
	if ok, _ := l.Reserve("M", 3700*second, second); !ok {
		t.Error("a filled band stays shut after an hour")
	}
}

func TestRebudget(t *testing.T) {
	l := newLedger(t, DutyCycle("K", 1), DutyCycle("L", 10))
	l.Reserve("K", 0, second)
	n, fresh, err := l.Rebudget(DutyCycle("K", 1), DutyCycle("P", 100))
	if err != nil {
		t.Fatal(err)
	}
	if len(fresh) != 1 || fresh[0] != "P" {
		t.Errorf("fresh bands %v, want P", fresh)
	}
	if left := n.Remaining("K", 0); left != 2_600_000 {
		t.Errorf("K has %d us left, want 2600000", left)
	}
	if got := n.Bands(); len(got) != 2 || got[1].Budget != 360*second {
		t.Errorf("bands %v", got)
	}
}

func TestNewLedgerRefuses(t *testing.T) {
	for name, bands := range map[string][]Band{
		"no name":         {{Window: Hour}},
		"twice":           {DutyCycle("a", 1), DutyCycle("a", 1)},
		"window":          {{Name: "a", Window: 10}},
		"budget":          {{Name: "a", Window: Hour, Budget: Hour + 1}},
		"negative budget": {DutyCycle("a", -1)},
		"too many":        make([]Band, 65),
	} {
		if _, err := NewLedger(bands...); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func FuzzParseLedger(f *testing.F) {
	l, err := NewLedger(DutyCycle("K", 1), DutyCycle("M", 10))
	if err != nil {
		f.Fatal(err)
	}
	l.Reserve("K", 7*second, second)
	l.Reserve("M", 9999*second, 15*second)
	b, err := l.AppendBinary(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b[:len(b)-4])
	f.Add([]byte{1, 0})
	f.Fuzz(func(t *testing.T, body []byte) {
		in := binary.LittleEndian.AppendUint32(body[:len(body):len(body)], crc32.ChecksumIEEE(body))
		l, err := ParseLedger(in)
		if err != nil {
			return
		}
		out, err := l.AppendBinary(nil)
		if err != nil || !bytes.Equal(in, out) {
			t.Fatalf("%x became %x (%v)", in, out, err)
		}
		for _, band := range l.Bands() { // without Resume: useless, but bounded
			l.Reserve(band.Name, 6*second, min(second, band.Budget))
			l.Fill(band.Name, 6*second)
		}
		l.Resume(5 * second)
		for _, band := range l.Bands() {
			l.Remaining(band.Name, 5*second)
			l.Reserve(band.Name, 6*second, min(second, band.Budget))
			l.Fill(band.Name, 6*second)
			if left := l.Remaining(band.Name, 6*second); left != 0 {
				t.Fatalf("%d us left after Fill", left)
			}
		}
	})
}

func TestParseLedgerRefusesDamage(t *testing.T) {
	l := newLedger(t, DutyCycle("K", 1))
	l.Reserve("K", 7*second, second)
	b, err := l.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range b {
		bad := bytes.Clone(b)
		bad[i] ^= 0x10
		if _, err := ParseLedger(bad); err == nil {
			t.Errorf("byte %d flipped: accepted", i)
		}
		if _, err := ParseLedger(b[:i]); err == nil {
			t.Errorf("cut to %d bytes: accepted", i)
		}
	}
}

func BenchmarkReserve(b *testing.B) {
	l, err := NewLedger(DutyCycle("P", 100))
	if err != nil {
		b.Fatal(err)
	}
	at := radio.Micros(0)
	for b.Loop() {
		l.Reserve("P", at, 60_000)
		at += 5 * second
	}
}
