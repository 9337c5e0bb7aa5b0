package auth

import (
	"strings"
	"time"
)

// An Identity is what a good token says: who, by which sign-in, until when.
type Identity struct {
	// UserID is the token's sub, an id by ValidUserID.
	UserID string
	// SessionID is the token's sid, the name under which a sign-in is revoked. It
	// is empty if the issuer names none, else an id like UserID.
	SessionID string
	// ExpiresAt is the token's exp. Verify allows 30 s of clock difference, so a
	// fresh Identity may have expired already by our clock.
	ExpiresAt time.Time
}

const maxIDLen = 64

// ValidUserID reports whether id may name a person: ^[A-Za-z0-9_-]{1,64}$ and not
// a word that is a place in our URLs (/api/{user_id} stands beside /api/auth), in
// any case, because some proxies fold it.
func ValidUserID(id string) bool { return validID(id) && !routeWord(id) }

// validID keeps dots, wildcards, blanks and endless ids out of subjects, keys and
// log lines.
func validID(id string) bool {
	if id == "" || len(id) > maxIDLen {
		return false
	}
	for i := range len(id) {
		if !idByte(id[i]) {
			return false
		}
	}
	return true
}

// idByte knows the alphabet of ids, which is also that of base64url.
func idByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-'
}

func routeWord(id string) bool {
	switch strings.ToLower(id) {
	case "api", "assets", "auth", "chatkit", "config", "dev", "healthz", "internal", "mcp", "metrics", "openapi", "readyz", "static":
		return true
	}
	return false
}
