package chip

import (
	_ "embed" // the register table
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// addressSpace is the 15-bit address range of the chip.
const addressSpace = 0x8000

//go:embed registers.csv
var registerCSV string

// registerTable is what registers.csv says of each address.
type registerTable struct {
	reset [addressSpace]byte // value after reset
	write [addressSpace]byte // bits that the host can change
	part  [addressSpace]bool // a field is less than the byte
}

// Shared says whether a field of a register does not fill its byte, so that a host
// without a copy has to read the byte before it writes the field (a.1).
func Shared(addr uint16) bool { return addr < addressSpace && registers().part[addr] }

var registers = sync.OnceValue(func() *registerTable {
	t, err := parseRegisters(registerCSV)
	if err != nil {
		panic(err) // the table is part of the program
	}
	return t
})

func parseRegisters(text string) (*registerTable, error) {
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("chip: read register table: %w", err)
	}
	t := &registerTable{}
	for i, row := range rows[1:] {
		if err := t.add(row); err != nil {
			return nil, fmt.Errorf("chip: register table line %d: %w", i+2, err)
		}
	}
	return t, nil
}

// add takes one field: name,page,addr,offset,signed,width,readonly,default.
func (t *registerTable) add(row []string) error {
	var n [7]int64
	for i, s := range row[1:8] {
		v, err := strconv.ParseInt(s, 0, 32)
		if err != nil {
			return err
		}
		n[i] = v
	}
	addr, offset, width, readOnly, value := n[1], n[2], n[4], n[5] != 0, n[6]
	if addr < 0 || addr >= addressSpace || width < 1 || offset < 0 || offset+width > 8 {
		return fmt.Errorf("%s lies outside a byte of the address space", row[0])
	}
	mask := byte(1<<width-1) << offset
	t.reset[addr] |= byte(value) << offset & mask
	t.part[addr] = t.part[addr] || width < 8
	if !readOnly {
		t.write[addr] |= mask
	}
	return nil
}

// Addresses with a meaning to the simulator (section b). Those of chain B are
// chainStride above those of chain A.
const (
	agcMemory   = 0x0000
	arbMemory   = 0x2000
	memorySize  = 0x2000
	fifoWindow  = 0x4000
	fifoSize    = 0x1000
	chainStride = 0x200

	regTxTrigger    = 0x5200
	regTxTimer      = 0x5201 // 4 bytes, most significant first
	regTxDelay      = 0x5205 // 2 bytes
	regTxControl    = 0x5207
	regTxFlags      = 0x520B
	regTxPower      = 0x520D
	regTxStatus     = 0x5211
	regTxSource     = 0x5220
	regTxGain       = 0x5222
	regTxFrequency  = 0x5225 // 3 bytes
	regTxFSKConfig  = 0x5241
	regTxFSKPreamb  = 0x5242 // 2 bytes
	regTxFSKRate    = 0x5244 // 2 bytes
	regTxFSKPattern = 0x5246
	regTxModem      = 0x5260
	regTxCoding     = 0x5261
	regTxOptions    = 0x5262
	regTxLength     = 0x5263
	regTxPreamble   = 0x5266 // LSB; the MSB follows
	regTxChirp      = 0x5269
	regTxSync       = 0x526D // 2 bytes: peak positions
	txBuffer        = 0x5300
	txBufferSize    = 0x100

	regPage    = 0x5600
	regControl = 0x5601
	regEnable  = 0x5605
	regVersion = 0x5606
	regGPIOOut = 0x5643

	regAGCControl = 0x5780
	regAGCStatus  = 0x5781
	regRFEnableA  = 0x5783
	regRFEnableB  = 0x5784
	regMailboxIn  = 0x5789 // bytes 3..0, host to microcontroller
	regMailboxOut = 0x578D // bytes 3..0, microcontroller to host

	regIFFrequency  = 0x5800 // 8 x 2 bytes
	regRadioSelect  = 0x5810
	regChannelClock = 0x5820
	regChannelOn    = 0x5821
	regSFOn         = 0x5822
	regSyncSF5      = 0x588A
	regSyncSF6      = 0x588C
	regSyncSF7      = 0x588E
	regMetrics      = 0x58B3 // bit 3: fine timestamps on
	regBuffer       = 0x58C0
	regMaxMetrics   = 0x58C1
	regLastRead     = 0x58C4 // 2 bytes
	regLastWrite    = 0x58C6 // 2 bytes
	regBytes        = 0x58C8 // 2 bytes

	regServiceIF      = 0x5B00 // 2 bytes
	regServiceRadio   = 0x5B02
	regServiceModem   = 0x5B21
	regServiceCoding  = 0x5B22
	regServiceOptions = 0x5B23
	regServiceSync    = 0x5B2E // 2 bytes
	regFSKIF          = 0x5B50 // 2 bytes
	regFSKConfig0     = 0x5B52
	regFSKConfig3     = 0x5B54
	regFSKRate        = 0x5B5B // 2 bytes

	regARBControl = 0x6080
	regARBStatus  = 0x6081
	regARBConfig  = 0x6089 // 4 bytes
	regARBReport  = 0x608D // 16 bytes

	regGPS     = 0x6100
	regPPS     = 0x6101 // 4 bytes
	regCounter = 0x6105 // 4 bytes

	regOTPAddress = 0x6180
	regOTPData    = 0x6181
	regOTPStatus  = 0x6182
)
