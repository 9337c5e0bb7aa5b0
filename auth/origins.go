package auth

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// OriginsOptions configure an Origins.
type OriginsOptions struct {
	// Entries are the allowed web origins, such as https://chat.example.org.
	// Blanks around an entry do not matter. Default: none, so no web page may call.
	Entries []string
	// LoopbackHTTP also takes http:// entries, for localhost, 127.0.0.1 and [::1].
	// Only `parley dev` sets it.
	LoopbackHTTP bool
}

// Origins is the set of web origins whose pages may use the API: the one list
// behind CORS, WebSocket handshakes, POSTs and frame-ancestors. It binds browsers
// only, since anything else sends what Origin it likes; the token is what
// authenticates. An Origins does not change after NewOrigins; the nil Origins
// allows no page.
type Origins struct {
	set map[string]struct{}
}

// NewOrigins parses the entries and fails on the first that is not a plain origin,
// so that a typing mistake stops the start instead of locking a page out quietly.
func NewOrigins(o OriginsOptions) (*Origins, error) {
	set := make(map[string]struct{}, len(o.Entries))
	for _, entry := range o.Entries {
		origin, err := parseOrigin(strings.TrimSpace(entry), o.LoopbackHTTP)
		if err != nil {
			return nil, fmt.Errorf("allowed origin %q: %w", entry, err)
		}
		set[origin] = struct{}{}
	}
	return &Origins{set: set}, nil
}

// Allowed reports whether a request may have an effect as far as its origin goes,
// and the allowed origin to name in CORS headers; that is empty for a request
// without Origin, which no page of another site can make a browser send with an
// effect, and for which the token decides. Refused are two Origin headers, null,
// every origin that is not byte for byte in the set, and a request that a browser
// marks as cross-site without saying from where.
//
// It is for the API and WebSocket handshakes. A link to the page itself, followed
// from another site, is cross-site and without Origin, and must be let through.
func (o *Origins) Allowed(r *http.Request) (origin string, ok bool) {
	values := r.Header.Values("Origin")
	if len(values) == 0 {
		for _, site := range r.Header.Values("Sec-Fetch-Site") {
			if strings.EqualFold(strings.TrimSpace(site), "cross-site") {
				return "", false
			}
		}
		return "", true
	}
	if o == nil || len(values) > 1 {
		return "", false
	}
	if _, ok := o.set[values[0]]; !ok {
		return "", false
	}
	return values[0], true
}

// List returns the origins in their stored form, sorted.
func (o *Origins) List() []string {
	if o == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(o.set))
}

// parseOrigin returns an entry as a browser would write it in an Origin header.
func parseOrigin(entry string, loopbackHTTP bool) (string, error) {
	if entry == "*" || strings.EqualFold(entry, "null") {
		return "", errors.New("must name one site; * and null would let every site in")
	}
	for i := range len(entry) {
		if entry[i] >= 0x80 {
			return "", errors.New("write the host in its ASCII form (xn--…), as the browser's Origin header does")
		}
	}
	u, err := url.Parse(entry)
	if err != nil {
		return "", errors.New("is not a URL")
	}
	scheme := strings.ToLower(u.Scheme)
	if scheme != "https" && scheme != "http" {
		return "", errors.New("must begin with https://")
	}
	if u.User != nil || u.Path != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Contains(entry, "#") {
		return "", errors.New("must be scheme, host and port only: no path (also no last slash), user, query or fragment")
	}
	host, err := canonicalHost(u.Hostname())
	if err != nil {
		return "", err
	}
	if scheme == "http" && (!loopbackHTTP || !loopbackName(host)) {
		return "", errors.New("must begin with https:// (http:// is for localhost under parley dev)")
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	origin := scheme + "://" + host
	port := u.Port()
	if port == "" {
		if strings.HasSuffix(u.Host, ":") {
			return "", errors.New("the port is missing after the colon")
		}
		return origin, nil
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
		return "", errors.New("the port must be a number from 1 to 65535")
	}
	if scheme == "https" && n == 443 || scheme == "http" && n == 80 {
		return origin, nil
	}
	return origin + ":" + port, nil
}

// canonicalHost takes a host that browsers leave as it is but for case. They
// rewrite some others (1.2.3 becomes 1.2.0.3), and such an entry would never match.
func canonicalHost(host string) (string, error) {
	host = strings.ToLower(host)
	if strings.Contains(host, ":") {
		a, err := netip.ParseAddr(host)
		if err != nil || a.Zone() != "" || a.Is4In6() {
			return "", errors.New("the host is not a plain IPv6 address")
		}
		return a.String(), nil
	}
	if host == "" {
		return "", errors.New("the host is missing")
	}
	if strings.HasSuffix(host, ".") {
		return "", errors.New("the host must not end in a dot")
	}
	if len(host) > 253 {
		return "", errors.New("the host is longer than 253 characters")
	}
	labels := strings.Split(host, ".")
	for _, label := range labels {
		if !validLabel(label) {
			return "", errors.New("the host may have letters, digits and hyphens between dots; no wildcards")
		}
	}
	// A last label that reads as a number makes the whole host an IPv4 address
	// (WHATWG URL, "ends in a number"); ParseAddr takes only its canonical form.
	last := labels[len(labels)-1]
	if digits(last) || strings.HasPrefix(last, "0x") {
		if a, err := netip.ParseAddr(host); err != nil || !a.Is4() {
			return "", errors.New("the host is not a plain IPv4 address")
		}
	}
	return host, nil
}

func validLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// loopbackName knows the three names under which a developer's machine may call
// itself. Not every address of 127/8, and no name that merely resolves there: that
// is what DNS rebinding makes.
func loopbackName(host string) bool {
	return host == "localhost" || host == "127.0.0.1" || host == "::1"
}
