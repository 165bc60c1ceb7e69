package gwmp

import "testing"

// FuzzParse wants no panic from any datagram, and from each that parses the
// same message again after a round trip.
func FuzzParse(f *testing.F) {
	for _, d := range vectors(f).datagrams(f) {
		f.Add(d)
	}
	f.Add(datagram(KindPushData, []byte(`{"rxpk":[`+goodJSON+`],"stat":{"rxnb":1}}`)))
	f.Add(datagram(KindPullResp, []byte(`{"txpk":`+goodTxJSON+`}`)))
	f.Add(datagram(KindPullData, nil))
	f.Add([]byte{1, 0, 0, 4})
	f.Fuzz(func(t *testing.T, d []byte) {
		m, err := Parse(d)
		if err != nil {
			return
		}
		roundTrip(t, "fuzz", m)
		if p, ok := m.(PushData); ok {
			for _, r := range p.RxPKs {
				again := p
				again.RxPKs, again.Stat = []RxPK{RxPKOf(r.Packet(0))}, nil
				if _, err := again.AppendBinary(nil); err != nil {
					t.Errorf("a packet cannot be passed on: %v", err)
				}
			}
		}
	})
}
