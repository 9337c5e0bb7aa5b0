package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/parleychat/parley/internal/embedded"
)

// maxAnswer bounds what a client command reads of one JSON answer.
const maxAnswer = 4 << 20

// Client is how client commands find a server and say who asks.
type Client struct {
	URL     string `help:"Address of Parley; default: that of the parley dev that runs on this machine." group:"Client"`
	DataDir string `help:"Where everything is kept; default: your data folder, /var/lib/parley for root." type:"path" group:"Servers"`
	User    string `help:"Who you are, for the dev issuer; elsewhere the token in PARLEY_TOKEN says it." default:"me" group:"Client"`
}

// A caller calls one server as one person.
type caller struct {
	url, user, token string
	issued           bool // the dev issuer gave the token
}

// caller finds the server and gets a token.
func (c *Client) caller(ctx context.Context, e *env) (*caller, error) {
	base, err := c.server()
	if err != nil {
		return nil, err
	}
	token, err := e.secret("PARLEY_TOKEN")
	if err != nil {
		return nil, err
	}
	a := &caller{url: base, user: c.User, token: token}
	if token != "" {
		if a.user, err = subject(token); err != nil {
			return nil, usagef("PARLEY_TOKEN: %w", err)
		}
		return a, nil
	}
	t, err := a.devToken(ctx)
	if err != nil {
		return nil, err
	}
	a.token, a.issued = t, true
	return a, nil
}

func (c *Client) server() (string, error) {
	if c.URL != "" {
		return strings.TrimRight(c.URL, "/"), nil
	}
	dir := c.DataDir
	if dir == "" {
		var err error
		if dir, err = embedded.DefaultDataDir(); err != nil {
			return "", err
		}
	}
	ep, err := embedded.ReadEndpoint(dir)
	if err != nil {
		return "", fmt.Errorf("%w; start parley dev, or name a server with --url", err)
	}
	return ep.HTTPURL, nil
}

// devToken asks the dev issuer.
func (a *caller) devToken(ctx context.Context) (string, error) {
	var out struct {
		Token string `json:"token"`
	}
	err := a.do(ctx, http.MethodPost, "/api/dev/token", map[string]string{"user_id": a.user}, &out)
	var status *statusError
	if errors.As(err, &status) && status.status == http.StatusNotFound {
		return "", usagef("%s has no dev issuer; put a token into PARLEY_TOKEN", a.url)
	}
	return out.Token, err
}

// An awayError is that of a server which could not be reached, or was lost.
type awayError struct{ error }

func (e awayError) Unwrap() error { return e.error }

// A statusError is an answer that is no success.
type statusError struct {
	status        int
	code, message string
}

func (e *statusError) Error() string { return e.message }

func (a *caller) request(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var r io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		r = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, a.url+path, r)
	if err != nil {
		return nil, usageError{err}
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if a.token != "" {
		req.Header.Set("Authorization", "Bearer "+a.token)
	}
	if method == http.MethodPost && strings.HasSuffix(path, "/chat") {
		req.Header.Set("Accept", "text/event-stream")
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, awayError{fmt.Errorf("cannot reach Parley at %s: %w", a.url, err)}
	}
	if res.StatusCode < http.StatusBadRequest {
		return res, nil
	}
	defer func() { _ = res.Body.Close() }() // the answer is an error already
	return nil, a.refusal(res)
}

// refusal reads an answer that is no success.
func (a *caller) refusal(res *http.Response) error {
	var out struct {
		Error struct{ Code, Message string } `json:"error"`
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(&out); err != nil || out.Error.Message == "" {
		out.Error.Message = a.url + " answered " + res.Status
	}
	return &statusError{res.StatusCode, out.Error.Code, out.Error.Message}
}

func (a *caller) do(ctx context.Context, method, path string, body, out any) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	res, err := a.request(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }() // read as far as it is needed
	b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return awayError{fmt.Errorf("answer of %s: %w", a.url, err)}
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("answer of %s: %w", a.url, err)
	}
	return nil
}
