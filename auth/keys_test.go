package auth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestIssuerDownAtStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newTestIssuer(t)
		i.setAnswer(down)
		v := i.verifier()
		token := i.token(nil)
		_, err := v.Verify(t.Context(), token)
		wantRefusal(t, err, ErrUnavailable, CodeAuthUnavailable)
		wantRefusal(t, v.Ready(), ErrUnavailable, CodeAuthUnavailable)

		// It is not asked again at once, and nobody waits for that.
		start := time.Now()
		for range 100 {
			_, err = v.Verify(t.Context(), token)
			wantRefusal(t, err, ErrUnavailable, CodeAuthUnavailable)
		}
		if took := time.Since(start); took != 0 || i.fetchCount() != 1 {
			t.Fatalf("%v and %d fetches", took, i.fetchCount())
		}

		i.setAnswer(nil)
		advance(fetchInterval)
		if _, err = v.Verify(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		if err := v.Ready(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestBadAnswerKeepsKeys(t *testing.T) {
	t.Parallel()
	other := makeKey("other")
	for _, row := range []struct {
		name   string
		answer func(*http.Request) (*http.Response, error)
	}{
		{"no connection", down},
		{"status 500", func(*http.Request) (*http.Response, error) { return respond(500, nil), nil }},
		{"status 500 with keys", func(*http.Request) (*http.Response, error) {
			return respond(500, mustJSON(t, map[string]any{"keys": []any{other.jwk()}})), nil
		}},
		{"status 304", func(*http.Request) (*http.Response, error) { return respond(304, nil), nil }},
		{"empty body", func(*http.Request) (*http.Response, error) { return respond(200, nil), nil }},
		{"no keys", func(*http.Request) (*http.Response, error) { return respond(200, []byte(`{"keys":[]}`)), nil }},
		{"null keys", func(*http.Request) (*http.Response, error) { return respond(200, []byte(`{"keys":null}`)), nil }},
		{"no keys member", func(*http.Request) (*http.Response, error) { return respond(200, []byte(`{}`)), nil }},
		{"a page", func(*http.Request) (*http.Response, error) { return respond(200, []byte(`<html>`)), nil }},
		{"cut short", func(*http.Request) (*http.Response, error) { return respond(200, []byte(`{"keys":[`)), nil }},
		{"two documents", func(*http.Request) (*http.Response, error) {
			return respond(200, append(mustJSON(t, map[string]any{"keys": []any{other.jwk()}}), "{}"...)), nil
		}},
		{"keys of another kind", func(*http.Request) (*http.Response, error) {
			return respond(200, []byte(`{"keys":[{"kty":"RSA","kid":"r","n":"AQAB","e":"AQAB"}]}`)), nil
		}},
		{"hangs", func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() }},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				i := newTestIssuer(t)
				v := i.verifier()
				known := i.token(nil)
				if _, err := v.Verify(t.Context(), known); err != nil {
					t.Fatal(err)
				}
				i.setAnswer(row.answer)
				i.rotate()
				advance(fetchInterval)

				// Nothing is known about the new key, so the answer is not 401.
				start := time.Now()
				_, err := v.Verify(t.Context(), i.token(nil))
				wantRefusal(t, err, ErrUnavailable, CodeAuthUnavailable)
				if took := time.Since(start); took > fetchTimeout {
					t.Fatalf("waited %v", took)
				}
				if i.fetchCount() != 2 {
					t.Fatalf("%d fetches", i.fetchCount())
				}
				if _, err := v.Verify(t.Context(), known); err != nil {
					t.Fatalf("known key after a bad answer: %v", err)
				}
				if err := v.Ready(); err != nil {
					t.Fatal(err)
				}

				i.setAnswer(nil)
				advance(fetchInterval)
				if _, err := v.Verify(t.Context(), i.token(nil)); err != nil {
					t.Fatalf("after recovery: %v", err)
				}
			})
		})
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newTestIssuer(t)
		v := i.verifier()
		old := i.token(nil)
		if _, err := v.Verify(t.Context(), old); err != nil {
			t.Fatal(err)
		}
		advance(fetchInterval)
		for n := range 3 {
			i.rotate()
			start := time.Now()
			if _, err := v.Verify(t.Context(), i.token(nil)); err != nil {
				t.Fatalf("rotation %d: %v", n, err)
			}
			// The first finds the interval over; the next ones wait it out rather
			// than send a person to the sign-in page.
			if took := time.Since(start); took > fetchInterval {
				t.Fatalf("rotation %d took %v", n, took)
			}
		}
		if _, err := v.Verify(t.Context(), old); err != nil {
			t.Fatalf("old key, still listed: %v", err)
		}
		if got := i.fetchCount(); got != 4 {
			t.Fatalf("%d fetches", got)
		}
	})
}

// TestStorm: made-up kids cost the issuer one request in two seconds, and neither
// a good token nor one of a new key is refused meanwhile.
func TestStorm(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const workers, each = 64, 50
		i := newTestIssuer(t)
		v := i.verifier()
		good := i.token(nil)
		if _, err := v.Verify(t.Context(), good); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		var wg sync.WaitGroup
		for w := range workers {
			wg.Go(func() {
				for n := range each {
					bad := i.tokenWith(map[string]any{"kid": fmt.Sprintf("made-up-%d-%d", w, n)}, nil)
					if _, err := v.Verify(t.Context(), bad); !errors.Is(err, ErrUnauthenticated) {
						t.Errorf("made-up kid: %v", err)
					}
				}
			})
		}
		advance(10*fetchInterval + fetchInterval/2)
		before := time.Now()
		if _, err := v.Verify(t.Context(), good); err != nil || time.Since(before) != 0 {
			t.Errorf("good token in the storm: %v after %v", err, time.Since(before))
		}
		i.rotate()
		if _, err := v.Verify(t.Context(), i.token(nil)); err != nil || time.Since(before) > fetchInterval {
			t.Errorf("new key in the storm: %v after %v", err, time.Since(before))
		}
		wg.Wait()
		most := 1 + int(time.Since(start)/fetchInterval)
		if got := i.fetchCount(); got > most || got < each {
			t.Errorf("%d fetches in %v, want at most %d", got, time.Since(start), most)
		}
	})
}

// TestStormIsBounded: those who wait for a fetch are counted, and the rest is told
// to come again instead of filling the memory.
func TestStormIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newTestIssuer(t)
		v := i.verifier()
		if _, err := v.Verify(t.Context(), i.token(nil)); err != nil {
			t.Fatal(err)
		}
		var refused, busy atomic.Int64
		bad := i.tokenWith(map[string]any{"kid": "made-up"}, nil)
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				switch _, err := v.Verify(t.Context(), bad); {
				case errors.Is(err, ErrUnauthenticated):
					refused.Add(1)
				case errors.Is(err, ErrUnavailable):
					busy.Add(1)
				default:
					t.Errorf("made-up kid: %v", err)
				}
			})
		}
		wg.Wait()
		if refused.Load() != maxWaiting || busy.Load() != 1000-maxWaiting || i.fetchCount() != 2 {
			t.Fatalf("%d refused, %d told to come again, %d fetches", refused.Load(), busy.Load(), i.fetchCount())
		}
	})
}

func TestFirstTokensShareOneFetch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newTestIssuer(t)
		release := make(chan struct{})
		i.setAnswer(func(*http.Request) (*http.Response, error) {
			<-release
			return respond(200, i.jwks()), nil
		})
		v, token := i.verifier(), i.token(nil)
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				if _, err := v.Verify(t.Context(), token); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		close(release)
		wg.Wait()
		if got := i.fetchCount(); got != 1 {
			t.Fatalf("%d fetches", got)
		}
	})
}

// TestCallerLeaves: the one that happens to fetch for all may go away, during the
// fetch or while it waits for its turn, and the others still get their answer.
func TestCallerLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newTestIssuer(t)
		release := make(chan struct{})
		i.setAnswer(func(r *http.Request) (*http.Response, error) {
			select {
			case <-release:
				return respond(200, i.jwks()), nil
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
		})
		v := i.verifier()
		verify := func(ctx context.Context, token string) <-chan error {
			done := make(chan error, 1)
			go func() {
				_, err := v.Verify(ctx, token)
				done <- err
			}()
			synctest.Wait()
			return done
		}
		token := i.token(nil)
		leaving, leave := context.WithCancel(t.Context())
		first, second, third := verify(leaving, token), verify(t.Context(), token), verify(leaving, token)
		leave()
		if err := <-third; !errors.Is(err, context.Canceled) {
			t.Errorf("a caller that waits for another's fetch cannot leave: %v", err)
		}
		close(release)
		if err := <-first; err != nil {
			t.Errorf("the fetch ended with its caller: %v", err)
		}
		if err := <-second; err != nil {
			t.Fatalf("second caller, when the first left in mid-fetch: %v", err)
		}

		i.rotate()
		token = i.token(nil)
		leaving, leave = context.WithCancel(t.Context())
		first, second = verify(leaving, token), verify(t.Context(), token)
		leave()
		err := <-first
		wantRefusal(t, err, ErrUnavailable, CodeAuthUnavailable)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("the cause is lost: %v", err)
		}
		if err := <-second; err != nil {
			t.Fatalf("second caller, when the first left in the wait: %v", err)
		}
		if got := i.fetchCount(); got != 2 {
			t.Fatalf("%d fetches", got)
		}
	})
}

func TestKeysLastADay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newTestIssuer(t)
		var shift atomic.Int64
		o := i.options()
		o.Clock = func() time.Time { return time.Now().Add(time.Duration(shift.Load())) }
		v, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		token := i.token(map[string]any{"exp": time.Now().Add(72 * time.Hour).Unix()})
		if _, err := v.Verify(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		i.setAnswer(down)
		shift.Store(int64(24 * time.Hour))
		if _, err := v.Verify(t.Context(), token); err != nil {
			t.Fatalf("at 24 h: %v", err)
		}
		shift.Add(1)
		if err := v.Ready(); !errors.Is(err, ErrUnavailable) {
			t.Fatalf("ready after 24 h: %v", err)
		}
		_, err = v.Verify(t.Context(), token)
		wantRefusal(t, err, ErrUnavailable, CodeAuthUnavailable)

		i.setAnswer(nil)
		advance(fetchInterval)
		if _, err := v.Verify(t.Context(), token); err != nil {
			t.Fatalf("issuer is back: %v", err)
		}
	})
}

// TestKeyAgeByTheWall: a laptop that slept for a week holds keys a week old.
func TestKeyAgeByTheWall(t *testing.T) {
	t.Parallel()
	i := newTestIssuer(t)
	k, err := newRemoteKeys(i.options())
	if err != nil {
		t.Fatal(err)
	}
	if err := k.await(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if fetched := k.set.Load().fetched; fetched != fetched.Round(0) {
		t.Fatalf("%v has a monotonic reading", fetched)
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newTestIssuer(t)
		var logged bytes.Buffer
		o := i.options()
		o.Logger = slog.New(slog.NewJSONHandler(&logged, nil))
		v, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- v.Run(ctx) }()
		synctest.Wait()
		if err := v.Ready(); err != nil || i.fetchCount() != 1 {
			t.Fatalf("at once: %v, %d fetches", err, i.fetchCount())
		}

		// A withdrawn key is noticed without a token that asks for it.
		old := i.token(map[string]any{"exp": time.Now().Add(time.Hour).Unix()})
		if _, err := v.Verify(ctx, old); err != nil {
			t.Fatal(err)
		}
		i.rotate()
		i.mu.Lock()
		i.keys = i.keys[1:]
		i.mu.Unlock()
		advance(refreshInterval*11/10 + time.Second)
		_, err = v.Verify(ctx, old)
		wantRefusal(t, err, ErrUnauthenticated, CodeTokenInvalid)

		// An hour of the issuer's absence: known keys work, it is asked more often
		// at first, then at the usual pace, and the log says so.
		i.setAnswer(down)
		before := i.fetchCount()
		advance(time.Hour)
		if _, err := v.Verify(ctx, i.token(nil)); err != nil {
			t.Fatal(err)
		}
		if n := i.fetchCount() - before; n < 10 || n > 25 {
			t.Errorf("%d fetches in an hour of absence", n)
		}
		if !strings.Contains(logged.String(), `"level":"WARN"`) {
			t.Errorf("not logged: %s", &logged)
		}

		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

func TestRunStopsInMidFetch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newTestIssuer(t)
		i.setAnswer(func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() })
		v := i.verifier()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- v.Run(ctx) }()
		synctest.Wait()
		start := time.Now()
		cancel()
		if err := <-done; err != nil || time.Since(start) != 0 {
			t.Fatalf("%v after %v", err, time.Since(start))
		}
	})
}

func TestJitter(t *testing.T) {
	t.Parallel()
	seen := map[time.Duration]bool{}
	for range 1000 {
		d := jitter(refreshInterval)
		if d < refreshInterval*9/10 || d > refreshInterval*11/10 {
			t.Fatal(d)
		}
		seen[d] = true
	}
	if len(seen) < 100 {
		t.Fatalf("only %d different", len(seen))
	}
}
