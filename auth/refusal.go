package auth

import (
	"errors"
	"net/http"
)

// The kinds of refusal. A *Refusal matches exactly one of them with errors.Is.
var (
	// ErrUnauthenticated: no token, or one that proves nothing. Asking again with
	// the same token is useless.
	ErrUnauthenticated = errors.New("unauthenticated")
	// ErrUnavailable: the issuer's keys cannot be had, so nothing is known about
	// the token. Asking again later may help; signing in again will not.
	ErrUnavailable = errors.New("authentication unavailable")
	// ErrForbidden: the request comes from a place that may not ask this.
	ErrForbidden = errors.New("forbidden")
	// ErrBadRequest: the request cannot be read as what it should be.
	ErrBadRequest = errors.New("bad request")
)

// The codes a stranger may see in a Refusal.
const (
	CodeTokenMissing     = "token_missing"
	CodeTokenExpired     = "token_expired"
	CodeTokenInvalid     = "token_invalid"
	CodeAuthUnavailable  = "auth_unavailable"
	CodeNotLoopback      = "not_loopback"
	CodeOriginNotAllowed = "origin_not_allowed"
	CodeUnsupportedMedia = "unsupported_media_type"
	CodeBodyTooLarge     = "body_too_large"
	CodeInvalidJSON      = "invalid_json"
	CodeInvalidUserID    = "invalid_user_id"
)

// A Refusal is an error that may be shown to whoever caused it. Status, Code and
// Message are for the stranger; Error is for the log and says more, in words of
// this package only.
type Refusal struct {
	Status  int
	Code    string
	Message string

	kind   error
	reason string
	cause  error // ours, such as a context's error; never the stranger's text
}

// Error tells the log why.
func (r *Refusal) Error() string {
	s := r.Code
	if r.reason != "" {
		s += ": " + r.reason
	}
	if r.cause != nil {
		s += ": " + r.cause.Error()
	}
	return s
}

// Unwrap yields the kind of the refusal and, if there is one, its cause.
func (r *Refusal) Unwrap() []error {
	if r.cause == nil {
		return []error{r.kind}
	}
	return []error{r.kind, r.cause}
}

// Challenge is the value of the WWW-Authenticate header that must go with a 401
// (RFC 9110 section 15.5.2, RFC 6750 section 3). A request without any token gets
// no error code, because it did nothing wrong yet.
func Challenge(err error) string {
	r, ok := errors.AsType[*Refusal](err)
	if ok && r.Code != CodeTokenMissing && errors.Is(err, ErrUnauthenticated) {
		return `Bearer realm="parley", error="invalid_token"`
	}
	return `Bearer realm="parley"`
}

func missing(reason string) *Refusal {
	return &Refusal{
		Status: http.StatusUnauthorized, Code: CodeTokenMissing,
		Message: "Sign in first: this needs the header Authorization: Bearer <token>.",
		kind:    ErrUnauthenticated, reason: reason,
	}
}

func invalid(reason string) *Refusal {
	return &Refusal{
		Status: http.StatusUnauthorized, Code: CodeTokenInvalid,
		Message: "The token is not valid here. Sign in again.",
		kind:    ErrUnauthenticated, reason: reason,
	}
}

func expired() *Refusal {
	return &Refusal{
		Status: http.StatusUnauthorized, Code: CodeTokenExpired,
		Message: "The token has expired. Fetch a new one.",
		kind:    ErrUnauthenticated, reason: "exp is in the past",
	}
}

func unavailable(reason string, cause error) *Refusal {
	return &Refusal{
		Status: http.StatusServiceUnavailable, Code: CodeAuthUnavailable,
		Message: "Sign-ins cannot be checked at the moment. Try again shortly.",
		kind:    ErrUnavailable, reason: reason, cause: cause,
	}
}

func forbidden(code, message, reason string) *Refusal {
	return &Refusal{Status: http.StatusForbidden, Code: code, Message: message, kind: ErrForbidden, reason: reason}
}

func bad(status int, code, message, reason string) *Refusal {
	return &Refusal{Status: status, Code: code, Message: message, kind: ErrBadRequest, reason: reason}
}
