package auth

import (
	"net/http"
	"strings"
)

// BearerToken takes the token out of a request's Authorization header: exactly one
// header, the scheme Bearer in any case, spaces, one token in the alphabet of JSON
// Web Tokens, nothing else. Its errors are Refusals that match ErrUnauthenticated.
// Whether the token is good is for Verify to say.
func BearerToken(h http.Header) (string, error) {
	values := h.Values("Authorization")
	switch len(values) {
	case 0:
		return "", missing("no Authorization header")
	case 1:
	default:
		// Two proxies may pick different ones of two headers.
		return "", invalid("more than one Authorization header")
	}
	scheme, token, ok := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", invalid("the scheme is not Bearer")
	}
	token = strings.TrimLeft(token, " ") // RFC 9110 section 11.4: one or more spaces
	if !ok || token == "" {
		return "", invalid("Bearer without a token")
	}
	if len(token) > maxTokenLen {
		return "", invalid("token is longer than 8 KiB")
	}
	if !tokenAlphabet(token) {
		return "", invalid("more than one token, or not a token")
	}
	return token, nil
}
