package embedded

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func startNATS(t testing.TB, opts NATSOptions) *NATS {
	t.Helper()
	n, err := StartNATS(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Shutdown)
	return n
}

func connect(t testing.TB, url string, opts ...nats.Option) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	nc, err := nats.Connect(url, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return nc, js
}

func TestNATSKeepsItsStoreAndChangesItsPassword(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	dir := t.TempDir()
	var passwords []string
	for i := range 2 {
		begin := time.Now()
		n := startNATS(t, NATSOptions{Dir: dir})
		t.Logf("start took %v", time.Since(begin).Round(time.Millisecond))
		_, js := connect(t, n.URL(), n.ConnectOptions()...)
		s, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}})
		if err != nil {
			t.Fatal(err)
		}
		if s.CachedInfo().State.Msgs != uint64(i) {
			t.Errorf("start %d: %d messages", i, s.CachedInfo().State.Msgs)
		}
		if _, err := js.Publish(ctx, "s", []byte("x")); err != nil {
			t.Fatal(err)
		}
		passwords = append(passwords, n.Access().Password)
		if err := n.Err(); err != nil {
			t.Errorf("the server reported %v", err)
		}
		n.Shutdown()
		n.Shutdown()
	}
	if passwords[0] == passwords[1] || len(passwords[0]) < 32 {
		t.Errorf("passwords %q", passwords)
	}
}

func TestNATSRefusesStrangers(t *testing.T) {
	t.Parallel()
	n := startNATS(t, NATSOptions{Dir: t.TempDir()})
	a := n.Access()
	for name, opts := range map[string][]nats.Option{
		"anonymous":      nil,
		"wrong password": {nats.UserInfo(a.User, "guess")},
	} {
		if nc, err := nats.Connect(a.URL, opts...); !errors.Is(err, nats.ErrAuthorization) {
			if err == nil {
				nc.Close()
			}
			t.Errorf("%s: %v, want an authorization violation", name, err)
		}
	}
	nc, js := connect(t, a.URL, nats.UserInfo(a.User, a.Password)) // as a joining worker does
	if !strings.HasPrefix(nc.ConnectedAddr(), "127.0.0.1:") {
		t.Errorf("it listens on %s", nc.ConnectedAddr())
	}
	if _, err := js.AccountInfo(testContext(t)); err != nil {
		t.Errorf("JetStream: %v", err)
	}
}

func TestNATSStartFailures(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, "")
	broken := t.TempDir()
	write(t, filepath.Join(broken, "jetstream"), "a file where a directory belongs")
	for _, tt := range []struct {
		name string
		opts NATSOptions
		want string
	}{
		{"port taken", NATSOptions{Dir: t.TempDir(), Port: l.Addr().(*net.TCPAddr).Port}, l.Addr().String() + " cannot be listened on (bind: address already in use)"},
		{"store is a file", NATSOptions{Dir: file}, "not a directory"},
		{"store is broken", NATSOptions{Dir: broken}, "JetStream"},
	} {
		begin := time.Now()
		n, err := StartNATS(tt.opts)
		if err == nil {
			n.Shutdown()
			t.Errorf("%s: started", tt.name)
			continue
		}
		if !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %q does not say %q in one line", tt.name, err, tt.want)
		}
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("%s: it took %v", tt.name, took)
		}
	}
}

func TestNATSStoreIsPrivate(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "nats")
	startNATS(t, NATSOptions{Dir: dir, Relaxed: true})
	if fi, err := os.Stat(dir); err != nil || fi.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, err %v; want 0700", fi.Mode(), err)
	}
}
