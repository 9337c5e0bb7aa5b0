package auth

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func newDevIssuer(t *testing.T, o DevOptions) *DevIssuer {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	d, err := NewDevIssuer(o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func mustVerifier(t *testing.T, d *DevIssuer) *Verifier {
	t.Helper()
	v, err := d.Verifier()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestDevTokenLooksReal: byte for byte the form of a token of Better Auth with our
// settings, so that nothing behind the verifier can come to depend on a difference.
func TestDevTokenLooksReal(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 8, 1, 12, 0, 0, 999, time.UTC)
	d := newDevIssuer(t, DevOptions{Clock: func() time.Time { return now }})
	token, expiresAt, err := d.Issue("ada")
	if err != nil {
		t.Fatal(err)
	}
	part := strings.Split(token, ".")
	decode := func(s string) (m map[string]any) {
		b, err := base64.RawURLEncoding.Strict().DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, &m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	if diff := cmp.Diff(map[string]any{"alg": "EdDSA", "kid": d.kid}, decode(part[0])); diff != "" {
		t.Error(diff)
	}
	iat := float64(now.Unix())
	want := map[string]any{
		"iat": iat, "exp": iat + 600, "sub": "ada", "sid": d.sessionID("ada"), "iss": "parley-dev", "aud": "parley",
	}
	if diff := cmp.Diff(want, decode(part[1])); diff != "" {
		t.Error(diff)
	}
	if want := time.Date(2026, 8, 1, 12, 10, 0, 0, time.UTC); !expiresAt.Equal(want) {
		t.Errorf("expires at %v", expiresAt)
	}
	id, err := mustVerifier(t, d).Verify(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Identity{UserID: "ada", SessionID: d.sessionID("ada"), ExpiresAt: expiresAt}, id); diff != "" {
		t.Error(diff)
	}
}

func TestDevIssueRefusesBadIDs(t *testing.T) {
	t.Parallel()
	d := newDevIssuer(t, DevOptions{})
	for _, id := range []string{"", "a.b", "*", ">", "a b", "a\n", "a\x00", "ä", "dev", "AUTH", strings.Repeat("u", 65), "../x"} {
		_, _, err := d.Issue(id)
		wantRefusal(t, err, ErrBadRequest, CodeInvalidUserID)
	}
}

// TestDevSession: a refreshed token belongs to the same sign-in, or sockets would
// refuse it; another person's or another key's does not.
func TestDevSession(t *testing.T) {
	t.Parallel()
	a, b := newDevIssuer(t, DevOptions{}), newDevIssuer(t, DevOptions{})
	session := func(d *DevIssuer, user string) string {
		token, _, err := d.Issue(user)
		if err != nil {
			t.Fatal(err)
		}
		id, err := mustVerifier(t, d).Verify(t.Context(), token)
		if err != nil || id.SessionID == "" {
			t.Fatalf("%v, %v", id, err)
		}
		return id.SessionID
	}
	ada := session(a, "ada")
	if again := session(a, "ada"); again != ada {
		t.Errorf("first %s, then %s", ada, again)
	}
	if ada == session(a, "bob") || ada == session(b, "ada") {
		t.Error("shared by another person or key")
	}
}

func TestDevTokenExpires(t *testing.T) {
	t.Parallel()
	var now atomic.Int64
	now.Store(time.Now().Unix())
	d := newDevIssuer(t, DevOptions{Clock: func() time.Time { return time.Unix(now.Load(), 0) }})
	v := mustVerifier(t, d)
	token, expiresAt, err := d.Issue("ada")
	if err != nil {
		t.Fatal(err)
	}
	now.Store(expiresAt.Add(leeway - time.Second).Unix())
	if _, err := v.Verify(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	now.Add(1)
	_, err = v.Verify(t.Context(), token)
	wantRefusal(t, err, ErrUnauthenticated, CodeTokenExpired)
}

func TestDevVerifierRefusesOthers(t *testing.T) {
	t.Parallel()
	d, other := newDevIssuer(t, DevOptions{}), newDevIssuer(t, DevOptions{})
	token, _, err := other.Issue("ada")
	if err != nil {
		t.Fatal(err)
	}
	v := mustVerifier(t, d)
	_, err = v.Verify(t.Context(), token)
	wantRefusal(t, err, ErrUnauthenticated, CodeTokenInvalid)
	if err := v.Ready(); err != nil {
		t.Error(err)
	}
}

func TestDevVerifierRun(t *testing.T) {
	t.Parallel()
	d := newDevIssuer(t, DevOptions{})
	v := mustVerifier(t, d)
	synctest.Test(t, func(t *testing.T) {
		done := make(chan error)
		ctx := t.Context()
		go func() { done <- v.Run(ctx) }()
		advance(time.Hour)
		select {
		case err := <-done:
			t.Errorf("ended early: %v", err)
		default:
		}
		t.Cleanup(func() { // after ctx has ended
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	})
}

// TestDevIssuerOverHTTP: a role in another process verifies by the published keys.
func TestDevIssuerOverHTTP(t *testing.T) {
	t.Parallel()
	d := newDevIssuer(t, DevOptions{})
	server := httptest.NewServer(d.JWKSHandler())
	t.Cleanup(server.Close)
	v, err := New(Options{JWKSURL: server.URL + "/.well-known/jwks.json", Issuer: DevIssuerName, Audience: DevAudience})
	if err != nil {
		t.Fatal(err)
	}
	token, _, err := d.Issue("ada")
	if err != nil {
		t.Fatal(err)
	}
	if id, err := v.Verify(t.Context(), token); err != nil || id.UserID != "ada" {
		t.Fatalf("%v, %v", id, err)
	}

	rec := httptest.NewRecorder()
	d.JWKSHandler().ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/.well-known/jwks.json", nil))
	if ct := rec.Header().Get("Content-Type"); ct != "application/json" {
		t.Errorf("Content-Type %q", ct)
	}
	if !bytes.Equal(rec.Body.Bytes(), d.JWKS()) {
		t.Errorf("served %s, JWKS says %s", rec.Body, d.JWKS())
	}
	var set struct{ Keys []map[string]any }
	if err := json.Unmarshal(d.JWKS(), &set); err != nil {
		t.Fatal(err)
	}
	if len(set.Keys) != 1 || len(set.Keys[0]) != 5 || set.Keys[0]["d"] != nil {
		t.Errorf("JWKS %s", d.JWKS())
	}
	d.JWKS()[0] = 'x'
	if d.JWKS()[0] == 'x' {
		t.Error("a caller can change the keys")
	}
}

// TestThumbprint is the example of RFC 8037, appendix A.3.
func TestThumbprint(t *testing.T) {
	t.Parallel()
	pub, err := base64.RawURLEncoding.DecodeString("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
	if err != nil {
		t.Fatal(err)
	}
	if got := thumbprint(pub); got != "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k" {
		t.Fatal(got)
	}
}

func TestDevKeySurvivesRestart(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "deeper")
	var logged bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&logged, nil))
	first := newDevIssuer(t, DevOptions{Dir: dir, Logger: log})
	if strings.Count(logged.String(), "dev issuer key created") != 1 {
		t.Errorf("log: %s", &logged)
	}
	token, _, err := first.Issue("ada")
	if err != nil {
		t.Fatal(err)
	}
	second := newDevIssuer(t, DevOptions{Dir: dir, Logger: log})
	if strings.Count(logged.String(), "dev issuer key created") != 1 {
		t.Errorf("made again: %s", &logged)
	}
	if _, err := mustVerifier(t, second).Verify(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != devKeyFile {
		t.Fatalf("directory holds %v, %v", entries, err)
	}
	if runtime.GOOS != "windows" {
		for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, devKeyFile): 0o600} {
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
				t.Errorf("%s: %v, %v", filepath.Base(path), info.Mode(), err)
			}
		}
	}
}

// TestDevKeyManyStarts: processes that start together agree on one key.
func TestDevKeyManyStarts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const starts = 32
	kids := make([]string, starts)
	var wg sync.WaitGroup
	for n := range starts {
		wg.Go(func() {
			d, err := NewDevIssuer(DevOptions{Dir: dir})
			if err != nil {
				t.Error(err)
				return
			}
			kids[n] = d.kid
		})
	}
	wg.Wait()
	for _, kid := range kids {
		if kid != kids[0] {
			t.Fatalf("different keys: %v", kids)
		}
	}
}

func TestDevKeyDamaged(t *testing.T) {
	t.Parallel()
	der := func(key any) []byte {
		b, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	block := func(typ string, b []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: b}) }
	good := block(devKeyType, der(makeKey("a").priv))
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name    string
		content []byte
		mode    os.FileMode
		want    string // "" = good
	}{
		{"good", good, 0o600, ""},
		{"read-only", good, 0o400, ""},
		{"empty", nil, 0o600, "damaged"},
		{"cut short", good[:len(good)/2], 0o600, "damaged"},
		{"zeros", make([]byte, len(good)), 0o600, "damaged"},
		{"more behind", append(bytes.Clone(good), good...), 0o600, "damaged"},
		{"another type", block("EC PRIVATE KEY", der(makeKey("a").priv)), 0o600, "damaged"},
		{"another algorithm", block(devKeyType, der(ec)), 0o600, "damaged"},
		{"not PKCS #8", block(devKeyType, []byte("x")), 0o600, "damaged"},
		{"huge", append(bytes.Repeat([]byte("\n"), maxDevKeyLen), good...), 0o600, "damaged"},
		{"readable by the group", good, 0o640, "chmod 600"},
		{"readable by all", good, 0o604, "chmod 600"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, devKeyFile)
			if err := os.WriteFile(path, row.content, row.mode); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, row.mode); err != nil { // whatever the umask
				t.Fatal(err)
			}
			_, err := NewDevIssuer(DevOptions{Dir: dir})
			if row.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), row.want) || !strings.Contains(err.Error(), path) {
				t.Fatalf("error %v", err)
			}
			if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, row.content) {
				t.Fatalf("the file was changed, or %v", err)
			}
		})
	}
}

func TestDevKeyNoPlace(t *testing.T) {
	t.Parallel()
	if _, err := NewDevIssuer(DevOptions{}); err == nil {
		t.Error("no directory")
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := NewDevIssuer(DevOptions{Dir: file}); err == nil {
		t.Error("a file as directory")
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, devKeyFile), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := NewDevIssuer(DevOptions{Dir: dir}); err == nil || !strings.Contains(err.Error(), "regular file") {
		t.Errorf("a directory as key: %v", err)
	}
}
