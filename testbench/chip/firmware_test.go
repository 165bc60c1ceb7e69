package chip

import (
	"compress/gzip"
	"encoding/csv"
	"encoding/hex"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestSyntheticFirmware(t *testing.T) {
	for _, p := range []Program{ProgramAGC1250, ProgramAGC125x, ProgramARB, ProgramCalibrate} {
		image := SyntheticFirmware(p, p.Version())
		got, version, ok := identify(image)
		if len(image) != memorySize || !parityOK(image) || !ok || got != p || version != p.Version() {
			t.Errorf("program %d: %d bytes, parity %v, identified as %d version %d", p, len(image), parityOK(image), got, version)
		}
		image[4001] ^= 0x08
		if parityOK(image) {
			t.Error("a flipped bit keeps parity")
		}
	}
	blank := make([]byte, 0, memorySize)
	for range programWords {
		blank = append(blank, 0xFF, 0xBF) // an erased word, from the specification
	}
	if !parityOK(blank) {
		t.Error("a blank image has bad parity")
	}
	if _, _, ok := identify(blank); ok {
		t.Error("a blank image is a program")
	}
}

func TestPayloadCRC(t *testing.T) {
	if got := payloadCRC([]byte("123456789")); got != 0xBEEF {
		t.Errorf("check value %#04x", got)
	}
	text, err := os.ReadFile("testdata/payload_crc16.csv")
	if err != nil {
		t.Fatal(err)
	}
	rows := strings.Fields(string(text))[1:]
	for _, row := range rows {
		payload, want, _ := strings.Cut(row, ",")
		b, err := hex.DecodeString(payload)
		if err != nil {
			t.Fatal(err)
		}
		w, err := strconv.ParseUint(want, 0, 16)
		if err != nil {
			t.Fatal(err)
		}
		if got := payloadCRC(b); got != uint16(w) {
			t.Errorf("CRC of %s = %#04x, want %s", payload, got, want)
		}
	}
	if len(rows) < 20 {
		t.Errorf("only %d rows", len(rows))
	}
}

// TestReceiveDelays checks where the two kinds of timestamp lie against the
// corrections that the vendor's functions compute.
func TestReceiveDelays(t *testing.T) {
	rows, skipped := 0, 0
	for _, row := range csvRows(t, "testdata/lora_timing.csv.gz") {
		var n [7]int
		for i := range n {
			v, err := strconv.Atoi(row[i])
			if err != nil {
				t.Fatal(err)
			}
			n[i] = v
		}
		r := loraRate{sf: n[0], bwKHz: n[1], coding: n[2], crc: n[3] != 0, length: n[4]}
		if got := -r.endDelay(); got != int64(n[5]) {
			t.Errorf("%+v: legacy correction %d, want %d", r, got, n[5])
		}
		rows++
		if r.sf >= 11 && r.lowRate() == 0 {
			skipped++ // here the vendor assumes low data rate optimisation, which the modem does not use (e.2)
			continue
		}
		if got := r.headerLead(); got != int64(n[6]) {
			t.Errorf("%+v: fine correction %d, want %d", r, got, n[6])
		}
	}
	if rows != 2880 || skipped != 3*360*rows/2880/3 {
		t.Errorf("%d rows, %d of them skipped", rows, skipped)
	}
}

func TestRegisterTable(t *testing.T) {
	for _, bad := range []string{
		"h\nX,0,0x8000,0,0,1,0,0", "h\nX,0,0x5600,7,0,2,0,0", "h\nX,0,0x5600,0,0,0,0,0", "h\nX,0,zz,0,0,1,0,0",
	} {
		if _, err := parseRegisters("name,page,addr,offset,signed,width,readonly,default" + bad[1:]); err == nil {
			t.Errorf("table %q was accepted", bad)
		}
	}
	c := New(Config{Model: SX1303, EUI: 0x0016C001FF10A235, Clock: NewManualClock(time.Time{})})
	h := host{t, c}
	if got := h.read(regControl, 1)[0]; got != 0x0B {
		t.Errorf("CTRL0 after reset = %#x", got)
	}
	if got := h.read(regVersion, 1)[0]; got != 0x12 {
		t.Errorf("VERSION = %#x", got)
	}
	h.write(regVersion, 0x55)
	h.write(regControl, 0xFF)
	if v, ctrl := h.read(regVersion, 1)[0], h.read(regControl, 1)[0]; v != 0x12 || ctrl != 0x1F {
		t.Errorf("after writing everything: VERSION %#x, CTRL0 %#x", v, ctrl)
	}
	var eui uint64
	for i := range byte(8) {
		h.write(regOTPAddress, i)
		eui = eui<<8 | uint64(h.read(regOTPData, 1)[0])
	}
	h.write(regOTPAddress, 0xD0)
	if model := h.read(regOTPData, 1)[0]; eui != 0x0016C001FF10A235 || model != 3 {
		t.Errorf("EUI %016X, model %d", eui, model)
	}
}

func csvRows(t *testing.T, name string) [][]string {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	in, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(in).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows[1:]
}
