package edge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-chi/chi/v5"
	"golang.org/x/sync/errgroup"
)

// Bounds of the HTTP server.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 10 * time.Second // of a whole request; long answers lift it
	writeTimeout  = 30 * time.Second // of a whole answer; streams renew it per write
	idleTimeout   = 2 * time.Minute
	maxHeader     = 32 << 10
	maxBody       = 256 << 10
	maxReadOut    = 4 * maxBody // of a body that nobody needs, see readOut
)

// An Edge answers people. Make one with New and run it once.
type Edge struct {
	o       Options
	metrics *metrics
	hub     *hub
	page    *page
	openapi []byte
	router  *chi.Mux

	listener net.Listener
	admin    net.Listener

	// stop is closed when the edge drains: open requests wind up.
	stop     chan struct{}
	stopping atomic.Bool
	sockets  sync.WaitGroup
	// unused are connections on which no request has come yet; browsers keep
	// some in store.
	unused  sync.Map
	waiting lobby
}

// New wires an edge and takes its addresses, so that Addr is known before Run.
// An edge that is never run must be closed by running it with a context that
// has ended.
func New(o Options) (*Edge, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	e := &Edge{o: o, metrics: newMetrics(o.ServerVersion), stop: make(chan struct{})}
	for _, c := range o.Collectors {
		if err := e.metrics.registry.Register(c); err != nil {
			return nil, fmt.Errorf("edge: metrics: %w", err)
		}
	}
	if e.page, err = newPage(o.Page, o.Origins); err != nil {
		return nil, fmt.Errorf("edge: page: %w", err)
	}
	if e.openapi, err = openAPI(o.ServerVersion); err != nil {
		return nil, fmt.Errorf("edge: openapi: %w", err)
	}
	e.router = e.routes()
	if e.listener, err = net.Listen("tcp", o.Addr); err != nil {
		return nil, fmt.Errorf("edge: %w", err)
	}
	if o.AdminAddr != "" {
		if e.admin, err = net.Listen("tcp", o.AdminAddr); err != nil {
			return nil, fmt.Errorf("edge: admin: %w", errors.Join(err, e.listener.Close()))
		}
	}
	if e.hub, err = newHub(o, e.metrics); err != nil {
		err = errors.Join(err, e.listener.Close())
		if e.admin != nil {
			err = errors.Join(err, e.admin.Close())
		}
		return nil, fmt.Errorf("edge: %w", err)
	}
	return e, nil
}

// Addr returns where people's requests are answered.
func (e *Edge) Addr() net.Addr { return e.listener.Addr() }

// AdminAddr returns where metrics and profiles are, nil if nowhere.
func (e *Edge) AdminAddr() net.Addr {
	if e.admin == nil {
		return nil
	}
	return e.admin.Addr()
}

// Run answers until ctx ends. It then tells every socket and, for Linger, every
// new request to go elsewhere, answers open calls with where to ask for the
// rest, waits for them at most Grace, and returns nil.
func (e *Edge) Run(ctx context.Context) error {
	servers := []*http.Server{e.server(e.wrap(e.router))}
	listeners := []net.Listener{e.listener}
	if e.admin != nil {
		servers, listeners = append(servers, e.server(e.adminRoutes())), append(listeners, e.admin)
	}
	g, gctx := errgroup.WithContext(ctx)
	for i, s := range servers {
		g.Go(func() error {
			if err := s.Serve(listeners[i]); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("edge: serve: %w", err)
			}
			return nil
		})
	}
	e.o.Logger.Info("edge is up", "addr", e.Addr().String())
	<-gctx.Done()
	e.drain(context.WithoutCancel(ctx), servers)
	err := g.Wait()
	e.o.Logger.Info("edge is down")
	return err
}

func (e *Edge) drain(ctx context.Context, servers []*http.Server) {
	e.stopping.Store(true)
	close(e.stop)
	e.hub.closeSockets()
	pause(ctx, e.o.Linger)
	ctx, cancel := context.WithTimeout(ctx, e.o.Grace)
	defer cancel()
	e.unused.Range(func(c, _ any) bool {
		// Shutdown would give each of them five seconds to begin.
		_ = c.(net.Conn).Close()
		return true
	})
	var g sync.WaitGroup
	for _, s := range servers {
		g.Go(func() {
			if err := s.Shutdown(ctx); err != nil {
				e.o.Logger.Warn("requests did not end in time", "err", err)
				_ = s.Close() // what is left is cut off
			}
		})
	}
	g.Wait()
	e.hub.cutSockets(ctx, &e.sockets)
	e.hub.close()
}

func (e *Edge) server(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader - 4096, // net/http adds 4 KiB of slack
		ErrorLog:       slog.NewLogLogger(e.o.Logger.Handler(), slog.LevelDebug),
		ConnState: func(c net.Conn, s http.ConnState) {
			if s == http.StateNew {
				e.unused.Store(c, nil)
			} else {
				e.unused.Delete(c)
			}
		},
	}
}

func (e *Edge) adminRoutes() http.Handler {
	m := http.NewServeMux()
	m.Handle("GET /metrics", e.metrics.handler())
	m.HandleFunc("GET /healthz", e.healthz)
	m.HandleFunc("GET /debug/pprof/", pprof.Index)
	m.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	m.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	m.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	m.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return m
}
