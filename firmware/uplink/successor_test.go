package uplink

import (
	"errors"
	"testing"
	"time"

	"google.golang.org/grpc"

	"heliograph/firmware/internal/oracletest"
	pb "heliograph/oracle/api/heliographv1"
)

// closedStream is a stream on which nothing happens any more.
type closedStream struct {
	grpc.BidiStreamingClient[pb.FromHotspot, pb.ToHotspot]
}

func (closedStream) CloseSend() error { return nil }

// A successor that dies before it is taken into use must not replace a session
// that works: nobody would tell that it is dead until the oracle's silence does.
func TestDeadSuccessorReplacesNothing(t *testing.T) {
	r := start(t, oracletest.Start(t, nil), nil)
	r.stop()
	c := r.client
	open := func() *link {
		conn, err := c.dial()
		if err != nil {
			t.Fatal(err)
		}
		l := &link{conn: conn, stream: closedStream{}, cancel: func() {}, done: make(chan struct{}), ends: time.Hour}
		close(l.done)
		return l
	}
	works, next := open(), open()
	defer works.close()
	s := service{c: c, cur: works, opening: make(chan openedUp)}
	if err := s.event(event{next, nil, errors.New("reset by peer")}); err != nil {
		t.Fatal(err)
	}
	s.replace(openedUp{next, nil})
	if s.cur != works || s.old != nil || s.opening != nil {
		t.Errorf("the dead session is in use: %+v", s)
	}
	if works.renewAt <= 0 {
		t.Error("no other successor is planned")
	}
}
