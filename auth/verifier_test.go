package auth

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestNewRefusesBadOptions(t *testing.T) {
	t.Parallel()
	good := Options{JWKSURL: testURL, Issuer: testIss, Audience: testAud}
	for name, change := range map[string]func(*Options){
		"no url":      func(o *Options) { o.JWKSURL = "" },
		"relative":    func(o *Options) { o.JWKSURL = "/jwks" },
		"file":        func(o *Options) { o.JWKSURL = "file:///etc/passwd" },
		"no host":     func(o *Options) { o.JWKSURL = "https:///jwks" },
		"user info":   func(o *Options) { o.JWKSURL = "https://a:b@issuer.test/jwks" },
		"fragment":    func(o *Options) { o.JWKSURL = testURL + "#x" },
		"no issuer":   func(o *Options) { o.Issuer = "" },
		"no audience": func(o *Options) { o.Audience = "" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := good
			change(&o)
			if _, err := New(o); err == nil {
				t.Fatal("accepted")
			}
		})
	}
	if _, err := New(good); err != nil {
		t.Fatal(err)
	}
}

func TestVerifyIdentity(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newTestIssuer(t)
		got, err := i.verifier().Verify(t.Context(), i.token(nil))
		if err != nil {
			t.Fatal(err)
		}
		want := Identity{UserID: testSub, SessionID: testSid, ExpiresAt: time.Now().Add(10 * time.Minute).UTC()}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestVerifyClaims(t *testing.T) {
	t.Parallel()
	type changes = map[string]any
	ago := func(d time.Duration) func() any { return func() any { return time.Now().Add(-d).Unix() } }
	in := func(d time.Duration) func() any { return ago(-d) }
	for _, row := range []struct {
		name   string
		claims changes // a func() any is called inside the bubble
		code   string  // "" = accepted
	}{
		{"exp missing", changes{"exp": nil}, CodeTokenInvalid},
		{"exp zero", changes{"exp": 0}, CodeTokenInvalid},
		{"exp string", changes{"exp": "soon"}, CodeTokenInvalid},
		{"exp after the year 9999", changes{"exp": maxNumericDate + 1}, CodeTokenInvalid},
		{"exp just past, in the leeway", changes{"exp": ago(29 * time.Second)}, ""},
		{"exp past the leeway", changes{"exp": ago(30 * time.Second)}, CodeTokenExpired},
		{"exp past and wrong aud", changes{"exp": ago(time.Hour), "aud": "other"}, CodeTokenInvalid},
		{"exp past and wrong iss", changes{"exp": ago(time.Hour), "iss": "other"}, CodeTokenInvalid},
		{"exp a duration, as Better Auth writes expirationTime: 900", changes{"exp": 900}, CodeTokenExpired},
		{"iat missing", changes{"iat": nil}, ""},
		{"iat ahead, in the leeway", changes{"iat": in(30 * time.Second)}, ""},
		{"iat ahead", changes{"iat": in(31 * time.Second)}, CodeTokenInvalid},
		{"iat string", changes{"iat": "now"}, CodeTokenInvalid},
		{"iat null", changes{"iat": jsonNull{}}, CodeTokenInvalid},
		{"iat huge", changes{"iat": 1e300}, CodeTokenInvalid},
		{"iat negative", changes{"iat": -1}, CodeTokenInvalid},
		{"nbf now", changes{"nbf": in(0)}, ""},
		{"nbf ahead, in the leeway", changes{"nbf": in(30 * time.Second)}, ""},
		{"nbf ahead", changes{"nbf": in(31 * time.Second)}, CodeTokenInvalid},
		{"nbf huge", changes{"nbf": 1e300}, CodeTokenInvalid},
		{"iss missing", changes{"iss": nil}, CodeTokenInvalid},
		{"iss other", changes{"iss": testIss + "/"}, CodeTokenInvalid},
		{"iss in other case", changes{"iss": strings.ToUpper(testIss)}, CodeTokenInvalid},
		{"iss list", changes{"iss": []string{testIss}}, CodeTokenInvalid},
		{"aud missing", changes{"aud": nil}, CodeTokenInvalid},
		{"aud empty list", changes{"aud": []string{}}, CodeTokenInvalid},
		{"aud list with ours", changes{"aud": []string{"other", testAud}}, ""},
		{"aud list without ours", changes{"aud": []string{"other"}}, CodeTokenInvalid},
		{"aud list with a number", changes{"aud": []any{testAud, 1}}, CodeTokenInvalid},
		{"sub missing", changes{"sub": nil}, CodeTokenInvalid},
		{"sub number", changes{"sub": 7}, CodeTokenInvalid},
		{"sub of 64", changes{"sub": strings.Repeat("u", 64)}, ""},
		{"sub of 65", changes{"sub": strings.Repeat("u", 65)}, CodeTokenInvalid},
		{"sub with a dot", changes{"sub": "a.b"}, CodeTokenInvalid},
		{"sub with a full-width letter", changes{"sub": "ａ"}, CodeTokenInvalid},
		{"sub route word", changes{"sub": "dev"}, CodeTokenInvalid},
		{"sub route word in other case", changes{"sub": "Internal"}, CodeTokenInvalid},
		{"sub that begins like one", changes{"sub": "developer"}, ""},
		{"sub in other case only", changes{"sub": nil, "SUB": testSub, "Sub": testSub}, CodeTokenInvalid},
		{"sid missing", changes{"sid": nil}, ""},
		{"sid empty", changes{"sid": ""}, CodeTokenInvalid},
		{"sid wildcard", changes{"sid": ">"}, CodeTokenInvalid},
		{"sid null", changes{"sid": jsonNull{}}, CodeTokenInvalid},
		{"more claims", changes{"name": "x", "roles": []string{"admin"}}, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				i := newTestIssuer(t)
				claims := changes{}
				for k, v := range row.claims {
					if f, ok := v.(func() any); ok {
						v = f()
					}
					claims[k] = v
				}
				_, err := i.verifier().Verify(t.Context(), i.token(claims))
				if row.code == "" {
					if err != nil {
						t.Fatal(err)
					}
					return
				}
				wantRefusal(t, err, ErrUnauthenticated, row.code)
			})
		})
	}
}

// jsonNull is a null that patch does not take for "remove".
type jsonNull struct{}

func (jsonNull) MarshalJSON() ([]byte, error) { return []byte("null"), nil }

func TestVerifyHeader(t *testing.T) {
	t.Parallel()
	type changes = map[string]any
	rogue := makeKey("rogue")
	for _, row := range []struct {
		name    string
		header  changes
		good    bool
		fetches int
	}{
		{"typ", changes{"typ": "JWT"}, true, 1},
		{"jku, x5u, jwk, x5c beside the real key", changes{
			"jku": "https://evil.example/jwks", "x5u": "https://evil.example/x", "jwk": rogue.jwk(), "x5c": []string{"MIIB"},
		}, true, 1},
		{"crit", changes{"crit": []string{"exp"}}, false, 0},
		{"crit empty", changes{"crit": []string{}}, false, 0},
		{"crit null", changes{"crit": jsonNull{}}, false, 0},
		{"b64 as critical", changes{"crit": []string{"b64"}, "b64": false}, false, 0},
		{"alg Ed25519", changes{"alg": "Ed25519"}, false, 0},
		{"alg in other case", changes{"alg": "eddsa"}, false, 0},
		{"alg none", changes{"alg": "none"}, false, 0},
		{"alg HS256", changes{"alg": "HS256"}, false, 0},
		{"alg list", changes{"alg": []string{"EdDSA"}}, false, 0},
		{"kid missing", changes{"kid": nil}, false, 0},
		{"kid empty", changes{"kid": ""}, false, 0},
		{"kid number", changes{"kid": 1}, false, 0},
		{"kid of 129 bytes", changes{"kid": strings.Repeat("k", 129)}, false, 0},
		{"kid of 128 bytes, unknown", changes{"kid": strings.Repeat("k", 128)}, false, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				i := newTestIssuer(t)
				_, err := i.verifier().Verify(t.Context(), i.tokenWith(row.header, nil))
				if row.good && err != nil {
					t.Fatal(err)
				}
				if !row.good {
					wantRefusal(t, err, ErrUnauthenticated, CodeTokenInvalid)
				}
				if got := i.fetchCount(); got != row.fetches {
					t.Fatalf("%d fetches, want %d", got, row.fetches)
				}
			})
		})
	}
}

// TestVerifyOneSpelling: nobody but the issuer can make a token that is good, also
// not by writing a good one differently.
func TestVerifyOneSpelling(t *testing.T) {
	t.Parallel()
	i := newTestIssuer(t)
	v := i.verifier()
	// A length of 3n+1 leaves 4 unused bits at the end of the payload's base64, and
	// the 0x3e bytes put - and _ into it.
	claims := map[string]any{"pad": "~~~???>>>"}
	var good string
	for {
		good = i.token(claims)
		if payload := strings.Split(good, ".")[1]; len(payload)%4 == 2 && strings.ContainsAny(payload, "-_") {
			break
		}
		claims["pad"] = claims["pad"].(string) + "~"
	}
	if _, err := v.Verify(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	part := strings.Split(good, ".")
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	otherTail := func(s string) string { // same bytes for a decoder that is not strict
		last := strings.IndexByte(alphabet, s[len(s)-1])
		return s[:len(s)-1] + string(alphabet[last^1])
	}
	for name, token := range map[string]string{
		"empty":                   "",
		"dots":                    "..",
		"no signature":            part[0] + "." + part[1] + ".",
		"two parts":               part[0] + "." + part[1],
		"four parts":              good + ".",
		"leading space":           " " + good,
		"trailing line break":     good + "\n",
		"line break in signature": part[0] + "." + part[1] + "." + part[2][:40] + "\r\n" + part[2][40:],
		"line break in payload":   part[0] + "." + part[1][:8] + "\n" + part[1][8:] + "." + part[2],
		"padding":                 good + "==",
		"padding in payload":      part[0] + "." + part[1] + "==." + part[2],
		"standard base64":         part[0] + "." + strings.NewReplacer("-", "+", "_", "/").Replace(part[1]) + "." + part[2],
		"unused bits, payload":    part[0] + "." + otherTail(part[1]) + "." + part[2],
		"unused bits, signature":  part[0] + "." + part[1] + "." + otherTail(part[2]),
		"Bearer in front":         "Bearer " + good,
		"zero byte":               good + "\x00",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := v.Verify(t.Context(), token)
			code := CodeTokenInvalid
			if token == "" {
				code = CodeTokenMissing
			}
			wantRefusal(t, err, ErrUnauthenticated, code)
		})
	}
}

func TestVerifyAmbiguousJSON(t *testing.T) {
	t.Parallel()
	i := newTestIssuer(t)
	v, key := i.verifier(), i.current()
	header := []byte(`{"alg":"EdDSA","kid":"` + key.kid + `"}`)
	claims := fmt.Sprintf(`"iss":%q,"aud":%q,"exp":%d`, testIss, testAud, time.Now().Unix()+600)
	for name, token := range map[string]string{
		"sub twice":          signRaw(key, header, []byte(`{"sub":"victim","sub":"`+testSub+`",`+claims+`}`)),
		"sub twice, escaped": signRaw(key, header, []byte(`{"sub":"victim","s\u0075b":"`+testSub+`",`+claims+`}`)),
		"kid twice":          signRaw(key, []byte(`{"alg":"EdDSA","kid":"x","kid":"`+key.kid+`"}`), []byte(`{"sub":"a",`+claims+`}`)),
		"bad UTF-8":          signRaw(key, header, []byte("{\"sub\":\"a\",\"x\":\"\xff\","+claims+"}")),
		"two documents":      signRaw(key, header, []byte(`{"sub":"a",`+claims+`}{}`)),
		"byte order mark":    signRaw(key, header, []byte("\xef\xbb\xbf{\"sub\":\"a\","+claims+"}")),
		"null payload":       signRaw(key, header, []byte(`null`)),
		"string payload":     signRaw(key, header, []byte(`"sub"`)),
		"payload not JSON":   signRaw(key, header, []byte(`sub=a`)),
		"header not JSON":    signRaw(key, []byte(`alg`), []byte(`{"sub":"a",`+claims+`}`)),
		"header null":        signRaw(key, []byte(`null`), []byte(`{"sub":"a",`+claims+`}`)),
		"payload empty":      signRaw(key, header, nil),
		"unclosed":           signRaw(key, header, []byte(`{"sub":"a",`+claims+`,"x":`+strings.Repeat("[", 2500)+`}`)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := v.Verify(t.Context(), token)
			wantRefusal(t, err, ErrUnauthenticated, CodeTokenInvalid)
		})
	}
	if _, err := v.Verify(t.Context(), signRaw(key, header, []byte(`{"sub":"a",`+claims+`}`))); err != nil {
		t.Fatalf("the same without the fault: %v", err)
	}
}

func TestVerifyLength(t *testing.T) {
	t.Parallel()
	i := newTestIssuer(t)
	v := i.verifier()
	// Walk over the limit byte by byte; both sides must be seen.
	seen := map[bool]int{}
	for n := maxTokenLen*3/4 - 400; n < maxTokenLen*3/4; n++ {
		token := i.token(map[string]any{"pad": strings.Repeat("x", n)})
		_, err := v.Verify(t.Context(), token)
		if ok := err == nil; ok != (len(token) <= maxTokenLen) {
			t.Fatalf("token of %d bytes: %v", len(token), err)
		}
		seen[err == nil]++
	}
	if seen[true] == 0 || seen[false] == 0 {
		t.Fatalf("limit not crossed: %v", seen)
	}
}

// TestRefusalsDoNotQuote: what a stranger wrote must not reach a log line or an
// answer by way of an error.
func TestRefusalsDoNotQuote(t *testing.T) {
	t.Parallel()
	synctest.Test(t, testRefusalsDoNotQuote)
}

func testRefusalsDoNotQuote(t *testing.T) {
	i := newTestIssuer(t)
	v, key := i.verifier(), i.current()
	const canary = "cAnArY"
	for name, token := range map[string]string{
		"alg":     i.tokenWith(map[string]any{"alg": canary}, nil),
		"kid":     i.tokenWith(map[string]any{"kid": canary}, nil),
		"iss":     i.token(map[string]any{"iss": canary}),
		"aud":     i.token(map[string]any{"aud": canary}),
		"sub":     i.token(map[string]any{"sub": canary + "."}),
		"sid":     i.token(map[string]any{"sid": canary + "."}),
		"exp":     i.token(map[string]any{"exp": canary}),
		"text":    canary,
		"header":  signRaw(key, []byte(canary), []byte(`{}`)),
		"payload": i.sign(key, nil, []byte(canary)),
	} {
		_, err := v.Verify(t.Context(), token)
		wantRefusal(t, err, ErrUnauthenticated, CodeTokenInvalid)
		if r, _ := errors.AsType[*Refusal](err); strings.Contains(err.Error()+r.Message, canary) || strings.Contains(err.Error(), token) {
			t.Errorf("%s is quoted: %v", name, err)
		}
	}
}

func TestVerifyRogueKey(t *testing.T) {
	t.Parallel()
	i := newTestIssuer(t)
	v := i.verifier()
	rogue := makeKey("rogue")
	rogue.kid = i.current().kid
	_, err := v.Verify(t.Context(), i.sign(rogue, nil, mustJSON(t, goodClaims(nil))))
	wantRefusal(t, err, ErrUnauthenticated, CodeTokenInvalid)

	// A signature over the same bytes with the all-zero point as key or as R.
	good := i.token(nil)
	cut := strings.LastIndexByte(good, '.')
	zero := good[:cut+1] + base64.RawURLEncoding.EncodeToString(bytes.Repeat([]byte{0}, 64))
	_, err = v.Verify(t.Context(), zero)
	wantRefusal(t, err, ErrUnauthenticated, CodeTokenInvalid)
}

func BenchmarkVerify(b *testing.B) {
	i := newTestIssuer(b)
	v := i.verifier()
	token := i.token(nil)
	b.Run("good", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := v.Verify(b.Context(), token); err != nil {
				b.Fatal(err)
			}
		}
	})
	forged := token[:len(token)-10] + "AAAAAAAAAA"
	b.Run("forged", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := v.Verify(b.Context(), forged); err == nil {
				b.Fatal("accepted")
			}
		}
	})
	garbage := strings.Repeat("a.", 4000)
	b.Run("garbage", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := v.Verify(b.Context(), garbage); err == nil {
				b.Fatal("accepted")
			}
		}
	})
}
