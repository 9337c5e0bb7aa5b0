package edge

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parleychat/parley/auth"
	"github.com/parleychat/parley/eventlog"
	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/readmodel"
)

// Codes that a stranger may see; clients act on them, people read the message.
const (
	codeBadRequest     = "bad_request"
	codeInvalidJSON    = "invalid_json"
	codeUnsupported    = "unsupported_media_type"
	codeTooLarge       = "too_large"
	codeTimeout        = "request_timeout"
	codeUnauth         = "unauthenticated"
	codeTokenExpired   = "token_expired"
	codeForbidden      = "forbidden"
	codeOrigin         = "origin_refused"
	codeNotFound       = "not_found"
	codeConflict       = "conflict"
	codeKeyReused      = "key_reused"
	codeInvalidMessage = "invalid_message"
	codeUnknownTool    = "unknown_tool"
	codeTooMany        = "too_many"
	codeUnavailable    = "unavailable"
	codeUnknown        = "outcome_unknown"
	codeDraining       = "draining"
	codeNotAcceptable  = "not_acceptable"
	codeMethod         = "method_not_allowed"
	codeUnreadable     = "unreadable"
	codeInternal       = "internal"
)

// An apiError is an error that may be shown to whoever caused it. The cause is
// for the log alone.
type apiError struct {
	status  int
	code    string
	message string
	retry   time.Duration
	// challenge is the WWW-Authenticate header of a 401.
	challenge string
	cause     error
}

func (e *apiError) Error() string {
	if e.cause != nil {
		return e.code + ": " + e.cause.Error()
	}
	return e.code
}

func (e *apiError) Unwrap() error { return e.cause }

func refuse(status int, code, message string) *apiError {
	return &apiError{status: status, code: code, message: message}
}

func badRequest(message string) *apiError {
	return refuse(http.StatusBadRequest, codeBadRequest, message)
}

func invalidMessage(message string) *apiError {
	return refuse(http.StatusUnprocessableEntity, codeInvalidMessage, message)
}

func notFound(what string) *apiError {
	return refuse(http.StatusNotFound, codeNotFound, "There is no such "+what+".")
}

func keyReused() *apiError {
	return refuse(http.StatusUnprocessableEntity, codeKeyReused,
		"This id was used before, for something else. Use a new one.")
}

func unavailable(what string, cause error) *apiError {
	if e := unreadable(cause); e != nil {
		return e
	}
	return &apiError{
		status: http.StatusServiceUnavailable, code: codeUnavailable, retry: time.Second, cause: cause,
		message: what + " cannot be reached at the moment. Try again shortly; the same id is never carried out twice.",
	}
}

// unreadable tells of a conversation with a commit that this build cannot read, or
// that is not where it belongs: trying again does not help. It is nil for any other error.
func unreadable(cause error) *apiError {
	for _, e := range []error{events.ErrVersion, events.ErrMalformed, events.ErrForeign, eventlog.ErrGap} {
		if errors.Is(cause, e) {
			return &apiError{
				status: http.StatusInternalServerError, code: codeUnreadable, cause: cause,
				message: "This conversation holds something that this version of Parley cannot read. Nothing in it was changed.",
			}
		}
	}
	return nil
}

func draining() *apiError {
	return &apiError{
		status: http.StatusServiceUnavailable, code: codeDraining, retry: time.Second,
		message: "This server is about to stop. Try again; another one will answer.",
	}
}

// authCodes turns package auth's codes into those of the wire.
var authCodes = map[string]string{
	auth.CodeTokenMissing:     codeUnauth,
	auth.CodeTokenInvalid:     codeUnauth,
	auth.CodeTokenExpired:     codeTokenExpired,
	auth.CodeAuthUnavailable:  codeUnavailable,
	auth.CodeNotLoopback:      codeForbidden,
	auth.CodeOriginNotAllowed: codeOrigin,
	auth.CodeUnsupportedMedia: codeUnsupported,
	auth.CodeBodyTooLarge:     codeTooLarge,
	auth.CodeInvalidJSON:      codeInvalidJSON,
	auth.CodeInvalidUserID:    codeBadRequest,
}

// apiErrorOf is the one table from errors to what strangers see. An error that
// it does not know is ours and says nothing.
func apiErrorOf(err error) *apiError {
	var e *apiError
	var r *auth.Refusal
	switch {
	case errors.As(err, &e):
		return e
	case errors.As(err, &r):
		code, ok := authCodes[r.Code]
		if !ok {
			code = codeForbidden
		}
		e = &apiError{status: r.Status, code: code, message: r.Message, cause: err}
		switch r.Status {
		case http.StatusUnauthorized:
			e.challenge = auth.Challenge(err)
		case http.StatusServiceUnavailable:
			e.retry = time.Second
		}
		return e
	case errors.Is(err, readmodel.ErrNotFound):
		return notFound("entry")
	case errors.Is(err, readmodel.ErrCursor):
		return badRequest("The cursor \"after\" is not one that this list gave out.")
	}
	return &apiError{
		status: http.StatusInternalServerError, code: codeInternal, cause: err,
		message: "Something went wrong here. It is recorded under this request id.",
	}
}

// storeError sorts the errors of a publish to the inbox.
func storeError(err error) *apiError {
	var api *jetstream.APIError
	switch {
	case errors.Is(err, eventlog.ErrFull) && errors.As(err, &api) && api.Description == "maximum messages per subject exceeded":
		return &apiError{
			status: http.StatusTooManyRequests, code: codeTooMany, retry: 2 * time.Second, cause: err,
			message: "Too much is waiting in this conversation. Wait for an answer first.",
		}
	case errors.Is(err, eventlog.ErrFull):
		return &apiError{
			status: http.StatusServiceUnavailable, code: codeUnavailable, retry: 5 * time.Second, cause: err,
			message: "The server has no room for new messages at the moment. What was accepted before is safe.",
		}
	}
	if errors.Is(err, eventlog.ErrUnknown) {
		return unknownOutcome(err)
	}
	return unavailable("The event log", err)
}

// unknownOutcome is not a 503: what is refused has no effect, and this may have one.
func unknownOutcome(cause error) *apiError {
	return &apiError{
		status: http.StatusGatewayTimeout, code: codeUnknown, retry: time.Second, cause: cause,
		message: "The event log did not say whether this was stored. Send it again with the same id: it is carried out once.",
	}
}

// stored is err as it may be told of a command that is stored, or was before: that
// something cannot be read now is no refusal any more.
func stored(err error) error {
	if e := (*apiError)(nil); errors.As(err, &e) && e.code == codeUnavailable {
		return unknownOutcome(err)
	}
	return err
}

// reason is the metric label of a publish error.
func (e *apiError) reason() string {
	switch {
	case e.code == codeTooMany:
		return "conversation_full"
	case errors.Is(e.cause, eventlog.ErrFull):
		return "full"
	case errors.Is(e.cause, context.DeadlineExceeded):
		return "timeout"
	}
	return "unreachable"
}

type errorBody struct {
	Error errorDetail `json:"error"`
}

type errorDetail struct {
	Code      string `json:"code"`
	Message   string `json:"message"`
	RequestID string `json:"request_id"`
}

// writeError answers in the one form that all errors have. The response headers
// of the middleware, CORS among them, are set already.
func writeError(w http.ResponseWriter, requestID string, e *apiError) {
	h := w.Header()
	for _, name := range []string{"Content-Encoding", "Etag", "Last-Modified"} {
		h.Del(name)
	}
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	if e.challenge != "" {
		h.Set("Www-Authenticate", e.challenge)
	}
	if e.retry > 0 {
		h.Set("Retry-After", strconv.Itoa(int((e.retry+time.Second-1)/time.Second)))
	}
	body, err := json.Marshal(errorBody{errorDetail{e.code, e.message, requestID}})
	if err != nil {
		body = []byte(`{"error":{"code":"internal","message":"","request_id":""}}`)
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(e.status)
	_, _ = w.Write(body)
}
