package radio

import "time"

// MaxPayload is the longest PHY payload that a LoRa or FSK packet can carry.
const MaxPayload = 255

// CRCStatus is what the receiver found out about a packet's payload checksum.
type CRCStatus int8

// The values are those of Semtech UDP's "stat" field.
const (
	CRCBad  CRCStatus = -1
	CRCNone CRCStatus = 0
	CRCOK   CRCStatus = 1
)

// RxPacket is one packet as a concentrator received it.
type RxPacket struct {
	Payload   []byte // PHY payload, 0..255 bytes, owned by the receiver of the value
	Frequency Hertz  // centre of the channel
	Offset    Hertz  // measured carrier less Frequency; meaningful when HasOffset
	HasOffset bool
	DataRate  DataRate
	Coding    CodingRate
	CRC       CRCStatus

	RSSI          CentiDBm // channel RSSI: signal and noise in the channel
	SignalRSSI    CentiDBm // RSSI of the signal itself; meaningful when HasSignalRSSI
	HasSignalRSSI bool
	SNR           CentiDB // LoRa only

	Tick       Tick     // end of the packet on the concentrator's counter
	Time       WallTime // UTC at the end of the packet, when the host knows it
	FineNanos  uint32   // fine timestamp: ns since the last PPS; meaningful when HasFine
	HasFine    bool
	IFChannel  uint8 // demodulator chain
	RadioChain uint8 // RF chain
	Antenna    uint8
	Board      uint8
}

// Level is the best estimate of the received signal's power: the signal RSSI
// where the radio reports it, otherwise the channel RSSI.
func (p RxPacket) Level() CentiDBm {
	if p.HasSignalRSSI {
		return p.SignalRSSI
	}
	return p.RSSI
}

// When says at which moment a packet is to be sent.
type When uint8

// The three ways to time a transmission.
const (
	Immediate When = 1 // as soon as the radio can
	AtTick    When = 2 // when the concentrator's counter reaches TxPacket.Tick
	AtGPS     When = 3 // at TxPacket.GPSTime, by a clock that GNSS disciplines
)

// TxPacket is one packet to be sent.
type TxPacket struct {
	Payload    []byte // PHY payload, 1..255 bytes
	Frequency  Hertz
	DataRate   DataRate
	Coding     CodingRate
	Power      CentiDBm // conducted, at the antenna connector
	InvertIQ   bool     // true for LoRaWAN downlinks, false for beacons
	NoCRC      bool     // LoRaWAN downlinks carry no payload checksum
	Implicit   bool     // LoRa without PHY header, as class B beacons are; the receiver must know rate and length
	Preamble   uint16   // symbols; 0 means the usual 8
	RadioChain uint8
	Antenna    uint8
	Board      uint8 // as in the RxPacket that this answers; 0 where there is one board only

	When    When
	Tick    Tick          // AtTick
	GPSTime time.Duration // AtGPS: the packet's start on GPS's scale, since [GPSEpoch]
}

// TxStatus says how a transmission ended. Anything but TxOK means that nothing
// was radiated.
type TxStatus uint8

// Outcomes of a transmission; the names are those of Semtech UDP's TX_ACK.
const (
	TxOK              TxStatus = 1
	TxTooLate         TxStatus = 2
	TxTooEarly        TxStatus = 3
	TxCollisionPacket TxStatus = 4
	TxCollisionBeacon TxStatus = 5
	TxBadFrequency    TxStatus = 6
	TxBadPower        TxStatus = 7
	TxGPSUnlocked     TxStatus = 8
	TxBusy            TxStatus = 9  // queue full or channel occupied (listen-before-talk)
	TxDutyCycle       TxStatus = 10 // the region's airtime budget is spent
	TxNoRadio         TxStatus = 11 // no forwarder or concentrator is there to send
	TxFailed          TxStatus = 12 // the radio reported another failure
)

var txStatusNames = map[TxStatus]string{
	TxOK: "ok", TxTooLate: "too_late", TxTooEarly: "too_early",
	TxCollisionPacket: "collision_packet", TxCollisionBeacon: "collision_beacon",
	TxBadFrequency: "tx_freq", TxBadPower: "tx_power", TxGPSUnlocked: "gps_unlocked",
	TxBusy: "busy", TxDutyCycle: "duty_cycle", TxNoRadio: "no_radio", TxFailed: "failed",
}

func (s TxStatus) String() string {
	if n, ok := txStatusNames[s]; ok {
		return n
	}
	return "unknown"
}

// TxResult is what a concentrator says after a transmission was tried.
type TxResult struct {
	Status TxStatus
	Power  CentiDBm // conducted power really used; meaningful when Status is TxOK
	Tick   Tick     // start of the packet on the counter, 0 when the radio cannot tell
	Time   WallTime // UTC of that start, when known
}
