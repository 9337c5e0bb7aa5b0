package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// visitTime bounds a visit, an answer of the demo model included.
const visitTime = 20 * time.Second

// visitBody bounds an answer to it.
const visitBody = 4 << 20

// moduleScript is the page's script in its HTML.
var moduleScript = regexp.MustCompile(`<script[^>]*\stype="module"[^>]*\ssrc="([^"]+)"`)

// opened is the line of dev's welcome with its address.
var opened = regexp.MustCompile(`(?m)^ +Open +(http://\S+)\s*$`)

// visit does what a person does who has started Parley: it opens the page, with
// the script that the page is, signs in as somebody, and has a task added. The
// answer must be whole and the tool's call have gone well.
func visit(ctx context.Context, base string) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("visit %s: %w", base, err)
		}
	}()
	ctx, cancel := context.WithTimeoutCause(ctx, visitTime, fmt.Errorf("it took longer than %v", visitTime))
	defer cancel()
	v := &visitor{base: base}
	defer v.client.CloseIdleConnections()
	html, err := v.file(ctx, "/", "text/html")
	if err != nil {
		return err
	}
	script := moduleScript.FindSubmatch(html)
	if script == nil {
		return errors.New("the page has no script")
	}
	if _, err := v.file(ctx, string(script[1]), "text/javascript"); err != nil {
		return err
	}
	const user = "visitor"
	var token struct {
		Token string `json:"token"`
	}
	if err := v.ask(ctx, "/api/dev/token", map[string]string{"user_id": user}, &token); err != nil {
		return err
	}
	v.token = token.Token
	var answer struct {
		Status    string `json:"status"`
		Response  string `json:"response"`
		ToolCalls []struct {
			Name string `json:"name"`
			OK   bool   `json:"ok"`
		} `json:"tool_calls"`
	}
	if err := v.ask(ctx, "/api/"+user+"/chat", map[string]string{"message": "add a task to water the plants"}, &answer); err != nil {
		return err
	}
	if answer.Status != "completed" || answer.Response == "" {
		return fmt.Errorf("the answer is %s and says %q", answer.Status, answer.Response)
	}
	for _, c := range answer.ToolCalls {
		if c.OK {
			return nil
		}
	}
	return fmt.Errorf("the answer says %q, and no task was added", answer.Response)
}

type visitor struct {
	base   string
	token  string
	client http.Client
}

// file fetches what must be of a kind and not empty.
func (v *visitor) file(ctx context.Context, path, kind string) ([]byte, error) {
	at, err := url.Parse(v.base)
	if err != nil {
		return nil, err
	}
	// The address stands in the page, so that it may be relative.
	if at, err = at.Parse(path); err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, err
	}
	b, header, err := v.do(req)
	if err != nil {
		return nil, err
	}
	if got, _, err := mime.ParseMediaType(header.Get("Content-Type")); err != nil || got != kind || len(b) == 0 {
		return nil, fmt.Errorf("GET %s: %d bytes of %q, not of %s", path, len(b), header.Get("Content-Type"), kind)
	}
	return b, nil
}

// ask posts JSON and reads what is answered.
func (v *visitor) ask(ctx context.Context, path string, body, into any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, v.base+path, bytes.NewReader(b))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if v.token != "" {
		req.Header.Set("Authorization", "Bearer "+v.token)
	}
	if b, _, err = v.do(req); err != nil {
		return err
	}
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("POST %s: %w", path, err)
	}
	return nil
}

// do sends a request and reads its answer, which must be 200.
func (v *visitor) do(req *http.Request) ([]byte, http.Header, error) {
	what := req.Method + " " + req.URL.Path
	res, err := v.client.Do(req)
	if err != nil {
		if cause := context.Cause(req.Context()); cause != nil {
			err = cause
		}
		return nil, nil, fmt.Errorf("%s: %w", what, err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, visitBody))
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", what, err)
	}
	if res.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("%s: %s: %s", what, res.Status, strings.TrimSpace(string(b[:min(len(b), 500)])))
	}
	return b, res.Header, nil
}
