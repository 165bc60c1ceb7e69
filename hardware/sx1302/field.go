package sx1302

//go:generate go run ./internal/genregs -in registers.csv -out regs.go

// field names some bits of one register byte, packed into a constant: address,
// first bit, width, whether the value is signed, whether the host may write it,
// and its value after reset. The constants are in regs.go.
type field uint64

const (
	addrShift    = 32
	offShift     = 24
	widthShift   = 16
	signedFlag   = 1 << 8
	readOnlyFlag = 1 << 9
)

func (f field) addr() uint16   { return uint16(f >> addrShift) }
func (f field) off() uint8     { return uint8(f >> offShift) }
func (f field) width() uint8   { return uint8(f >> widthShift) }
func (f field) signed() bool   { return f&signedFlag != 0 }
func (f field) readOnly() bool { return f&readOnlyFlag != 0 }

// mask is the field's bits in its byte.
func (f field) mask() byte { return (1<<f.width() - 1) << f.off() }

// plus moves the field to an address d higher: transmit fields of chain A become
// those of chain B.
func (f field) plus(d uint16) field { return f + field(d)<<addrShift }

// extract takes the field's value out of its byte.
func (f field) extract(b byte) int {
	v := int(b&f.mask()) >> f.off()
	if f.signed() && v>>(f.width()-1) != 0 {
		v -= 1 << f.width()
	}
	return v
}

// insert returns byte b with the field set to the low bits of v.
func (f field) insert(b byte, v int) byte {
	return b&^f.mask() | byte(v)<<f.off()&f.mask()
}
