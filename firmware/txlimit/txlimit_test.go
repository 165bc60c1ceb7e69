package txlimit

import (
	"errors"
	"testing"

	"heliograph/radio"
	"heliograph/radio/region"
)

func limiter(t *testing.T, plan string, gain radio.CentiDB, saved []byte, now radio.Micros) *Limiter {
	t.Helper()
	p, err := region.ByName(plan)
	if err != nil {
		t.Fatal(err)
	}
	l, err := New(Config{Plan: p, Gain: gain, MinPower: radio.DBm(0), MaxPower: radio.DBm(27)}, saved, now)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func packet(freq radio.Hertz, sf radio.SpreadingFactor, bytes int) radio.TxPacket {
	return radio.TxPacket{Payload: make([]byte, bytes), Frequency: freq, DataRate: radio.LoRaRate(sf, 125*radio.KHz), Coding: 1}
}

const second = radio.Micros(1_000_000)

func TestPowerFollowsGainAndRegion(t *testing.T) {
	const eu = 867_100 * radio.KHz // 14 dBm ERP = 16.15 dBm EIRP
	tests := []struct {
		name  string
		gain  radio.CentiDB
		eirp  radio.EIRP
		lower bool
		want  radio.CentiDBm
		err   error
	}{
		{"within", radio.DB(3), radio.EIRP(radio.DBm(14)), false, radio.DBm(11), nil},
		{"at the limit", radio.DB(0), 1615, false, 1615, nil},
		{"above the limit", radio.DB(0), 1616, false, 0, new(region.Refusal)},
		{"lowered", radio.DB(6), MaxEIRP, true, 1015, nil},
		{"loss instead of gain", radio.DB(-2), radio.EIRP(radio.DBm(14)), false, radio.DBm(16), nil},
		{"radio cannot go so low", radio.DB(15), radio.EIRP(radio.DBm(10)), false, 0, ErrPower},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := limiter(t, "EU868", tt.gain, nil, 0)
			g, err := l.Reserve(Request{Packet: packet(eu, 7, 21), EIRP: tt.eirp, Lower: tt.lower}, 0)
			if tt.err == nil {
				if err != nil || g.Power != tt.want {
					t.Fatalf("got %v, %v, want %v", g.Power, err, tt.want)
				}
				return
			}
			if _, refused := errors.AsType[*region.Refusal](err); !refused && !errors.Is(err, tt.err) {
				t.Fatalf("got %v, want %v", err, tt.err)
			}
		})
	}
}

func TestForbiddenThings(t *testing.T) {
	tests := []struct {
		plan string
		pkt  radio.TxPacket
		want region.Reason
	}{
		{"EU868", packet(870_500*radio.KHz, 7, 21), region.FrequencyNotInPlan},
		{"US915", packet(902_300*radio.KHz, 10, 60), region.DwellExceeded},
		{"US915", packet(902_300*radio.KHz, 12, 21), region.DataRateNotInPlan},
	}
	for _, tt := range tests {
		_, err := limiter(t, tt.plan, 0, nil, 0).Reserve(Request{Packet: tt.pkt, EIRP: radio.EIRP(radio.DBm(10))}, 0)
		if r, ok := errors.AsType[*region.Refusal](err); !ok || r.Reason != tt.want {
			t.Errorf("%s %v %v: %v, want %v", tt.plan, tt.pkt.Frequency, tt.pkt.DataRate, err, tt.want)
		}
	}
}

// spend sends until the budget is gone and gives the time on air.
func spend(t *testing.T, l *Limiter, now radio.Micros) (total radio.Micros) {
	t.Helper()
	req := Request{Packet: packet(868_800*radio.KHz, 7, 21), EIRP: radio.EIRP(radio.DBm(14))} // band N: 0.1 %
	for range 1000 {
		g, err := l.Reserve(req, now)
		if errors.Is(err, ErrDutyCycle) {
			return total
		}
		if err != nil {
			t.Fatal(err)
		}
		total += g.OnAir
	}
	t.Fatal("no end of airtime")
	return 0
}

func TestDutyCycleSurvivesRestart(t *testing.T) {
	l := limiter(t, "EU868", 0, nil, 0)
	if got := spend(t, l, second); got > 3600*second/1000 || got < 3500*second/1000 {
		t.Errorf("%v on the air in a band of 3.6 s", got.Duration())
	}
	saved, err := l.Snapshot(2*second, true)
	if err != nil {
		t.Fatal(err)
	}
	if got := spend(t, limiter(t, "EU868", 0, saved, 0), 0); got != 0 {
		t.Errorf("a restart gave %v away", got.Duration())
	}
	if got := spend(t, limiter(t, "EU868", 0, saved, 0), 2*3600*second); got == 0 {
		t.Error("no airtime two hours later")
	}
}

// TestKillGivesNothingAway sends on with the snapshot that a running device
// would last have saved, as after kill -9.
func TestKillGivesNothingAway(t *testing.T) {
	l := limiter(t, "EU868", 0, nil, 0)
	req := Request{Packet: packet(868_800*radio.KHz, 7, 21), EIRP: radio.EIRP(radio.DBm(14))}
	var saved []byte
	var sent radio.Micros
	for {
		if l.NeedsSave() {
			var err error
			if saved, err = l.Snapshot(second, false); err != nil {
				t.Fatal(err)
			}
		}
		after := spend(t, limiter(t, "EU868", 0, saved, second), second)
		if sent+after > 3600*second/1000 {
			t.Fatalf("%v before and %v after a kill: more than 3.6 s", sent.Duration(), after.Duration())
		}
		g, err := l.Reserve(req, second)
		if errors.Is(err, ErrDutyCycle) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		sent += g.OnAir
	}
}

func TestDamagedAccountCountsAsSpent(t *testing.T) {
	p, _ := region.ByName("EU868")
	l, err := New(Config{Plan: p, MaxPower: radio.DBm(27)}, []byte("damaged"), 0)
	if err == nil || l == nil {
		t.Fatalf("got %v, %v: want a usable limiter and a warning", l, err)
	}
	if got := spend(t, l, 0); got != 0 {
		t.Errorf("%v free airtime after damage", got.Duration())
	}
}

func TestReleaseGivesBack(t *testing.T) {
	l := limiter(t, "EU868", 0, nil, 0)
	req := Request{Packet: packet(868_800*radio.KHz, 7, 21), EIRP: radio.EIRP(radio.DBm(14))}
	for range 500 {
		g, err := l.Reserve(req, 0)
		if err != nil {
			t.Fatal(err)
		}
		l.Release(g)
	}
	for _, u := range l.Usage(0) {
		if u.Remains != u.Budget {
			t.Errorf("%+v after everything was released", u)
		}
	}
}

func TestNew(t *testing.T) {
	if l, err := New(Config{}, nil, 0); err == nil || l != nil {
		t.Error("a limiter without a region")
	}
	p, _ := region.ByName("EU868")
	if _, err := New(Config{Plan: p, MinPower: 1}, nil, 0); err == nil {
		t.Error("an empty range of power was taken")
	}
}
