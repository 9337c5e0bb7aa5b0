package auth

import (
	"errors"
	"net/http"
	"strings"
	"testing"
)

func TestBearerToken(t *testing.T) {
	t.Parallel()
	longest := strings.Repeat("a", maxTokenLen)
	for _, row := range []struct {
		name   string
		values []string
		want   string // "" = refused
		code   string
	}{
		{"plain", []string{"Bearer a.b.c"}, "a.b.c", ""},
		{"lower case", []string{"bearer a.b.c"}, "a.b.c", ""},
		{"upper case", []string{"BEARER a.b.c"}, "a.b.c", ""},
		{"two spaces", []string{"Bearer  a.b.c"}, "a.b.c", ""},
		{"longest", []string{"Bearer " + longest}, longest, ""},
		{"too long", []string{"Bearer a" + longest}, "", CodeTokenInvalid},
		{"no header", nil, "", CodeTokenMissing},
		{"empty header", []string{""}, "", CodeTokenInvalid},
		{"two headers", []string{"Bearer a.b.c", "Bearer a.b.c"}, "", CodeTokenInvalid},
		{"second header empty", []string{"Bearer a.b.c", ""}, "", CodeTokenInvalid},
		{"scheme only", []string{"Bearer"}, "", CodeTokenInvalid},
		{"scheme and space", []string{"Bearer "}, "", CodeTokenInvalid},
		{"token only", []string{"a.b.c"}, "", CodeTokenInvalid},
		{"other scheme", []string{"Basic YTpi"}, "", CodeTokenInvalid},
		{"longer scheme", []string{"Bearers a.b.c"}, "", CodeTokenInvalid},
		{"scheme with a Kelvin-like fold", []string{"Beare\u0280 a.b.c"}, "", CodeTokenInvalid},
		{"leading space", []string{" Bearer a.b.c"}, "", CodeTokenInvalid},
		{"trailing space", []string{"Bearer a.b.c "}, "", CodeTokenInvalid},
		{"tab", []string{"Bearer\ta.b.c"}, "", CodeTokenInvalid},
		{"tab after space", []string{"Bearer \ta.b.c"}, "", CodeTokenInvalid},
		{"two tokens", []string{"Bearer a.b.c a.b.c"}, "", CodeTokenInvalid},
		{"comma", []string{"Bearer a.b.c, Bearer a.b.c"}, "", CodeTokenInvalid},
		{"comma without space", []string{"Bearer a.b.c,a.b.c"}, "", CodeTokenInvalid},
		{"parameter", []string{`Bearer token="a.b.c"`}, "", CodeTokenInvalid},
		{"padding", []string{"Bearer a.b.c="}, "", CodeTokenInvalid},
		{"line break", []string{"Bearer a.b.c\r\nX: y"}, "", CodeTokenInvalid},
		{"zero byte", []string{"Bearer a.b\x00.c"}, "", CodeTokenInvalid},
		{"not ASCII", []string{"Bearer ä.b.c"}, "", CodeTokenInvalid},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			got, err := BearerToken(http.Header{"Authorization": row.values})
			if row.want != "" {
				if err != nil || got != row.want {
					t.Fatalf("%q, %v", got, err)
				}
				return
			}
			wantRefusal(t, err, ErrUnauthenticated, row.code)
			if got != "" {
				t.Fatalf("and yet %q", got)
			}
		})
	}
}

func TestChallenge(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		err  error
		want string
	}{
		{missing("x"), `Bearer realm="parley"`},
		{invalid("x"), `Bearer realm="parley", error="invalid_token"`},
		{expired(), `Bearer realm="parley", error="invalid_token"`},
		{unavailable("x", nil), `Bearer realm="parley"`},
		{errors.New("x"), `Bearer realm="parley"`},
	} {
		if got := Challenge(row.err); got != row.want {
			t.Errorf("%v: %s", row.err, got)
		}
	}
}
