package eventlog

import (
	"context"
	"log/slog"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
)

const (
	// pullExpiry is how long one pull request waits at the server.
	pullExpiry = 30 * time.Second
	// pullHeartbeat is how often the server says that it still waits.
	pullHeartbeat = 5 * time.Second
	// pullBuffer is room for what arrives while nobody waits: one message, and
	// words of the server about requests.
	pullBuffer = 64
)

// A puller asks a durable consumer for one message after the other. The
// client's own iterator sends its requests from another goroutine and skips
// one if the message before came back quickly: with one message per request it
// then stood still for two heartbeats.
type puller struct {
	nc       *nats.Conn
	sub      *nats.Subscription
	msgs     chan *nats.Msg
	status   chan nats.Status // connected again: the server has forgotten the request
	subject  string           // of the consumer's requests
	request  []byte
	inbox    string
	number   uint64 // of the newest request
	asked    bool   // the newest request is open
	consumer string
	logger   *slog.Logger
}

func (l *Log) newPuller(stream, consumer string) (*puller, error) {
	request, err := json.Marshal(struct {
		Batch     int   `json:"batch"`
		Expires   int64 `json:"expires"`
		Heartbeat int64 `json:"idle_heartbeat"`
	}{1, pullExpiry.Nanoseconds(), pullHeartbeat.Nanoseconds()})
	if err != nil {
		return nil, err
	}
	p := &puller{
		nc: l.nc, msgs: make(chan *nats.Msg, pullBuffer), request: request, inbox: l.nc.NewInbox(),
		subject: "$JS.API.CONSUMER.MSG.NEXT." + stream + "." + consumer, consumer: consumer, logger: l.logger,
	}
	if p.sub, err = l.nc.ChanSubscribe(p.inbox+".*", p.msgs); err != nil {
		return nil, err
	}
	p.status = l.nc.StatusChanged(nats.CONNECTED)
	return p, nil
}

// next returns the next message, or nil when ctx ends.
func (p *puller) next(ctx context.Context) *nats.Msg {
	silence := time.NewTimer(2 * pullHeartbeat)
	defer silence.Stop()
	for ctx.Err() == nil {
		if !p.asked {
			if err := p.ask(); err != nil {
				p.logger.Debug("pull", "consumer", p.consumer, "err", err) // the connection is away, and says so itself
				pause(ctx, time.Second)
				continue
			}
			silence.Reset(2 * pullHeartbeat)
		}
		select {
		case m := <-p.msgs:
			if p.message(ctx, m) {
				return m
			}
			silence.Reset(2 * pullHeartbeat)
		case <-p.status:
			p.asked = false
		case <-silence.C:
			p.logger.Warn("pull without an answer", "consumer", p.consumer)
			p.asked = false
		case <-ctx.Done():
		}
	}
	return nil
}

// ask sends a request. Its number tells the server's words about it from those
// about an older one.
func (p *puller) ask() error {
	p.number++
	if err := p.nc.PublishRequest(p.subject, p.inbox+"."+strconv.FormatUint(p.number, 10), p.request); err != nil {
		return err
	}
	p.asked = true
	return nil
}

// message reports whether m is a message, or takes note of what the server says.
func (p *puller) message(ctx context.Context, m *nats.Msg) bool {
	status := m.Header.Get("Status")
	if status == "" {
		p.asked = false
		return true
	}
	if status == "100" || m.Subject != p.inbox+"."+strconv.FormatUint(p.number, 10) {
		return false
	}
	p.asked = false
	if status != "404" && status != "408" { // nothing there, and expired
		p.logger.Warn("pull", "consumer", p.consumer, "status", status, "err", m.Header.Get("Description"))
		pause(ctx, time.Second)
	}
	return false
}

// drain ends the subscription and returns the messages that the server sent
// before it knew: they are handled, not left to their AckWait.
func (p *puller) drain() []*nats.Msg {
	if err := p.sub.Drain(); err != nil {
		return nil // the connection is closed
	}
	if err := p.nc.FlushTimeout(time.Second); err != nil {
		p.logger.Debug("drain", "consumer", p.consumer, "err", err)
	}
	var list []*nats.Msg
	for {
		select {
		case m := <-p.msgs:
			if m.Header.Get("Status") == "" {
				list = append(list, m)
			}
		default:
			return list
		}
	}
}

func (p *puller) close() {
	p.nc.RemoveStatusListener(p.status)
	// Drained already, or the connection is closed.
	_ = p.sub.Unsubscribe()
}
