// Package concentrator is the boundary between the firmware and its radio: a
// concentrator chip on the hotspot's own bus, packet forwarders that attach by
// Semtech UDP, or a simulated one.
package concentrator

import (
	"context"

	"heliograph/radio"
)

// Concentrator is a radio that a hotspot listens and transmits with. All methods
// are safe for concurrent use. Package concentratortest checks an implementation.
type Concentrator interface {
	// Receive blocks until packets are there and returns one or more, whatever
	// their CRC status, which the caller must look at. The caller owns them.
	// It fails with ctx's error when ctx ends; any other error is permanent.
	Receive(ctx context.Context) ([]radio.RxPacket, error)

	// Send hands a packet over and waits for the true outcome. A radio that
	// refuses, or nobody to send, is a result with its status, not an error.
	// It fails with ctx's error when ctx ends first: the packet may then still
	// go on air, unless ctx had ended before the call. Any other error means
	// that the packet can never be sent.
	Send(ctx context.Context, p radio.TxPacket) (radio.TxResult, error)

	// Now is the present tick of the counter that Receive reports and Send
	// takes; of board 0 where there are several. It is false when that is not
	// known, as before a packet forwarder's first packet.
	Now() (radio.Tick, bool)
}
