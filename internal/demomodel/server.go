package demomodel

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"
)

const (
	// Model is the one model this server has.
	Model = "demo"
	// ModelName is how Model is shown to people.
	ModelName = "Demo model, no AI"
	// DefaultRate is a pace, in tokens per second, that reads like a person's
	// fast typing.
	DefaultRate = 40.0
)

const (
	maxBody     = 8 << 20
	maxMessages = 4096
)

// Options configures a demo model.
type Options struct {
	// Rate is the pace of streamed answers in tokens per second; 0 = as fast as
	// possible. DefaultRate is a human pace.
	Rate float64
	// Logger receives one debug record per request, without any text of it;
	// default: none.
	Logger *slog.Logger
}

// New returns the demo model's HTTP handler.
func New(o Options) http.Handler {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &server{rate: o.Rate, log: o.Logger}
}

type server struct {
	rate float64
	log  *slog.Logger
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/v1/chat/completions":
		if allow(w, r, http.MethodPost) {
			s.complete(w, r)
		}
	case "/v1/models":
		if allow(w, r, http.MethodGet) {
			writeJSON(w, http.StatusOK, modelList{Object: "list", Data: []modelInfo{demoInfo}})
		}
	case "/v1/models/" + Model:
		if allow(w, r, http.MethodGet) {
			writeJSON(w, http.StatusOK, demoInfo)
		}
	default:
		writeError(w, &apiError{Status: http.StatusNotFound, Type: "invalid_request_error", Code: "not_found", Message: "The demo model has no such address."})
	}
}

func allow(w http.ResponseWriter, r *http.Request, method string) bool {
	if r.Method == method || method == http.MethodGet && r.Method == http.MethodHead {
		return true
	}
	w.Header().Set("Allow", method)
	writeError(w, &apiError{Status: http.StatusMethodNotAllowed, Type: "invalid_request_error", Code: "method_not_allowed", Message: "Use " + method + " here."})
	return false
}

func (s *server) complete(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		if tooBig, ok := errors.AsType[*http.MaxBytesError](err); ok {
			writeError(w, &apiError{Status: http.StatusRequestEntityTooLarge, Type: "invalid_request_error", Code: "request_too_large", Message: fmt.Sprintf("The request is over %d bytes.", tooBig.Limit)})
			return
		}
		writeError(w, badRequest("The request body could not be read."))
		return
	}
	req, apiErr := decodeRequest(body)
	if apiErr != nil {
		writeError(w, apiErr)
		return
	}
	out := answer(req)
	if out.fault.err != nil {
		writeError(w, out.fault.err)
		return
	}
	sum := sha256.Sum256(body)
	seed := hex.EncodeToString(sum[:8])
	c := &completion{seed: seed, out: out, promptBytes: req.textBytes(), maxTokens: req.maxTokens()}
	if req.Stream {
		err = c.stream(r.Context(), w, s.rate, req.StreamOptions.IncludeUsage)
	} else {
		err = c.whole(w)
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		s.log.LogAttrs(r.Context(), slog.LevelDebug, "demo answer not delivered", slog.Any("err", err))
	}
	s.log.LogAttrs(r.Context(), slog.LevelDebug, "demo answer", slog.Int("messages", len(req.Messages)), slog.Int("tool_calls", len(out.calls)), slog.Bool("stream", req.Stream))
}

// apiError is an error in OpenAI's form.
type apiError struct {
	Status     int     `json:"-"`
	RetryAfter int     `json:"-"` // seconds; 0 = no header
	Message    string  `json:"message"`
	Type       string  `json:"type"`
	Param      *string `json:"param"`
	Code       string  `json:"code"`
}

func badRequest(message string) *apiError {
	return &apiError{Status: http.StatusBadRequest, Type: "invalid_request_error", Code: "invalid_request", Message: message}
}

func writeError(w http.ResponseWriter, e *apiError) {
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(e.RetryAfter))
	}
	writeJSON(w, e.Status, struct {
		Error *apiError `json:"error"`
	}{e})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic("demomodel: " + err.Error()) // our own types: a programmer's mistake
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	_, _ = w.Write(b) // the reader is gone; nobody is left to tell
}
