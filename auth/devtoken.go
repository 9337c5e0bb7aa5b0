package auth

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

const maxDevBodyLen = 4 << 10

// DevToken is the answer to POST /api/dev/token.
type DevToken struct {
	Token     string    `json:"token"`
	ExpiresAt time.Time `json:"expires_at"`
}

// TokenFor is the logic of POST /api/dev/token {"user_id": …}. It reads the request
// and writes nothing: the edge routes, and turns the result or the *Refusal into an
// answer in its own form. w is only for http.MaxBytesReader, so that a connection
// with an endless body is closed; it may be nil.
//
// Anybody may become anybody here, so it must be a program on this machine that
// asks, and no web page that the developer happens to have open:
//   - the connection comes from a loopback address, and no proxy says that it speaks
//     for somebody else;
//   - the Host is a loopback name, since a page of another site can point its own
//     name at 127.0.0.1 (DNS rebinding) but cannot make the browser send ours;
//   - a page's Origin is in the set; and the body is declared as JSON, which a form
//     cannot do, and which from another origin takes a CORS preflight.
func (d *DevIssuer) TokenFor(w http.ResponseWriter, r *http.Request) (DevToken, error) {
	if err := CheckLoopback(r); err != nil {
		return DevToken{}, err
	}
	if _, ok := d.origins.Allowed(r); !ok {
		return DevToken{}, forbidden(CodeOriginNotAllowed,
			"This site is not on the list of allowed origins.", "origin not in the set")
	}
	userID, err := readUserID(w, r)
	if err != nil {
		return DevToken{}, err
	}
	token, expiresAt, err := d.Issue(userID)
	if err != nil {
		return DevToken{}, err
	}
	return DevToken{Token: token, ExpiresAt: expiresAt}, nil
}

// CheckLoopback refuses a request that does not come from this machine under one of
// its loopback names. Its error is a Refusal that matches ErrForbidden.
func CheckLoopback(r *http.Request) error {
	const message = "This is answered on this machine only, at localhost or 127.0.0.1."
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !peer.Addr().IsLoopback() {
		return forbidden(CodeNotLoopback, message, "the peer is not a loopback address")
	}
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip"} {
		if len(r.Header.Values(name)) > 0 {
			return forbidden(CodeNotLoopback, message, "forwarded by a proxy")
		}
	}
	host := url.URL{Host: r.Host}
	if !loopbackName(strings.ToLower(host.Hostname())) {
		return forbidden(CodeNotLoopback, message, "the Host is not a loopback name")
	}
	return nil
}

func readUserID(w http.ResponseWriter, r *http.Request) (string, error) {
	tooLarge := bad(http.StatusRequestEntityTooLarge, CodeBodyTooLarge, "The body may have 4 KiB.", "body over 4 KiB")
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	charset := params["charset"]
	if err != nil || media != "application/json" || len(r.Header.Values("Content-Type")) != 1 ||
		charset != "" && !strings.EqualFold(charset, "utf-8") || r.Header.Get("Content-Encoding") != "" {
		return "", bad(http.StatusUnsupportedMediaType, CodeUnsupportedMedia,
			"Send Content-Type: application/json, in UTF-8 and not compressed.", "not plain JSON")
	}
	if r.ContentLength > maxDevBodyLen {
		return "", tooLarge // at once, without waiting for what may never be sent
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxDevBodyLen))
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return "", tooLarge
		}
		return "", bad(http.StatusBadRequest, CodeInvalidJSON, "The body could not be read to its end.", "body cut short")
	}
	var req struct {
		UserID *string `json:"user_id"`
	}
	if err := json.Unmarshal(body, &req, json.RejectUnknownMembers(true)); err != nil || req.UserID == nil {
		return "", bad(http.StatusBadRequest, CodeInvalidJSON,
			`The body must be {"user_id": "…"} and nothing else.`, "body is not the wanted JSON")
	}
	return *req.UserID, nil
}
