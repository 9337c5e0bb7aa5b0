package auth

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/golang-jwt/jwt/v5"
)

const (
	maxTokenLen = 8 << 10
	maxKidLen   = 128
	leeway      = 30 * time.Second

	// maxNumericDate is the end of the year 9999. golang-jwt converts a claim's
	// float64 to int64 unchecked, and what 1e300 becomes depends on the processor.
	maxNumericDate = 253402300799
)

// Options configure a Verifier. JWKSURL, Issuer and Audience have no default.
type Options struct {
	// JWKSURL is where the issuer publishes its keys, http or https.
	JWKSURL string
	// Issuer and Audience must equal the token's iss, and be among its aud.
	Issuer   string
	Audience string
	// HTTPClient fetches the keys; only its Transport is used, since redirects,
	// cookies and timeouts are not for others to choose. Default: a transport
	// that keeps no connections between fetches.
	HTTPClient *http.Client
	// Clock tells the time for token dates and the age of keys. Default: time.Now.
	Clock func() time.Time
	// Logger is told about key fetches. Default: none.
	Logger *slog.Logger
}

// A Verifier checks tokens of one issuer for one audience. It is safe for
// concurrent use.
type Verifier struct {
	keys   keySource
	parser *jwt.Parser
}

// A keySource knows the public keys of an issuer: remoteKeys by asking, fixedKeys
// because it belongs to the issuer.
type keySource interface {
	// key finds the key of a kid. Its errors are Refusals.
	key(ctx context.Context, kid string) (ed25519.PublicKey, error)
	// ready says why no token can be verified at present, or nil.
	ready() error
	// run keeps the keys fresh until ctx ends.
	run(ctx context.Context)
}

// New returns a Verifier for the keys at o.JWKSURL. It does not ask the issuer
// yet, so that roles may start in any order: the first token does, or Run.
func New(o Options) (*Verifier, error) {
	keys, err := newRemoteKeys(o)
	if err != nil {
		return nil, err
	}
	return newVerifier(keys, o.Issuer, o.Audience, o.Clock)
}

func newVerifier(keys keySource, issuer, audience string, clock func() time.Time) (*Verifier, error) {
	if issuer == "" || audience == "" {
		return nil, errors.New("auth: issuer and audience must be set")
	}
	if clock == nil {
		clock = time.Now
	}
	return &Verifier{keys: keys, parser: jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodEdDSA.Alg()}),
		jwt.WithIssuer(issuer),
		jwt.WithAudience(audience),
		jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(),
		jwt.WithLeeway(leeway),
		jwt.WithTimeFunc(clock),
		jwt.WithStrictDecoding(),
	)}, nil
}

// Run keeps the issuer's keys fresh, at once and then about every 5 minutes, until
// ctx ends; then it returns nil. Without it keys are fetched when a token needs
// them, but a key that the issuer withdraws is noticed only after a day.
func (v *Verifier) Run(ctx context.Context) error {
	v.keys.run(ctx)
	return nil
}

// Ready returns nil if tokens can be verified without asking the issuer first,
// else an error that matches ErrUnavailable.
func (v *Verifier) Ready() error { return v.keys.ready() }

// Verify says whose token this is. Its errors are Refusals that match
// ErrUnauthenticated or ErrUnavailable. It may wait for the issuer, some seconds
// at most, if it has no key of that name; ctx ends the wait.
func (v *Verifier) Verify(ctx context.Context, token string) (Identity, error) {
	if err := checkShape(token); err != nil {
		return Identity{}, err
	}
	t, err := v.parser.ParseWithClaims(token, jwt.MapClaims{}, func(t *jwt.Token) (any, error) {
		return v.keyFor(ctx, t.Header)
	})
	if err != nil {
		return Identity{}, refusalOf(err)
	}
	if err := checkJSON(token); err != nil {
		return Identity{}, err
	}
	// MapClaims and not a struct: encoding/json would match a struct's names
	// without case, and take a signed {"SUB": …} for sub.
	claims, ok := t.Claims.(jwt.MapClaims)
	if !ok {
		return Identity{}, invalid("claims are no object")
	}
	return identityOf(claims)
}

func (v *Verifier) keyFor(ctx context.Context, header map[string]any) (ed25519.PublicKey, error) {
	// RFC 7515 section 4.1.11: who does not understand a critical extension must
	// refuse. We understand none. (jku, jwk, x5u and x5c are not critical, and are
	// ignored by not being read.)
	if _, ok := header["crit"]; ok {
		return nil, invalid("crit in the header")
	}
	kid, ok := header["kid"].(string)
	if !ok || kid == "" || len(kid) > maxKidLen {
		return nil, invalid("kid is missing or unusable")
	}
	return v.keys.key(ctx, kid)
}

// checkShape refuses by length and alphabet before anything is decoded. The
// alphabet matters: base64 decoders skip line breaks, also the strict one, so that
// one token would have many spellings.
func checkShape(token string) error {
	if token == "" {
		return missing("empty token")
	}
	if len(token) > maxTokenLen {
		return invalid("token is longer than 8 KiB")
	}
	if !tokenAlphabet(token) {
		return invalid("token has a byte outside base64url")
	}
	return nil
}

func tokenAlphabet(s string) bool {
	for i := range len(s) {
		if s[i] != '.' && !idByte(s[i]) {
			return false
		}
	}
	return true
}

// checkJSON refuses what encoding/json lets pass in a header or payload: a name
// twice, of which it takes the last, and bad UTF-8, which it replaces.
func checkJSON(token string) error {
	header, rest, _ := strings.Cut(token, ".")
	payload, _, _ := strings.Cut(rest, ".")
	for _, part := range []string{header, payload} {
		b, err := base64.RawURLEncoding.Strict().DecodeString(part)
		if err != nil || !jsontext.Value(b).IsValid() {
			return invalid("ambiguous JSON in the token")
		}
	}
	return nil
}

// refusalOf sorts golang-jwt's errors. Their text is dropped: it may quote the
// token.
func refusalOf(err error) *Refusal {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r
	}
	// Several may have been joined. "Expired" is worth saying only if a new token
	// of the same kind would be good.
	for _, k := range []struct {
		is     error
		reason string
	}{
		{jwt.ErrTokenMalformed, "malformed"},
		{jwt.ErrTokenUnverifiable, "unknown algorithm"},
		{jwt.ErrTokenSignatureInvalid, "bad signature or algorithm"},
		{jwt.ErrTokenInvalidIssuer, "wrong iss"},
		{jwt.ErrTokenInvalidAudience, "wrong aud"},
		{jwt.ErrTokenRequiredClaimMissing, "iss, aud or exp is missing"},
		{jwt.ErrTokenUsedBeforeIssued, "iat is in the future"},
		{jwt.ErrTokenNotValidYet, "nbf is in the future"},
		{jwt.ErrInvalidType, "a claim has the wrong type"},
	} {
		if errors.Is(err, k.is) {
			return invalid(k.reason)
		}
	}
	if errors.Is(err, jwt.ErrTokenExpired) {
		return expired()
	}
	return invalid("not accepted")
}

func identityOf(claims jwt.MapClaims) (Identity, error) {
	for _, name := range []string{"exp", "iat", "nbf"} {
		if v, ok := claims[name]; ok {
			if f, ok := v.(float64); !ok || f < 0 || f > maxNumericDate {
				return Identity{}, invalid(name + " is not a date")
			}
		}
	}
	exp, _ := claims["exp"].(float64)
	sub, _ := claims["sub"].(string)
	if !ValidUserID(sub) {
		return Identity{}, invalid("sub is not a user id")
	}
	// The sid becomes part of a NATS subject when a sign-in is revoked.
	sid := ""
	if v, ok := claims["sid"]; ok {
		if sid, ok = v.(string); !ok || !validID(sid) {
			return Identity{}, invalid("sid is not an id")
		}
	}
	return Identity{UserID: sub, SessionID: sid, ExpiresAt: time.Unix(int64(exp), 0).UTC()}, nil
}
