package auth

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	fetchTimeout  = 3 * time.Second
	fetchInterval = 2 * time.Second // at least, between the starts of two fetches
	maxJWKSLen    = 64 << 10
	maxKeyAge     = 24 * time.Hour

	refreshInterval = 5 * time.Minute
	retryInterval   = 5 * time.Second // after a failed refresh, doubling up to refreshInterval

	// maxWaiting bounds how many callers wait for a fetch at once, and so what a
	// flood of made-up kids can hold in memory.
	maxWaiting = 256
)

// remoteKeys caches the keys of a JWKS URL. Reading is lock-free; fetching is done
// by one caller at a time, on its own goroutine, so there is none to leak.
type remoteKeys struct {
	url    string
	client *http.Client
	clock  func() time.Time
	log    *slog.Logger

	set     atomic.Pointer[keySet] // last good answer; nil before the first
	rounds  atomic.Uint64          // fetches finished, well or not
	waiting chan struct{}          // a slot per caller of await

	// turn is held by whoever may fetch; it guards the two fields below.
	turn      chan struct{}
	lastStart time.Time
	lastErr   error
}

type keySet struct {
	keys    map[string]ed25519.PublicKey
	fetched time.Time // by the wall: the monotonic clock stands still while a machine sleeps
}

func newRemoteKeys(o Options) (*remoteKeys, error) {
	u, err := url.Parse(o.JWKSURL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.Fragment != "" {
		return nil, errors.New("auth: the JWKS URL must be http(s)://host/path without user info or fragment")
	}
	client := &http.Client{
		// A redirect would let whoever controls one path of the issuer's host, or
		// an unprotected hop, name another place to take keys from.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if o.HTTPClient != nil && o.HTTPClient.Transport != nil {
		client.Transport = o.HTTPClient.Transport
	} else {
		client.Transport = &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			ForceAttemptHTTP2:      true,
			DisableKeepAlives:      true, // one request in 5 minutes: a kept connection would only go stale
			MaxResponseHeaderBytes: 64 << 10,
		}
	}
	clock, log := o.Clock, o.Logger
	if clock == nil {
		clock = time.Now
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &remoteKeys{
		url: u.String(), client: client, clock: clock, log: log,
		waiting: make(chan struct{}, maxWaiting), turn: make(chan struct{}, 1),
	}, nil
}

func (k *remoteKeys) key(ctx context.Context, kid string) (ed25519.PublicKey, error) {
	round := k.rounds.Load() // before the set: a set newer than its round only spares a fetch
	set := k.set.Load()
	if set.fresh(k.clock()) {
		if key, ok := set.keys[kid]; ok {
			return key, nil
		}
	}
	// Not known is not the same as not there: a new key is first seen in a token.
	if err := k.await(ctx, round); err != nil {
		return nil, unavailable("no answer about an unknown key", err)
	}
	set = k.set.Load()
	if key, ok := set.keys[kid]; ok {
		return key, nil
	}
	return nil, invalid("no such key")
}

func (k *remoteKeys) ready() error {
	if !k.set.Load().fresh(k.clock()) {
		return unavailable("no keys of the issuer", nil)
	}
	return nil
}

// run refreshes with jitter, so that edges started together do not ask together.
func (k *remoteKeys) run(ctx context.Context) {
	retry := retryInterval
	for {
		wait := refreshInterval
		if err := k.refresh(ctx, ctx, k.rounds.Load()); err != nil {
			wait, retry = retry, min(2*retry, refreshInterval)
		} else {
			retry = retryInterval
		}
		if !pause(ctx, jitter(wait)) {
			return
		}
	}
}

// await returns after a fetch that ended after round, nil if it was a good one.
func (k *remoteKeys) await(ctx context.Context, round uint64) error {
	select {
	case k.waiting <- struct{}{}:
		defer func() { <-k.waiting }()
	default:
		return errors.New("too many callers wait for keys")
	}
	// The answer is for everybody who waits, so a caller that goes away must not
	// cut it off; fetchTimeout does.
	return k.refresh(ctx, context.WithoutCancel(ctx), round)
}

// refresh makes sure of a fetch that ended after round: it joins the one under
// way, or does it. ctx bounds the waiting, work the fetch itself.
func (k *remoteKeys) refresh(ctx, work context.Context, round uint64) error {
	select {
	case k.turn <- struct{}{}:
		defer func() { <-k.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if k.rounds.Load() != round {
		return k.lastErr
	}
	if since := time.Since(k.lastStart); !k.lastStart.IsZero() && since < fetchInterval {
		if k.lastErr != nil {
			return k.lastErr // do not queue up before an issuer that is down
		}
		if !pause(ctx, fetchInterval-since) {
			return context.Cause(ctx)
		}
	}
	k.fetch(work)
	return k.lastErr
}

// fetch asks the issuer. The caller holds the turn.
func (k *remoteKeys) fetch(ctx context.Context) {
	k.lastStart = time.Now()
	asked := k.clock()
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	keys, err := k.get(ctx)
	switch {
	case err == nil:
		k.set.Store(&keySet{keys: keys, fetched: asked.Round(0)})
		k.log.Debug("jwks fetched", "keys", len(keys))
	case !errors.Is(ctx.Err(), context.Canceled): // our own shutdown is no news
		k.log.Warn("jwks fetch", "err", err, "have_keys", k.set.Load().fresh(asked))
	}
	k.lastErr = err
	k.rounds.Add(1)
}

func (k *remoteKeys) get(ctx context.Context) (map[string]ed25519.PublicKey, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url, nil)
	if err != nil {
		return nil, fmt.Errorf("fetch keys: %w", err)
	}
	req.Header.Set("Accept", "application/json")
	resp, err := k.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("fetch keys: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetch keys: status %d", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxJWKSLen+1))
	if err != nil {
		return nil, fmt.Errorf("fetch keys: %w", err)
	}
	if len(body) > maxJWKSLen {
		return nil, errors.New("fetch keys: the answer is larger than 64 KiB")
	}
	return parseJWKS(body)
}

// parseJWKS returns the usable keys of a JWKS and fails if there is none: an empty
// answer must never lock everybody out. Keys that we cannot use are another
// verifier's, and are passed over.
func parseJWKS(body []byte) (map[string]ed25519.PublicKey, error) {
	var set struct {
		Keys []jsontext.Value `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, errors.New("read keys: the answer is not a JWKS") // err might quote it
	}
	keys := make(map[string]ed25519.PublicKey, len(set.Keys))
	for _, raw := range set.Keys {
		var k jwk
		if err := json.Unmarshal(raw, &k); err != nil {
			continue
		}
		pub, ok := k.ed25519()
		if !ok {
			continue
		}
		if _, twice := keys[k.Kid]; twice {
			return nil, errors.New("read keys: two keys with one kid")
		}
		keys[k.Kid] = pub
	}
	if len(keys) == 0 {
		return nil, errors.New("read keys: no usable Ed25519 key in the answer")
	}
	return keys, nil
}

// jwk is a JSON Web Key (RFC 7517, RFC 8037) as far as it concerns us.
type jwk struct {
	Alg    string         `json:"alg,omitzero"`
	Crv    string         `json:"crv"`
	X      string         `json:"x"`
	Kty    string         `json:"kty"`
	Kid    string         `json:"kid"`
	Use    string         `json:"use,omitzero"`
	KeyOps []string       `json:"key_ops,omitzero"`
	D      jsontext.Value `json:"d,omitzero"`
}

// ed25519 returns the key if it is one for verifying our tokens. A key published
// with its private half is anybody's, and does not count.
func (k jwk) ed25519() (ed25519.PublicKey, bool) {
	if k.Kty != "OKP" || k.Crv != "Ed25519" || k.Kid == "" || len(k.Kid) > maxKidLen || k.D != nil {
		return nil, false
	}
	if k.Alg != "" && k.Alg != "EdDSA" && k.Alg != "Ed25519" { // RFC 9864 renames it
		return nil, false
	}
	if k.Use != "" && k.Use != "sig" || k.KeyOps != nil && !slices.Contains(k.KeyOps, "verify") {
		return nil, false
	}
	x, err := base64.RawURLEncoding.Strict().DecodeString(k.X)
	if err != nil || len(x) != ed25519.PublicKeySize {
		return nil, false
	}
	return x, true
}

// fresh reports whether the set may still be used.
func (s *keySet) fresh(now time.Time) bool {
	return s != nil && now.Sub(s.fetched) <= maxKeyAge
}

// pause waits for d and reports whether ctx let it.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// jitter spreads d by a tenth either way.
func jitter(d time.Duration) time.Duration {
	return d*9/10 + rand.N(d/5) //nolint:gosec // spreads load, keeps no secret
}

// fixedKeys are the keys of an issuer in this process.
type fixedKeys map[string]ed25519.PublicKey

func (k fixedKeys) key(_ context.Context, kid string) (ed25519.PublicKey, error) {
	if key, ok := k[kid]; ok {
		return key, nil
	}
	return nil, invalid("no such key")
}

func (fixedKeys) ready() error { return nil }

func (fixedKeys) run(ctx context.Context) { <-ctx.Done() }
