package gwmp

// PullAck is PULL_ACK: the server knows now where to send downlinks.
type PullAck struct {
	Version Version
	Token   Token // that of the PullData
}

// Kind is [KindPullAck].
func (PullAck) Kind() Kind { return KindPullAck }

func (PullAck) message() {}

// AppendBinary appends the 4-byte datagram.
func (m PullAck) AppendBinary(b []byte) ([]byte, error) {
	return appendHeader(b, m.Version, m.Token, KindPullAck)
}
