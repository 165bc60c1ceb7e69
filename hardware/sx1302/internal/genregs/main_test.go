package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

func TestConstantsAreFresh(t *testing.T) {
	table, err := os.ReadFile("../../registers.csv")
	if err != nil {
		t.Fatal(err)
	}
	want, err := generate(table)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../regs.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("regs.go is not what registers.csv gives: run go generate ./hardware/sx1302")
	}
}

func TestBadTables(t *testing.T) {
	head := strings.Join(header, ",") + "\n"
	for name, table := range map[string]string{
		"header":     "name,addr\n",
		"columns":    head + "A,0,0x5600,0\n",
		"number":     head + "A,0,zz,0,0,8,0,0\n",
		"page":       head + "A,1,0x5600,0,0,8,0,0\n",
		"address":    head + "A,0,0x8000,0,0,8,0,0\n",
		"crossing":   head + "A,0,0x5600,4,0,5,0,0\n",
		"no width":   head + "A,0,0x5600,4,0,0,0,0\n",
		"default":    head + "A,0,0x5600,0,0,2,0,4\n",
		"same again": head + "A,0,0x5600,0,0,2,0,0\nA,0,0x5601,0,0,2,0,0\n",
	} {
		if _, err := generate([]byte(table)); err == nil {
			t.Errorf("%s: passed", name)
		}
	}
}

func TestGenerate(t *testing.T) {
	src, err := generate([]byte(strings.Join(header, ",") + "\nAGC_MCU_X,0,0x5780,4,1,3,1,-1\nAGC_MCU_Y,0,0x5780,0,0,4,0,5\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"regAgcMcuX field = 0x5780<<addrShift + 4<<offShift + 3<<widthShift + signedFlag + readOnlyFlag + 0x7 // registers.csv:2 AGC_MCU_X",
		"regAgcMcuY field = 0x5780<<addrShift + 0<<offShift + 4<<widthShift + 0x5",
		`"\x57\x80\x75\x70"`,
	} {
		if !strings.Contains(string(src), want) {
			t.Errorf("%s\nlacks %s", src, want)
		}
	}
}
