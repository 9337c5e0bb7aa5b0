package embedded

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// NATSOptions configures StartNATS. Only Dir is needed.
type NATSOptions struct {
	// Dir is the store's directory. Whoever starts must hold the data
	// directory's lock: the server does not lock its store.
	Dir string
	// Port on 127.0.0.1; default a free one.
	Port int
	// Relaxed leaves writes to the page cache for up to ten seconds: about
	// fifty times faster, survives a kill, not a power cut. Default: every
	// write is on disk before it is acknowledged.
	Relaxed bool
	// MaxStore and MaxMemory bound JetStream; default 16 GiB and 256 MiB.
	MaxStore, MaxMemory int64
	// Logger defaults to one that discards.
	Logger *slog.Logger
}

// NATSAccess is what a client needs to connect from another process.
type NATSAccess struct {
	URL      string `json:"url"`
	User     string `json:"user"`
	Password string `json:"password"`
}

// NATS is a NATS server with JetStream inside this process.
type NATS struct {
	server *server.Server
	access NATSAccess
	log    *natsLog
}

// readyTimeout is far above what a start takes; restoring a big store counts.
const readyTimeout = 2 * time.Minute

// StartNATS starts the server and returns when clients may connect.
func StartNATS(opts NATSOptions) (*NATS, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.MaxStore == 0 {
		opts.MaxStore = 16 << 30
	}
	if opts.MaxMemory == 0 {
		opts.MaxMemory = 256 << 20
	}
	port := server.RANDOM_PORT
	if opts.Port != 0 {
		if err := probePort(opts.Port); err != nil {
			return nil, fmt.Errorf("nats: %w", err)
		}
		port = opts.Port
	}
	if err := os.MkdirAll(opts.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("nats store: %w", err)
	}
	access := NATSAccess{User: "parley", Password: newPassword()}
	so := &server.Options{
		ServerName:             "parley",
		Host:                   "127.0.0.1",
		Port:                   port,
		Username:               access.User,
		Password:               access.Password,
		NoSigs:                 true, // signals are main's
		JetStream:              true,
		StoreDir:               opts.Dir,
		JetStreamMaxStore:      opts.MaxStore,
		JetStreamMaxMemory:     opts.MaxMemory,
		DisableJetStreamBanner: true,
		SyncAlways:             !opts.Relaxed,
	}
	if opts.Relaxed {
		so.SyncInterval = 10 * time.Second
	}
	srv, err := server.NewServer(so)
	if err != nil {
		return nil, fmt.Errorf("nats: %w", err)
	}
	n := &NATS{server: srv, log: newNATSLog(opts.Logger)}
	srv.SetLogger(n.log, false, false)
	srv.Start()
	if err := n.ready(); err != nil {
		n.Shutdown()
		return nil, fmt.Errorf("nats: %w", err)
	}
	access.URL = "nats://" + srv.Addr().String()
	n.access = access
	return n, nil
}

// ready waits for clients to be welcome, JetStream included.
func (n *NATS) ready() error {
	end := time.Now().Add(readyTimeout)
	// In short rounds: ReadyForConnections itself does not hear of a failure.
	for !n.server.ReadyForConnections(100 * time.Millisecond) {
		select {
		case <-n.log.fatal:
			return n.log.first()
		default:
		}
		if time.Now().After(end) {
			return fmt.Errorf("not ready after %v, first error: %v", readyTimeout, n.log.first())
		}
	}
	select {
	case <-n.log.fatal:
		return n.log.first()
	default:
	}
	if !n.server.JetStreamEnabled() {
		return fmt.Errorf("JetStream did not start, first error: %v", n.log.first())
	}
	return nil
}

// Access is how another process connects.
func (n *NATS) Access() NATSAccess { return n.access }

// URL is where the server listens. It takes nobody without the password, which
// is another one after each start.
func (n *NATS) URL() string { return n.access.URL }

// ConnectOptions are for nats.Connect in this process: no socket in between,
// otherwise the same client.
func (n *NATS) ConnectOptions() []nats.Option {
	return []nats.Option{nats.InProcessServer(n.server), nats.UserInfo(n.access.User, n.access.Password)}
}

// Fatal is closed when the server reports that it cannot go on; Err says why.
func (n *NATS) Fatal() <-chan struct{} { return n.log.fatal }

// Err is the first error that the server reported.
func (n *NATS) Err() error { return n.log.first() }

// Shutdown ends the server and waits until its store is closed. Clients must
// have drained before. It may be called twice.
func (n *NATS) Shutdown() {
	n.server.Shutdown()
	n.server.WaitForShutdown()
}

// probePort tells whether a configured port is free: the server itself would
// only look slow.
func probePort(port int) error {
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	l, err := net.Listen("tcp", address)
	if err != nil {
		if op, ok := errors.AsType[*net.OpError](err); ok {
			err = op.Err
		}
		return fmt.Errorf("%s cannot be listened on (%w): choose another port, or none for a free one", address, err)
	}
	return l.Close()
}
