package sx1302

import (
	"errors"
	"fmt"
	"strconv"

	"heliograph/hardware/bus"
)

// Fault names what is wrong with a concentrator, so that callers can count faults
// and decide what to do: [Fault.Restart] says whether a full restart can help.
type Fault uint8

// The faults that the driver tells apart.
const (
	FaultNoChip      Fault = iota + 1 // nothing answers, or it is held in reset
	FaultBadID                        // something answers that is no SX1302
	FaultPins                         // reset or power pins cannot be driven
	FaultBus                          // a transfer failed
	FaultBridge                       // the USB bridge answered nonsense or vanished
	FaultConfig                       // the configuration cannot be
	FaultNoImage                      // microcontroller images are missing
	FaultImage                        // a microcontroller image is damaged
	FaultReadBack                     // program memory reads back differently
	FaultParity                       // a microcontroller reports a parity error
	FaultMCUVersion                   // a microcontroller runs another version
	FaultMCUSilent                    // a microcontroller does not answer
	FaultMCUEcho                      // a microcontroller misunderstood a parameter
	FaultFrontEnd                     // a front end does not reach its mode
	FaultCalibration                  // a front end cannot be calibrated
	FaultModel                        // the chip lacks what was configured
	FaultLBT                          // the SX1261 fails
	FaultStall                        // the receiver has stopped silently
	FaultCounter                      // the counter jumps, stops or runs backwards
	FaultFIFO                         // the receive FIFO overflowed or is inconsistent
	FaultTxStuck                      // a transmission does not end
	FaultPPS                          // no pulse per second
	FaultSilent                       // nothing received for long, though once there was traffic
	FaultScan                         // a spectral scan does not end
)

type faultInfo struct {
	name, text, remedy string
	restart            bool
}

var faults = [...]faultInfo{
	FaultNoChip: {"no_chip", "no concentrator answers", "check the SPI device, the power and reset pins (reset is active high) and that the board is seated", true},
	FaultBadID:  {"bad_id", "what answers is no SX1302", "check the reset pin and the SPI device; a USB board must be opened by its tty", true},
	FaultPins:   {"pins", "cannot drive the board's pins", "check the pin numbers and the permissions of the GPIO device", true},
	FaultBus:    {"bus", "transfer failed", "check the device, its permissions and the cabling", true},
	FaultBridge: {"bridge", "the USB bridge does not follow its protocol", "unplug the board and plug it in again; update the bridge's firmware if that does not help", true},
	FaultConfig: {"config", "the configuration cannot be used", "correct it", false},
	FaultNoImage: {"no_image", "microcontroller firmware is missing",
		"run \"hotspotctl radio firmware import\" with the vendor's sx1302_hal directory", false},
	FaultImage:       {"image", "microcontroller firmware is damaged", "import it again with \"hotspotctl radio firmware import\"", false},
	FaultReadBack:    {"read_back", "microcontroller memory reads back differently", "check the power supply and lower the SPI clock (spi_hz)", true},
	FaultParity:      {"parity", "a microcontroller reports a parity error in its program", "check the power supply; a restart loads the program again", true},
	FaultMCUVersion:  {"mcu_version", "a microcontroller runs an unexpected version", "import the firmware of sx1302_hal V2.1.0", false},
	FaultMCUSilent:   {"mcu_silent", "a microcontroller does not answer", "check the clock source in the configuration and the power supply", true},
	FaultMCUEcho:     {"mcu_echo", "a microcontroller did not take a parameter", "check the power supply and the SPI wiring", true},
	FaultFrontEnd:    {"front_end", "a radio front end does not reach its mode", "check the radio type and the clock source in the configuration, and the crystal", true},
	FaultCalibration: {"calibration", "a radio front end cannot be calibrated", "check its frequency and the antenna connector", true},
	FaultModel:       {"model", "the chip lacks a feature that is configured", "switch fine timestamps off: only an SX1303 has them", false},
	FaultLBT:         {"lbt", "the listen-before-talk radio fails", "check the SX1261's SPI device and reset pin, or switch listen-before-talk off", true},
	FaultStall:       {"stall", "the receiver has stopped", "the concentrator has to be restarted", true},
	FaultCounter:     {"counter", "the concentrator's counter cannot be right", "check the power supply and the antenna; the concentrator has to be restarted", true},
	FaultFIFO:        {"fifo", "the receive FIFO is inconsistent", "the concentrator has to be restarted", true},
	FaultTxStuck:     {"tx_stuck", "a transmission does not end", "the concentrator has to be restarted", true},
	FaultSilent: {"silent", "the receiver hears nothing any more",
		"check the antenna and its cable; the concentrator is restarted in case it has gone deaf; where packets are rare, allow a longer silence (radio.silent_after)", true},
	FaultScan: {"scan", "a spectral scan does not end",
		"the SX1261 has to be restarted with the concentrator; if that does not help do without scans and check its supply", true},
	FaultPPS: {"pps", "no pulse per second arrives", "check the GNSS antenna and receiver", false},
}

// Faults lists every fault, in the order of their declaration.
func Faults() []Fault {
	var out []Fault
	for f := FaultNoChip; int(f) < len(faults); f++ {
		out = append(out, f)
	}
	return out
}

func (f Fault) info() faultInfo {
	if int(f) < len(faults) {
		return faults[f]
	}
	return faultInfo{}
}

// String is the fault's name in metrics: lower case with underscores.
func (f Fault) String() string {
	if n := f.info().name; n != "" {
		return n
	}
	return "fault_" + strconv.Itoa(int(f))
}

// Restart says whether resetting and configuring the chip again may help.
func (f Fault) Restart() bool { return f.info().restart }

// Error is a fault with what was seen of it. Its text names cause and remedy: the
// fault's, unless the cause brings one that knows better ([bus.WithRemedy]).
type Error struct {
	Fault  Fault
	Detail string
	Err    error // cause below, may be nil
}

func (e *Error) Error() string {
	i := e.Fault.info()
	s := "sx1302: " + i.text
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	if bus.HasRemedy(e.Err) {
		return s
	}
	return s + ": " + i.remedy
}

func (e *Error) Unwrap() error { return e.Err }

// FaultOf finds the fault in an error; ok is false when it holds none, such as
// when a context ended.
func FaultOf(err error) (f Fault, ok bool) {
	if e, is := errors.AsType[*Error](err); is {
		return e.Fault, true
	}
	return 0, false
}

func fault(f Fault, err error, format string, args ...any) error {
	return &Error{Fault: f, Detail: fmt.Sprintf(format, args...), Err: err}
}
