package auth

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

func FuzzBearerToken(f *testing.F) {
	for _, s := range []string{"Bearer a.b.c", "bearer  x", "Bearer", "Bearer\ta", "Bearer a, Bearer b", "Bearer a b", "", " ", "Bearer \x00"} {
		f.Add(s, false)
	}
	f.Add("Bearer a.b.c", true)
	wellFormed := regexp.MustCompile(`^(?i:bearer) +([A-Za-z0-9_.-]+)$`)
	f.Fuzz(func(t *testing.T, value string, twice bool) {
		h := http.Header{"Authorization": {value}}
		if twice {
			h.Add("Authorization", value)
		}
		token, err := BearerToken(h)
		want := wellFormed.FindStringSubmatch(value)
		if good := want != nil && len(want[1]) <= maxTokenLen && !twice; good != (err == nil) || good && token != want[1] {
			t.Fatalf("%q: %q, %v", value, token, err)
		}
	})
}

func FuzzParseOrigin(f *testing.F) {
	for _, s := range []string{
		"https://a.example", "HTTPS://A.example:443", "http://localhost:5173", "http://[::1]:1", "https://[2001:DB8::1]",
		"https://a.example/", "https://u@a", "https://1.2.3.4", "https://xn--a", "*", "null", "https://a:", "https://a\n",
	} {
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, entry string, loopback bool) {
		origin, err := parseOrigin(entry, loopback)
		if err != nil {
			return
		}
		// What is stored is what a browser sends: itself when read again, plain
		// ASCII in lower case, and of the site that a URL parser sees in the entry.
		if again, err := parseOrigin(origin, loopback); err != nil || again != origin {
			t.Fatalf("%q gives %q, which gives %q, %v", entry, origin, again, err)
		}
		for i := range len(origin) {
			if c := origin[i]; c <= ' ' || c >= 0x7f || 'A' <= c && c <= 'Z' || strings.IndexByte(`@\?#*,"'<>;`, c) >= 0 {
				t.Fatalf("%q gives %q", entry, origin)
			}
		}
		in, err1 := url.Parse(entry)
		out, err2 := url.Parse(origin)
		if err1 != nil || err2 != nil || out.Path != "" || !strings.EqualFold(in.Scheme, out.Scheme) {
			t.Fatalf("%q gives %q", entry, origin)
		}
		if !strings.Contains(origin, "[") && !strings.EqualFold(in.Hostname(), out.Hostname()) {
			t.Fatalf("%q gives another host: %q", entry, origin)
		}
		if out.Scheme != "https" && (!loopback || !loopbackName(out.Hostname())) {
			t.Fatalf("%q gives %q", entry, origin)
		}
	})
}

// FuzzVerify: nothing but the very token that the issuer signed is good.
func FuzzVerify(f *testing.F) {
	i := newTestIssuer(f)
	v, err := newVerifier(fixedKeys{i.current().kid: i.current().public()}, testIss, testAud, time.Now)
	if err != nil {
		f.Fatal(err)
	}
	good := i.token(map[string]any{"exp": time.Now().Add(24 * time.Hour).Unix()})
	f.Add(0, "")
	f.Add(len(good), "=")
	f.Add(5, "\n")
	f.Fuzz(func(t *testing.T, at int, insert string) {
		at = max(0, min(at, len(good)))
		end := min(at+len(insert), len(good))
		for _, token := range []string{insert, good[:at] + insert + good[at:], good[:at] + insert + good[end:], good[:at]} {
			id, err := v.Verify(t.Context(), token)
			if (err == nil) != (token == good) {
				t.Fatalf("%q: %v, %v", token, id, err)
			}
		}
	})
}
