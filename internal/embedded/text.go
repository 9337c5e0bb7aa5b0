package embedded

import (
	"crypto/rand"
	"encoding/hex"
	"strings"
)

// newPassword returns 192 random bits that need no quoting anywhere.
func newPassword() string {
	b := make([]byte, 24)
	rand.Read(b) // never fails: crypto/rand aborts the program instead
	return hex.EncodeToString(b)
}

// lastLines returns the last n lines of s, joined for one message.
func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return strings.Join(lines, " | ")
}
