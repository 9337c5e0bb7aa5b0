package auth

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/golang-jwt/jwt/v5"
)

// What the tokens of a DevIssuer say about it.
const (
	DevIssuerName = "parley-dev"
	DevAudience   = "parley"
)

// devTokenLife is what Better Auth is configured to give, so that refreshing works
// alike.
const devTokenLife = 10 * time.Minute

// DevOptions configure a DevIssuer. Dir has no default.
type DevOptions struct {
	// Dir is the directory of the key file; it is made if missing.
	Dir string
	// Origins are the pages that may ask for a token. Default: none.
	Origins *Origins
	// Clock dates the tokens. Default: time.Now.
	Clock func() time.Time
	// Logger is told when a key is made. Default: none.
	Logger *slog.Logger
}

// A DevIssuer signs in anybody as whoever they like. It exists for `parley dev` and
// tests, and answers loopback callers only. Its tokens carry the claims that Better
// Auth puts in ours, so nothing behind the Verifier knows the difference.
type DevIssuer struct {
	key     ed25519.PrivateKey
	kid     string
	jwks    []byte
	origins *Origins
	clock   func() time.Time
}

// NewDevIssuer reads its key from o.Dir, or makes one at the first start. Tokens
// survive a restart. A damaged or exposed key file is an error and is left alone.
func NewDevIssuer(o DevOptions) (*DevIssuer, error) {
	if o.Dir == "" {
		return nil, errors.New("auth: the dev issuer needs a directory for its key")
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	key, err := loadOrCreateKey(o.Dir, o.Logger)
	if err != nil {
		return nil, fmt.Errorf("dev issuer: %w", err)
	}
	pub, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		return nil, errors.New("dev issuer: the key is not Ed25519")
	}
	d := &DevIssuer{key: key, kid: thumbprint(pub), origins: o.Origins, clock: o.Clock}
	d.jwks, err = json.Marshal(map[string][]jwk{"keys": {{
		Alg: "EdDSA", Crv: "Ed25519", Kty: "OKP", Kid: d.kid, X: base64.RawURLEncoding.EncodeToString(pub),
	}}})
	if err != nil {
		return nil, fmt.Errorf("dev issuer: %w", err)
	}
	return d, nil
}

// Issue returns a token for userID and when it expires. The session id is the same
// each time for one person and key: a socket accepts a refreshed token only from
// the sign-in that opened it.
func (d *DevIssuer) Issue(userID string) (token string, expiresAt time.Time, err error) {
	if !ValidUserID(userID) {
		return "", time.Time{}, bad(http.StatusUnprocessableEntity, CodeInvalidUserID,
			"A user id has 1 to 64 letters, digits, _ or -, and is not a reserved word.", "user_id is not an id")
	}
	now := d.clock().Truncate(time.Second)
	expiresAt = now.Add(devTokenLife).UTC()
	t := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{
		"iat": now.Unix(),
		"sid": d.sessionID(userID),
		"sub": userID,
		"exp": expiresAt.Unix(),
		"iss": DevIssuerName,
		"aud": DevAudience,
	})
	t.Header = map[string]any{"alg": jwt.SigningMethodEdDSA.Alg(), "kid": d.kid}
	token, err = t.SignedString(d.key)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("sign token: %w", err)
	}
	return token, expiresAt, nil
}

func (d *DevIssuer) sessionID(userID string) string {
	sum := sha256.Sum256([]byte(d.kid + "\x00" + userID))
	return "dev-" + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:])[:26])
}

// Verifier returns a Verifier of this issuer's tokens, which reads the key in
// memory and asks nobody.
func (d *DevIssuer) Verifier() (*Verifier, error) {
	keys, err := parseJWKS(d.jwks)
	if err != nil {
		return nil, fmt.Errorf("dev issuer: %w", err)
	}
	return newVerifier(fixedKeys(keys), DevIssuerName, DevAudience, d.clock)
}

// JWKS returns the public key as a JSON Web Key Set. The caller may keep it.
func (d *DevIssuer) JWKS() []byte { return append([]byte(nil), d.jwks...) }

// JWKSHandler serves JWKS, for roles in other processes. Public keys are no secret,
// so it answers anybody who reaches the listener. Methods are the router's affair.
func (d *DevIssuer) JWKSHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write(d.jwks)
	})
}

// thumbprint names a key after itself (RFC 7638, with the members of RFC 8037).
func thumbprint(pub ed25519.PublicKey) string {
	sum := sha256.Sum256([]byte(`{"crv":"Ed25519","kty":"OKP","x":"` + base64.RawURLEncoding.EncodeToString(pub) + `"}`))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
