package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// asNATS makes the test binary be a NATS server with these settings. One in a
// process of its own can be killed, paused, and given a disk that fills up.
const asNATS = "PARLEY_TEST_BE_NATS"

// natsSettings are those of a server that a test starts.
type natsSettings struct {
	Dir      string
	Port     int   // 0: any
	MaxStore int64 // of all streams; 0: 1 GiB
	Disk     int64 // size of a file system of its own; 0: none
	// Limit stands in for a full disk where nothing may be mounted: no file may grow.
	Limit bool
	// Probe only tries whether the disk can be had.
	Probe bool
}

// Signals to the server, with the word that it says when it has done so.
const (
	fillDisk  = syscall.SIGUSR1 // "disk full"
	freeDisk  = syscall.SIGUSR2 // "disk freed"
	restartIt = syscall.SIGHUP  // "nats ready", in the same process and so on the same disk
)

// beNATS is the server's main. It ends with its standard input, so that no test
// that is killed leaves it behind.
func beNATS(settings string) {
	var s natsSettings
	err := json.Unmarshal([]byte(settings), &s)
	if err == nil && s.Disk > 0 {
		err = mountDisk(s.Dir, s.Disk)
	}
	if err == nil && !s.Probe {
		err = s.serve()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "nats:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func (s *natsSettings) serve() error {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, fillDisk, freeDisk, restartIt)
	over := make(chan struct{})
	go func() {
		defer close(over)
		_, _ = io.Copy(io.Discard, os.Stdin) // its end is all that counts
	}()
	srv, err := s.start()
	if err != nil {
		return err
	}
	for {
		select {
		case <-over:
			return nil
		case sig := <-signals:
			switch sig {
			case fillDisk:
				err = s.fill()
			case freeDisk:
				err = s.free()
			case restartIt:
				srv.Shutdown()
				srv.WaitForShutdown()
				srv, err = s.start()
			}
			if err != nil {
				return err
			}
		}
	}
}

func (s *natsSettings) filler() string { return s.Dir + "/filler" }

// fill leaves no room for another byte.
func (s *natsSettings) fill() error {
	defer fmt.Println("disk full")
	if s.Limit {
		return limitFiles(1)
	}
	f, err := os.Create(s.filler())
	if err != nil {
		return err
	}
	defer f.Close() // its writes are bound to fail
	for block := make([]byte, 64<<10); len(block) > 0; {
		if _, err := f.Write(block); err != nil {
			block = block[:len(block)/2] // the last bytes, too
		}
	}
	return nil
}

func (s *natsSettings) free() error {
	defer fmt.Println("disk freed")
	if s.Limit {
		return limitFiles(1 << 40)
	}
	return os.Remove(s.filler())
}

// limitFiles bounds the size of the files that this process writes.
func limitFiles(size uint64) error {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &l); err != nil {
		return err
	}
	l.Cur = min(size, l.Max)
	return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &l)
}

func (s *natsSettings) start() (*server.Server, error) {
	o := &server.Options{
		ServerName: "test", Host: "127.0.0.1", Port: s.Port, JetStream: true, StoreDir: s.Dir + "/store",
		JetStreamMaxMemory: 64 << 20, JetStreamMaxStore: s.MaxStore, SyncAlways: true,
		DisableJetStreamBanner: true, NoSigs: true, MaxPayload: 2 << 20,
	}
	if o.Port == 0 {
		o.Port = server.RANDOM_PORT
	}
	if o.JetStreamMaxStore == 0 {
		o.JetStreamMaxStore = 1 << 30
	}
	srv, err := server.NewServer(o)
	if err != nil {
		return nil, err
	}
	srv.ConfigureLogger()
	srv.Start()
	if !srv.ReadyForConnections(30 * time.Second) {
		return nil, fmt.Errorf("not ready for connections")
	}
	_, port, _ := strings.Cut(srv.Addr().String(), ":")
	s.Port = atoi(port) // the same again after a restart
	fmt.Println("nats ready at", port, ".")
	return srv, nil
}

// A natsServer is a NATS server in a process of its own.
type natsServer struct {
	t        testing.TB
	settings natsSettings
	*process
}

func startNATSProcess(ctx context.Context, t testing.TB, s natsSettings) *natsServer {
	t.Helper()
	if s.Dir == "" {
		s.Dir = t.TempDir()
	}
	if s.Disk > 0 {
		probe := s
		probe.Probe, probe.Dir = true, t.TempDir()
		if out, err := (&natsServer{t: t, settings: probe}).command().CombinedOutput(); err != nil {
			t.Logf("no disk of its own on this machine (%v %s): the size of files is limited instead", err, bytes.TrimSpace(out))
			s.Disk, s.Limit = 0, true
		}
	}
	n := &natsServer{t: t, settings: s}
	n.launch(ctx)
	return n
}

// command is the process that the settings ask for.
func (n *natsServer) command() *exec.Cmd {
	n.t.Helper()
	self, err := os.Executable()
	if err != nil {
		n.t.Fatal(err)
	}
	settings, err := json.Marshal(n.settings)
	if err != nil {
		n.t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Args = []string{"nats-server"}
	cmd.Env = append(os.Environ(), asNATS+"="+string(settings))
	if _, err := cmd.StdinPipe(); err != nil { // closed when this process ends, however that happens
		n.t.Fatal(err)
	}
	if n.settings.Disk > 0 {
		ownMounts(cmd)
	}
	return cmd
}

func (n *natsServer) launch(ctx context.Context) {
	n.t.Helper()
	n.process = launch(n.t, n.command())
	n.expect(ctx, "nats ready at ")
	_, rest, _ := strings.Cut(n.output(), "nats ready at ")
	port, _, _ := strings.Cut(rest, " ")
	n.settings.Port = atoi(port)
}

func (n *natsServer) url() string { return fmt.Sprintf("nats://127.0.0.1:%d", n.settings.Port) }

// kill ends it as kill -9 does.
func (n *natsServer) kill() {
	n.t.Helper()
	n.signal(syscall.SIGKILL)
	<-n.done
}

func (n *natsServer) signal(s syscall.Signal) {
	n.t.Helper()
	if err := n.cmd.Process.Signal(s); err != nil {
		n.t.Fatal(err)
	}
}

// connect returns a connection for the test itself.
func (n *natsServer) connect() *nats.Conn {
	n.t.Helper()
	nc, err := nats.Connect(n.url(), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(nc.Close)
	return nc
}
