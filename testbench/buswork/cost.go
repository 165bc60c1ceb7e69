package buswork

import "time"

// Speeds that bus time is computed with. On SPI: 2 MHz, the clock that the vendor
// uses, and what Linux and the chip select take for each frame. On USB: a full-speed
// bulk pipe, and a round trip for each message, which waits for its answer; the
// bridge's own SPI at 10 MHz is the same for both and left out.
const (
	SPIByte    = 4 * time.Microsecond
	SPIFrame   = 10 * time.Microsecond
	USBByte    = time.Microsecond
	USBMessage = 500 * time.Microsecond
)

// Cost is work on the bus. On SPI a transaction is a frame, on USB a message with
// its answer; bytes are all that cross the wire, headers and answers included.
type Cost struct {
	Transactions int
	Bytes        int
}

// Time is how long that takes at the stated speeds.
func (c Cost) Time(usb bool) time.Duration {
	if usb {
		return time.Duration(c.Transactions)*USBMessage + time.Duration(c.Bytes)*USBByte
	}
	return time.Duration(c.Transactions)*SPIFrame + time.Duration(c.Bytes)*SPIByte
}

func (c *Cost) add(o Cost) {
	c.Transactions += o.Transactions
	c.Bytes += o.Bytes
}

// per divides a cost that was measured n times over, rounding up.
func (c Cost) per(n int) Cost {
	return Cost{(c.Transactions + n - 1) / n, (c.Bytes + n - 1) / n}
}

// Sizes of frames and messages (a.1, a.2).
const (
	spiReadHead  = 4 // multiplexer, address, a byte of waiting
	spiWriteHead = 3
	usbHead      = 4 // of a message, and of its answer
	usbRequest   = 5 // before each frame, there and back
	usbModify    = 6 // read-modify-write: the request
	usbModified  = 5 // and its answer
	usbPinAsk    = 3
	usbPinAnswer = 1
)

const (
	fifoWindow   = 0x4000 // below it are the microcontrollers' programs
	fifoCount    = 0x58C8 // the number of bytes in the FIFO
	nbBytes      = 2      // registers with the number of bytes in the FIFO
	counterBlock = 8      // registers of pulse and counter
)
