package auth

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNewOrigins(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		entry string
		want  string // "" = refused
	}{
		{"https://chat.example.org", "https://chat.example.org"},
		{" https://chat.example.org ", "https://chat.example.org"},
		{"HTTPS://Chat.Example.ORG", "https://chat.example.org"},
		{"https://chat.example.org:443", "https://chat.example.org"},
		{"https://chat.example.org:8443", "https://chat.example.org:8443"},
		{"https://chat.example.org:80", "https://chat.example.org:80"},
		{"https://xn--exmple-cua.example", "https://xn--exmple-cua.example"},
		{"https://localhost:5173", "https://localhost:5173"},
		{"https://192.0.2.7", "https://192.0.2.7"},
		{"https://[2001:DB8:0::1]:8443", "https://[2001:db8::1]:8443"},
		{"https://a1.b-c.d", "https://a1.b-c.d"},
		{"http://localhost:5173", "http://localhost:5173"},
		{"http://LOCALHOST", "http://localhost"},
		{"http://127.0.0.1:80", "http://127.0.0.1"},
		{"http://127.0.0.1:443", "http://127.0.0.1:443"},
		{"http://[::1]:7420", "http://[::1]:7420"},
		{"http://[0:0::1]", "http://[::1]"},

		{"", ""},
		{"*", ""},
		{"null", ""},
		{"NULL", ""},
		{"chat.example.org", ""},
		{"chat.example.org:443", ""},
		{"//chat.example.org", ""},
		{"https:chat.example.org", ""},
		{"https:///", ""},
		{"https://", ""},
		{"https://:443", ""},
		{"https://chat.example.org/", ""},
		{"https://chat.example.org/app", ""},
		{"https://chat.example.org?", ""},
		{"https://chat.example.org?x=1", ""},
		{"https://chat.example.org#", ""},
		{"https://chat.example.org#x", ""},
		{"https://user@chat.example.org", ""},
		{"https://@chat.example.org", ""},
		{"https://chat.example.org.", ""},
		{"https://chat.example.org.:443", ""},
		{"https://chat.example.org:", ""},
		{"https://chat.example.org:0", ""},
		{"https://chat.example.org:0443", ""},
		{"https://chat.example.org:65536", ""},
		{"https://chat.example.org:x", ""},
		{"https://*.example.org", ""},
		{"https://chat_1.example.org", ""},
		{"https://-a.example.org", ""},
		{"https://a-.example.org", ""},
		{"https://a..example.org", ""},
		{"https://.example.org", ""},
		{"https://" + strings.Repeat("a", 64) + ".org", ""},
		{"https://" + strings.Repeat("a.", 126) + "ab", ""},
		{"https://exämple.example", ""},
		{"https://ex%C3%A4mple.example", ""},
		{"https://1.2.3", ""},
		{"https://1.2.3.04", ""},
		{"https://0x7f.0.0.0x1", ""},
		{"https://2130706433", ""},
		{"https://[::1", ""},
		{"https://[fe80::1%25eth0]", ""},
		{"https://[::ffff:192.0.2.7]", ""},
		{"https://a.example https://b.example", ""},
		{"https://a.example,https://b.example", ""},
		{"https://a.example\n", "https://a.example"},
		{"https://a.exa\nmple", ""},
		{"https://a.example\\b", ""},
		{"http://chat.example.org", ""},
		{"http://127.0.0.2", ""},
		{"http://localhost.example.org", ""},
		{"http://app.localhost", ""},
		{"ws://localhost:5173", ""},
		{"file://", ""},
		{"chrome-extension://abcdefghijklmnopabcdefghijklmnop", ""},
		{"javascript:alert(1)", ""},
	} {
		t.Run(row.entry, func(t *testing.T) {
			t.Parallel()
			o, err := NewOrigins(OriginsOptions{Entries: []string{"https://first.example", row.entry}, LoopbackHTTP: true})
			if row.want == "" {
				if err == nil {
					t.Fatalf("accepted as %v", o.List())
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := o.set[row.want]; !ok {
				t.Fatalf("stored as %v", o.List())
			}
			// Outside of dev, only https.
			_, err = NewOrigins(OriginsOptions{Entries: []string{row.entry}})
			if https := strings.HasPrefix(row.want, "https:"); (err == nil) != https {
				t.Fatalf("without LoopbackHTTP: %v", err)
			}
		})
	}
}

func TestOriginsAllowed(t *testing.T) {
	t.Parallel()
	o, err := NewOrigins(OriginsOptions{Entries: []string{"https://chat.example.org", "https://b.example:8443"}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"https://b.example:8443", "https://chat.example.org"}, o.List()); diff != "" {
		t.Fatal(diff)
	}
	const site = "Sec-Fetch-Site"
	for _, row := range []struct {
		name   string
		header http.Header
		origin string
		ok     bool
	}{
		{"no page", http.Header{}, "", true},
		{"in the set", http.Header{"Origin": {"https://chat.example.org"}}, "https://chat.example.org", true},
		{"with port", http.Header{"Origin": {"https://b.example:8443"}}, "https://b.example:8443", true},
		{"in the set, cross-site", http.Header{"Origin": {"https://chat.example.org"}, site: {"cross-site"}}, "https://chat.example.org", true},
		{"no Origin, same-origin", http.Header{site: {"same-origin"}}, "", true},
		{"no Origin, same-site", http.Header{site: {"same-site"}}, "", true},
		{"no Origin, typed by the person", http.Header{site: {"none"}}, "", true},

		{"no Origin, cross-site", http.Header{site: {"cross-site"}}, "", false},
		{"no Origin, cross-site in other case", http.Header{site: {" Cross-Site"}}, "", false},
		{"no Origin, cross-site second", http.Header{site: {"same-origin", "cross-site"}}, "", false},
		{"empty", http.Header{"Origin": {""}}, "", false},
		{"null", http.Header{"Origin": {"null"}}, "", false},
		{"twice the same", http.Header{"Origin": {"https://chat.example.org", "https://chat.example.org"}}, "", false},
		{"two in one", http.Header{"Origin": {"https://chat.example.org https://b.example:8443"}}, "", false},
		{"other scheme", http.Header{"Origin": {"http://chat.example.org"}}, "", false},
		{"other port", http.Header{"Origin": {"https://b.example"}}, "", false},
		{"default port", http.Header{"Origin": {"https://chat.example.org:443"}}, "", false},
		{"upper case", http.Header{"Origin": {"https://Chat.example.org"}}, "", false},
		{"last slash", http.Header{"Origin": {"https://chat.example.org/"}}, "", false},
		{"trailing dot", http.Header{"Origin": {"https://chat.example.org."}}, "", false},
		{"subdomain", http.Header{"Origin": {"https://x.chat.example.org"}}, "", false},
		{"suffix", http.Header{"Origin": {"https://chat.example.org.evil.example"}}, "", false},
		{"same-origin is claimed", http.Header{"Origin": {"https://evil.example"}, site: {"same-origin"}}, "", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			origin, ok := o.Allowed(&http.Request{Header: row.header, Host: "evil.example"})
			if origin != row.origin || ok != row.ok {
				t.Fatalf("%q, %v", origin, ok)
			}
		})
	}

	var none *Origins
	if _, ok := none.Allowed(&http.Request{Header: http.Header{"Origin": {"https://chat.example.org"}}}); ok {
		t.Error("the nil set allows a page")
	}
	if _, ok := none.Allowed(&http.Request{Header: http.Header{}}); !ok {
		t.Error("the nil set refuses what is no page")
	}
	if none.List() != nil {
		t.Error("the nil set has entries")
	}
}
