package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
)

// ana's token; only the server under it would look at the signature.
const anasToken = "e30.eyJzdWIiOiJhbmEifQ.x"

// A chatServer answers a message only when it is told to: its chat calls give
// the writer of their frames, its cancels the path.
func chatServer(t *testing.T) (c *chatCmd, e *env, chats chan func(...events.Event), cancels chan string) {
	t.Helper()
	chats, cancels = make(chan func(...events.Event)), make(chan string, 4)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/ana/chat", func(w http.ResponseWriter, r *http.Request) {
		// Only a request that has been read to its end is seen to go away.
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Error(err)
		}
		n := uint64(0)
		frames := make(chan []events.Event)
		select {
		case chats <- func(list ...events.Event) { frames <- list }:
		case <-r.Context().Done():
			return
		}
		for {
			select {
			case list := <-frames:
				n++
				k := events.Commit{V: 1, ConversationID: "c1", UserID: "ana", N: n, CommitID: fmt.Sprint(n), Time: time.Now(), Events: list}
				b, err := k.Encode()
				if err != nil {
					t.Error(err)
				}
				fmt.Fprintf(w, "data: {\"type\":\"commit\",\"commit\":%s}\n\n", b)
				_ = http.NewResponseController(w).Flush() // a client that has left is part of the test
			case <-r.Context().Done():
				return
			}
		}
	})
	mux.HandleFunc("POST /api/ana/runs/{run}/cancel", func(w http.ResponseWriter, r *http.Request) {
		cancels <- r.PathValue("run")
		fmt.Fprint(w, "{}")
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	e = &env{stdout: io.Discard, stderr: io.Discard, logger: slog.New(slog.DiscardHandler), lookup: func(name string) (string, bool) {
		return anasToken, name == "PARLEY_TOKEN"
	}}
	return &chatCmd{Client: Client{URL: server.URL}}, e, chats, cancels
}

// Ctrl-C stops the answer and the chat goes on; at the prompt it ends the chat.
func TestInterruptStopsTheAnswerNotTheChat(t *testing.T) {
	t.Parallel()
	c, e, chats, cancels := chatServer(t)
	in, lines := io.Pipe()
	interrupt, done := make(chan os.Signal, 1), make(chan error, 1)
	prompt := make(chan struct{}, 8)
	e.stdout = writerFunc(func(b []byte) {
		if bytes.Equal(b, []byte("> ")) {
			prompt <- struct{}{}
		}
	})
	go func() { done <- c.chat(testkit.Context(t), e, in, interrupt) }()
	for _, id := range []events.RunID{"r1", "r2"} {
		<-prompt
		fmt.Fprintln(lines, "hello")
		say := <-chats
		say(events.MessageAccepted{MessageID: "m1", RunID: id, Text: "hello"})
		interrupt <- os.Interrupt
		if got := <-cancels; got != string(id) {
			t.Errorf("run %s was cancelled, want %s", got, id)
		}
		say(events.RunCancelled{RunID: id})
	}
	<-prompt
	interrupt <- os.Interrupt
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := lines.Close(); err != nil {
		t.Error(err)
	}
}

// Who interrupts twice is not kept, whether the server has answered or not.
func TestSecondInterruptLeaves(t *testing.T) {
	t.Parallel()
	for _, accepted := range []bool{true, false} {
		c, e, chats, cancels := chatServer(t)
		c.Message = []string{"hello"}
		interrupt, done := make(chan os.Signal), make(chan error, 1)
		go func() { done <- c.chat(testkit.Context(t), e, nil, interrupt) }()
		say := <-chats
		if accepted {
			say(events.MessageAccepted{MessageID: "m1", RunID: "r1", Text: "hello"})
		}
		interrupt <- os.Interrupt
		if accepted {
			<-cancels
		}
		interrupt <- os.Interrupt
		if err := <-done; !errors.Is(err, errLeft) {
			t.Errorf("accepted %t: the chat ended with %v", accepted, err)
		}
	}
}

type writerFunc func([]byte)

func (f writerFunc) Write(b []byte) (int, error) {
	f(b)
	return len(b), nil
}
