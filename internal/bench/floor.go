package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/gorilla/websocket"
)

// Floor is the least that could carry an answer from the model to a browser: it
// takes a message from a WebSocket, calls the model, and passes every piece on as
// a frame. It stores nothing, knows nobody and recovers from nothing.
type Floor struct {
	// ModelURL is the base URL of the model.
	ModelURL string
	Logger   *slog.Logger
}

// Run serves on a free loopback port, which it logs, until ctx ends.
func (f Floor) Run(ctx context.Context) error {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("floor: %w", err)
	}
	server := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: f.handler(ctx)}
	undo := context.AfterFunc(ctx, func() { _ = server.Close() }) // its clients are ours
	defer undo()
	f.Logger.Info("floor is up", "addr", ln.Addr().String())
	if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("floor: %w", err)
	}
	return nil
}

// handler turns every request into a socket that lives until ctx ends.
func (f Floor) handler(ctx context.Context) http.Handler {
	up := &websocket.Upgrader{ReadBufferSize: 512, WriteBufferSize: 512}
	client := &http.Client{Transport: &http.Transport{DisableCompression: true, MaxIdleConns: 1024, MaxIdleConnsPerHost: 1024}}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := up.Upgrade(w, r, nil)
		if err != nil {
			return // answered
		}
		// Not on the request's goroutine, which would hold on to its buffers.
		go (&floorSocket{ws, client, f.ModelURL}).serve(ctx)
	})
}

type floorSocket struct {
	ws     *websocket.Conn
	client *http.Client
	model  string
}

func (s *floorSocket) serve(ctx context.Context) {
	defer s.ws.Close()
	s.ws.SetReadLimit(64 << 10)
	for {
		_, b, err := s.ws.ReadMessage()
		if err != nil {
			return
		}
		var m clientFrame
		if json.Unmarshal(b, &m) != nil || m.Type == "message" && s.answer(ctx, m) != nil {
			return
		}
	}
}

func (s *floorSocket) write(b []byte) error { return s.ws.WriteMessage(websocket.TextMessage, b) }

func (s *floorSocket) answer(ctx context.Context, m clientFrame) error {
	if err := s.write([]byte(`{"type":"accepted","id":"` + m.ID + `","conversation_id":"floor","run_id":"` + m.ID + `"}`)); err != nil {
		return err
	}
	type message struct {
		Role    string `json:"role"`
		Content string `json:"content"`
	}
	body, err := json.Marshal(struct {
		Model    string    `json:"model"`
		Stream   bool      `json:"stream"`
		Messages []message `json:"messages"`
	}{modelName, true, []message{{"user", m.Message}}})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.model+"/chat/completions", bytes.NewReader(body))
	if err != nil {
		return err
	}
	res, err := s.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	offset := 0
	var frame []byte
	lines := bufio.NewReader(res.Body)
	for {
		line, err := lines.ReadSlice('\n')
		if err != nil {
			break
		}
		data, ok := bytes.CutPrefix(line, []byte("data: "))
		if !ok {
			continue
		}
		if bytes.HasPrefix(data, []byte("[DONE]")) {
			return s.write([]byte(`{"type":"floor.end"}`))
		}
		var c struct {
			Choices []struct {
				Delta struct {
					Content string `json:"content"`
				} `json:"delta"`
			} `json:"choices"`
		}
		if err := json.Unmarshal(data, &c); err != nil {
			return err
		}
		if len(c.Choices) == 0 || c.Choices[0].Delta.Content == "" {
			continue
		}
		text := c.Choices[0].Delta.Content
		frame = append(append(append(frame[:0], `{"type":"delta","conversation_id":"floor","run_id":"`...), m.ID...), `","step":1,"attempt":1,"offset":`...)
		frame = append(strconv.AppendInt(frame, int64(offset), 10), `,"text":`...)
		if frame, err = jsontext.AppendQuote(frame, text); err != nil {
			return err
		}
		if err := s.write(append(frame, '}')); err != nil {
			return err
		}
		offset += len(text)
	}
	return errors.New("the model's answer has no end")
}
