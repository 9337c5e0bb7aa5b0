package testkit

import (
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// NATS starts a fresh NATS server with JetStream for this test and returns a
// connection to it, in process.
func NATS(t testing.TB) *nats.Conn {
	t.Helper()
	return StartNATS(t).Connect(t)
}

// NATSServer is a NATS server with JetStream that belongs to one test. It can
// be stopped and started again on the same store and address; connections made
// by Connect and ConnectTCP then reconnect by themselves.
type NATSServer struct {
	opts server.Options

	mu     sync.Mutex
	server *server.Server
}

// StartNATS starts a server whose store is the test's own. It listens on a
// random loopback port, for clients in other processes; configure changes the
// options before the start.
func StartNATS(t testing.TB, configure ...func(*server.Options)) *NATSServer {
	t.Helper()
	s := &NATSServer{opts: server.Options{
		ServerName: "test",
		Host:       "127.0.0.1",
		Port:       server.RANDOM_PORT,
		JetStream:  true,
		StoreDir:   t.TempDir(),
		// Half a machine's memory by default, which many tests at once do not have.
		JetStreamMaxMemory:     256 << 20,
		JetStreamMaxStore:      4 << 30,
		DisableJetStreamBanner: true,
		NoSigs:                 true,
		NoLog:                  true,
	}}
	for _, c := range configure {
		c(&s.opts)
	}
	t.Cleanup(s.shutdown)
	s.Start(t)
	return s
}

// Start starts a stopped server again, on the same store and port.
func (s *NATSServer) Start(t testing.TB) {
	t.Helper()
	s.mu.Lock()
	opts := s.opts // a copy: the server keeps and changes what it is given
	s.mu.Unlock()
	srv, err := server.NewServer(&opts)
	if err != nil {
		t.Fatalf("testkit: nats server: %v", err)
	}
	s.mu.Lock()
	if s.server != nil {
		s.mu.Unlock()
		t.Fatal("testkit: nats server is already running")
	}
	s.server = srv
	s.mu.Unlock()
	srv.Start()
	if !srv.ReadyForConnections(30 * time.Second) {
		t.Fatal("testkit: nats server is not ready after 30 s")
	}
	if addr, ok := srv.Addr().(*net.TCPAddr); ok {
		s.mu.Lock()
		s.opts.Port = addr.Port // the same again after a Restart
		s.mu.Unlock()
	}
}

// Stop stops the server and waits until it is gone. Clients see a lost
// connection and try again.
func (s *NATSServer) Stop(t testing.TB) {
	t.Helper()
	s.shutdown()
}

// Restart is Stop and Start.
func (s *NATSServer) Restart(t testing.TB) {
	t.Helper()
	s.Stop(t)
	s.Start(t)
}

func (s *NATSServer) shutdown() {
	s.mu.Lock()
	srv := s.server
	s.server = nil
	s.mu.Unlock()
	if srv != nil {
		srv.Shutdown()
		srv.WaitForShutdown()
	}
}

// Server returns the running server, nil if it is stopped.
func (s *NATSServer) Server() *server.Server {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.server
}

// URL returns the address for clients over TCP.
func (s *NATSServer) URL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprintf("nats://127.0.0.1:%d", s.opts.Port)
}

// InProcessConn makes s an in-process connection provider that always means
// the server running now, so that clients survive a Restart.
func (s *NATSServer) InProcessConn() (net.Conn, error) {
	srv := s.Server()
	if srv == nil {
		return nil, server.ErrServerNotRunning
	}
	return srv.InProcessConn()
}

// Connect returns a new in-process connection, closed with the test.
func (s *NATSServer) Connect(t testing.TB, opts ...nats.Option) *nats.Conn {
	t.Helper()
	return s.connect(t, append([]nats.Option{nats.InProcessServer(s)}, opts...))
}

// ConnectTCP is Connect over loopback.
func (s *NATSServer) ConnectTCP(t testing.TB, opts ...nats.Option) *nats.Conn {
	t.Helper()
	return s.connect(t, opts)
}

func (s *NATSServer) connect(t testing.TB, opts []nats.Option) *nats.Conn {
	t.Helper()
	base := []nats.Option{nats.MaxReconnects(-1), nats.ReconnectWait(5 * time.Millisecond), nats.ReconnectJitter(0, 0)}
	nc, err := nats.Connect(s.URL(), append(base, opts...)...)
	if err != nil {
		t.Fatalf("testkit: connect to nats: %v", err)
	}
	t.Cleanup(nc.Close)
	return nc
}
