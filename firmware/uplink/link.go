package uplink

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"

	"heliograph/firmware/timing"
	pb "heliograph/oracle/api/heliographv1"
	"heliograph/poc"
)

// link is one session on one connection.
type link struct {
	conn   *grpc.ClientConn
	stream grpc.BidiStreamingClient[pb.FromHotspot, pb.ToHotspot]
	key    ed25519.PrivateKey // of the session, in memory only
	cancel context.CancelFunc
	done   chan struct{} // the receiver has ended
	broken bool          // nothing can be sent any more

	opened  time.Duration // monotonic, like all below
	ends    time.Duration // when the session is over
	renewAt time.Duration // when the next one is to be opened
	closeAt time.Duration // an old link's last moment

	cookie   uint64        // of the time request under way, 0 for none
	asked    time.Duration // when it was sent
	nextTime time.Duration // when to ask again
	samples  int
}

// event is what a link's receiver hands to the client's loop.
type event struct {
	link *link
	msg  *pb.ToHotspot
	err  error // the link is dead
}

// open connects, settles the assertion and opens a session.
func (c *Client) open(ctx context.Context) (_ *link, err error) {
	conn, err := c.dial()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	l := &link{conn: conn, cancel: cancel, done: make(chan struct{})}
	// Opening must end; the stream lives on with ctx.
	timer := time.AfterFunc(c.cfg.AnswerTimeout, cancel)
	defer func() {
		if err != nil {
			timer.Stop()
			cancel()
			_ = conn.Close() // nothing was sent that matters
		}
	}()
	client := pb.NewHotspotsClient(conn)
	if err := c.hello(ctx, client); err != nil {
		return nil, err
	}
	sent := c.cfg.Mono()
	if l.stream, err = client.Session(ctx); err != nil {
		return nil, fmt.Errorf("uplink: open session: %w", err)
	}
	if err := c.handshake(l, sent); err != nil {
		return nil, err
	}
	if !timer.Stop() {
		return nil, errors.New("uplink: the oracle is too slow")
	}
	go c.receive(ctx, l)
	return l, nil
}

// hello learns the oracle's time and rules, and makes sure that it knows the
// hotspot.
func (c *Client) hello(ctx context.Context, client pb.HotspotsClient) (err error) {
	sent := c.cfg.Mono()
	info, err := client.Info(ctx, &pb.InfoRequest{})
	if err != nil {
		return fmt.Errorf("uplink: ask for info: %w", err)
	}
	c.sample(sent, info.GetUnixNano())
	c.info(info)
	if c.cfg.Hooks.Assertion == nil {
		return nil
	}
	again := c.again.Swap(false)
	defer func() {
		if again && err != nil {
			c.again.Store(true) // still to be done
		}
	}()
	body, err := c.cfg.Hooks.Assertion(again)
	if err != nil {
		return fmt.Errorf("uplink: make assertion: %w", err)
	}
	if body == nil {
		return nil
	}
	signed, err := poc.SignBody(body, c.cfg.Key)
	if err != nil {
		return fmt.Errorf("uplink: sign assertion: %w", err)
	}
	out, err := client.Submit(ctx, &pb.SubmitRequest{Report: signed})
	if err != nil {
		return fmt.Errorf("uplink: submit assertion: %w", err)
	}
	return c.asserted(poc.IDOf(body), out)
}

func (c *Client) asserted(id poc.ID, out *pb.Outcome) error {
	reason := poc.Reason(out.GetReason())
	c.count(func(s *Stats) { s.Outcomes["assertion_"+reason.String()]++ })
	if reason == poc.OK {
		if err := c.checkReceipt(id, out); err != nil {
			return err
		}
		if c.cfg.Hooks.Asserted != nil {
			c.cfg.Hooks.Asserted(id)
		}
		return nil
	}
	err := fmt.Errorf("uplink: the oracle refuses the assertion: %v: %.200s", reason, out.GetDetail())
	if reason == poc.NotRegistered {
		// An older assertion may be on record, and then the session works.
		c.cfg.Log.Warn("assertion refused", "reason", reason.String(), "detail", clip(out.GetDetail()))
		c.count(func(s *Stats) { s.LastError = err.Error() })
		return nil
	}
	return err
}

// handshake answers the offer with a certificate for a fresh key.
func (c *Client) handshake(l *link, sent time.Duration) error {
	msg, err := l.stream.Recv()
	if err != nil {
		return fmt.Errorf("uplink: wait for session offer: %w", err)
	}
	offer := msg.GetOffer()
	if offer == nil || len(offer.GetNonce()) != poc.NonceSize || offer.GetUnixNano() <= 0 {
		return errors.New("uplink: open session: the oracle's first message is not a good offer")
	}
	c.sample(sent, offer.GetUnixNano())
	if offer.GetInfo() != nil {
		c.info(offer.GetInfo())
	}
	seed := make([]byte, ed25519.SeedSize)
	if _, err := io.ReadFull(c.cfg.Rand, seed); err != nil {
		return fmt.Errorf("uplink: session key: %w", err)
	}
	l.key = ed25519.NewKeyFromSeed(seed)
	from := offer.GetUnixNano() / int64(time.Second)
	cert := poc.SessionCert{
		Hotspot: c.cfg.Key.ID(), Key: poc.SessionKey(l.key.Public().(ed25519.PublicKey)),
		Nonce: [poc.NonceSize]byte(offer.GetNonce()), NotBefore: from, NotAfter: from + int64(c.cfg.SessionLife/time.Second),
	}
	signed, err := poc.MakeSessionCert(cert, c.cfg.Key)
	if err != nil {
		return fmt.Errorf("uplink: session certificate: %w", err)
	}
	init := &pb.SessionInit{Certificate: signed, Firmware: c.cfg.Firmware}
	if err := l.stream.Send(&pb.FromHotspot{Message: &pb.FromHotspot_Init{Init: init}}); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("uplink: send session certificate: %w", err)
	}
	if msg, err = l.stream.Recv(); err != nil {
		return fmt.Errorf("uplink: the oracle does not open the session: %w", err)
	}
	if o := msg.GetOutcome(); o != nil {
		if poc.Reason(o.GetReason()) == poc.UnknownHotspot {
			c.again.Store(true)
		}
		return fmt.Errorf("uplink: open session: the oracle refuses: %s: %s", poc.Reason(o.GetReason()), clip(o.GetDetail()))
	}
	life := min(time.Duration(msg.GetReady().GetNotAfter()-from), c.cfg.SessionLife/time.Second) * time.Second
	if msg.GetReady() == nil || life <= 0 {
		return errors.New("uplink: open session: the oracle's answer is not a session")
	}
	l.opened = c.cfg.Mono()
	l.ends = l.opened + life
	l.renewAt = l.opened + life*3/4 + c.jitter(life/10)
	l.nextTime = l.opened
	return nil
}

// receive hands messages to the loop until the link dies.
func (c *Client) receive(ctx context.Context, l *link) {
	defer close(l.done)
	for {
		msg, err := l.stream.Recv()
		if errors.Is(err, io.EOF) {
			err = errors.New("uplink: the oracle closed the session")
		}
		select {
		case c.events <- event{l, msg, err}:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// close ends the link and waits for its receiver.
func (l *link) close() {
	_ = l.stream.CloseSend() // a courtesy
	l.cancel()
	_ = l.conn.Close()
	<-l.done
}

// sample passes a round trip on that ends now.
func (c *Client) sample(sent time.Duration, unixNano int64) {
	if c.cfg.Hooks.Time != nil {
		c.cfg.Hooks.Time(timing.Sample{Sent: sent, Received: c.cfg.Mono(), Oracle: unixNano})
	}
}

func (c *Client) info(i *pb.InfoReply) {
	if c.cfg.Hooks.Info != nil {
		c.cfg.Hooks.Info(i)
	}
}

// clip bounds text of the oracle for logs.
func clip(s string) string { return s[:min(len(s), 200)] }
