package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/parleychat/parley/eventlog"
)

// Admin is where a worker role tells how it is.
type Admin struct {
	AdminAddr string `help:"Where metrics and profiles listen; nothing there asks who you are." group:"Servers"`
}

// An admin serves /healthz, /readyz, /metrics and profiles of a worker role. An
// edge serves its own.
type admin struct {
	addr     string
	base     *base
	registry *prometheus.Registry
	e        *env
	// own says what else is wrong with the role; nil says nothing.
	own func() error
}

func (a Admin) role(e *env, b *base) *admin {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	r.MustRegister(logMetrics(b.log)...)
	r.MustRegister(natsMetric(e))
	return &admin{addr: a.AdminAddr, base: b, registry: r, e: e}
}

// logMetrics tell how a role's handling of messages goes.
func logMetrics(log *eventlog.Log) []prometheus.Collector {
	counter := func(name, help string, value func(eventlog.Stats) uint64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "parley_eventlog_" + name, Help: help},
			func() float64 { return float64(value(log.Stats())) })
	}
	return []prometheus.Collector{
		counter("conflicts_total", "Commits that did not go in because another was faster; they are decided anew.",
			func(s eventlog.Stats) uint64 { return s.Conflicts }),
		counter("redelivered_total", "Messages taken that somebody had been given before.",
			func(s eventlog.Stats) uint64 { return s.Redelivered }),
	}
}

// Run serves until ctx ends; without an address it only waits.
func (a *admin) Run(ctx context.Context) error {
	if a.addr == "" {
		<-ctx.Done()
		return nil
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", a.addr)
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w; choose another --admin-addr", a.addr, err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("GET /readyz", a.ready)
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second}
	undo := context.AfterFunc(ctx, func() { _ = server.Close() }) // nobody waits for a metric
	defer undo()
	a.e.logger.Info("admin listener is up", "addr", ln.Addr().String())
	if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("admin listener: %w", err)
	}
	return nil
}

// ready says what is missing, as the edge's /readyz does.
func (a *admin) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	checks := map[string]string{"nats": "ok", "postgres": "ok"}
	ready := true
	if !a.base.nats.IsConnected() {
		checks["nats"], ready = "not connected", false
	}
	if err := a.base.store.Ping(ctx); err != nil {
		checks["postgres"], ready = "not reachable", false
	}
	if a.own != nil {
		checks["role"] = "ok"
		if err := a.own(); err != nil {
			checks["role"], ready = err.Error(), false
		}
	}
	w.Header().Set("Content-Type", "application/json")
	if !ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	if err := json.NewEncoder(w).Encode(map[string]any{"ready": ready, "checks": checks}); err != nil {
		a.e.logger.Debug("readyz", "err", err)
	}
}
