package gwmp

// PushAck is PUSH_ACK: the server has received a [PushData]. It says nothing
// about what became of the packets in it.
type PushAck struct {
	Version Version
	Token   Token // that of the PushData
}

// Kind is [KindPushAck].
func (PushAck) Kind() Kind { return KindPushAck }

func (PushAck) message() {}

// AppendBinary appends the 4-byte datagram.
func (m PushAck) AppendBinary(b []byte) ([]byte, error) {
	return appendHeader(b, m.Version, m.Token, KindPushAck)
}
