package helium

// Tariff is the price of packets.
type Tariff struct {
	BytesPerDC int    // bytes of PHY payload that one data credit carries, at least 1
	LowBalance uint64 // data credits; with less left an organisation was disabled
}

// DefaultTariff is 24 bytes for a data credit and a minimum of 3.5 million ($35).
func DefaultTariff() Tariff { return Tariff{BytesPerDC: 24, LowBalance: 3_500_000} }

// Cost is the price of an uplink of n bytes of PHY payload in data credits: one
// for each begun unit, at least one.
func (t Tariff) Cost(n int) uint64 {
	per := max(t.BytesPerDC, 1)
	return uint64(max(1, n/per+min(1, n%per)))
}

// Packet is one routed packet.
type Packet struct {
	Bytes int
	Join  bool // joins cost nothing and leave no record
	Free  bool // the network server carries it for nothing
}

// PacketVerdict says what became of a packet.
type PacketVerdict uint8

// The outcomes.
const (
	PacketIgnored             PacketVerdict = 0 // a join: neither valid nor invalid
	PacketValid               PacketVerdict = 1
	PacketInsufficientBalance PacketVerdict = 2
)

func (v PacketVerdict) String() string {
	switch v {
	case PacketValid:
		return "valid"
	case PacketInsufficientBalance:
		return "invalid:insufficient_balance"
	}
	return "ignored"
}

// Payer is an organisation's account in data credits.
type Payer struct {
	Chain   uint64 // balance on chain
	Pending uint64 // debited here, not yet burned there
}

// Charge is the outcome of one packet for its payer.
type Charge struct {
	Verdict PacketVerdict
	DC      uint64
	Disable bool // refused or left with less than the minimum: look again, then disable
}

// Charge debits a packet when the balance less what is pending covers it, and
// gives the account afterwards.
func (t Tariff) Charge(p Payer, pkt Packet) (Payer, Charge) {
	switch {
	case pkt.Join:
		return p, Charge{Verdict: PacketIgnored}
	case pkt.Free:
		return p, Charge{Verdict: PacketValid}
	}
	cost := t.Cost(pkt.Bytes)
	if p.Pending > p.Chain || p.Chain-p.Pending < cost {
		return p, Charge{Verdict: PacketInsufficientBalance, DC: cost, Disable: true}
	}
	p.Pending += cost
	return p, Charge{Verdict: PacketValid, DC: cost, Disable: p.Chain-p.Pending < t.LowBalance}
}
