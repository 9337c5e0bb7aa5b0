package edge

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
)

// A failure of ours is logged; that somebody left before the answer is none.
func TestFailuresAreLogged(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	e := &Edge{o: Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}}
	there, leave := context.WithCancel(t.Context())
	r := httptest.NewRequestWithContext(there, "GET", "/api/ana/tasks", nil)
	e.fail(httptest.NewRecorder(), r, errors.New("disk on fire"))
	if !strings.Contains(log.String(), "disk on fire") {
		t.Errorf("logged: %q", &log)
	}
	log.Reset()
	leave()
	e.fail(httptest.NewRecorder(), r, there.Err())
	if log.Len() > 0 {
		t.Errorf("logged for somebody who left: %q", &log)
	}
}
