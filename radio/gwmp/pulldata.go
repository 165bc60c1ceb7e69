package gwmp

// PullData is PULL_DATA: a gateway's keep-alive, sent every few seconds so that
// the server can reach it through network address translation. Downlinks go to
// the address that the last one came from.
type PullData struct {
	Version Version
	Token   Token
	MAC     MAC
}

// Kind is [KindPullData].
func (PullData) Kind() Kind { return KindPullData }

func (PullData) message() {}

// AppendBinary appends the 12-byte datagram.
func (m PullData) AppendBinary(b []byte) ([]byte, error) {
	b, err := appendHeader(b, m.Version, m.Token, KindPullData)
	if err != nil {
		return b, err
	}
	return append(b, m.MAC[:]...), nil
}
