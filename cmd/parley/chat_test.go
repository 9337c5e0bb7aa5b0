package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
)

// ana's token; only the server under it would look at the signature.
const anasToken = "e30.eyJzdWIiOiJhbmEifQ.x"

// A chatCall is one request for an answer, which the test writes.
type chatCall struct {
	t      *testing.T
	body   map[string]string
	frames chan string // "" breaks the connection
	gone   <-chan struct{}
	n      int
}

func (c *chatCall) frame(f string) {
	select {
	case c.frames <- f:
	case <-c.gone:
	}
}

// say writes a commit, the first after the frame that says "accepted".
func (c *chatCall) say(list ...events.Event) {
	c.t.Helper()
	if c.n++; c.n == 1 {
		c.frame(`{"type":"accepted","id":"m1","conversation_id":"c1","run_id":"r1"}`)
	}
	k := events.Commit{V: 1, ConversationID: "c1", UserID: "ana", N: uint64(c.n), CommitID: fmt.Sprint(c.n), Time: time.Now(), Events: list}
	b, err := k.Encode()
	if err != nil {
		c.t.Error(err)
	}
	c.frame(fmt.Sprintf(`{"type":"commit","commit":%s}`, b))
}

// shows writes a snapshot of the first step.
func (c *chatCall) shows(attempt int, text string) {
	s := events.Snapshot{ConversationID: "c1", RunID: "r1", Step: 1, Attempt: attempt, Text: text}
	c.frame(string(s.Append(nil)))
}

func (c *chatCall) cut() { c.frame("") }

// A chatServer answers a message only as it is told to: its chat calls give
// themselves, its cancels the path.
func chatServer(t *testing.T) (c *chatCmd, e *env, chats chan *chatCall, cancels chan string) {
	t.Helper()
	chats, cancels = make(chan *chatCall), make(chan string, 4)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/ana/chat", func(w http.ResponseWriter, r *http.Request) {
		// Only a request that has been read to its end is seen to go away.
		k := &chatCall{t: t, frames: make(chan string), gone: r.Context().Done()}
		if err := json.NewDecoder(r.Body).Decode(&k.body); err != nil {
			t.Error(err)
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Error(err)
		}
		select {
		case chats <- k:
		case <-k.gone:
			return
		}
		for {
			select {
			case f := <-k.frames:
				if f == "" {
					panic(http.ErrAbortHandler)
				}
				fmt.Fprintf(w, "data: %s\n\n", f)
				_ = http.NewResponseController(w).Flush() // a client that has left is part of the test
			case <-k.gone:
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
	return &chatCmd{Client: Client{URL: server.URL}, Reconnect: time.Minute}, e, chats, cancels
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
	for range 2 {
		<-prompt
		fmt.Fprintln(lines, "hello")
		k := <-chats
		k.say(events.MessageAccepted{MessageID: "m1", RunID: "r1", Text: "hello"})
		interrupt <- os.Interrupt
		if got := <-cancels; got != "r1" {
			t.Errorf("run %s was cancelled, want r1", got)
		}
		k.say(events.RunCancelled{RunID: "r1"})
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
		k := <-chats
		if accepted {
			k.say(events.MessageAccepted{MessageID: "m1", RunID: "r1", Text: "hello"})
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

// begun are the first commit of an answer and what is written of it so far.
func (c *chatCall) begun(text string) {
	c.t.Helper()
	c.say(events.MessageAccepted{MessageID: "m1", RunID: "r1", Text: "hello"}, events.RunStarted{RunID: "r1", MessageID: "m1"},
		events.StepStarted{RunID: "r1", Step: 1, Attempt: 1})
	c.shows(1, text)
}

func (c *chatCall) ended(attempt int, text string) {
	c.t.Helper()
	c.say(events.StepCompleted{RunID: "r1", Step: 1, Attempt: attempt, Text: text}, events.RunCompleted{RunID: "r1"})
}

// A connection that breaks in the middle of an answer costs nothing of it, and no
// word comes twice: not on the screen, and not into the log. What a later attempt
// says otherwise begins again, and says so.
func TestChatSurvivesALostConnection(t *testing.T) {
	t.Parallel()
	const again = "\n  (interrupted; beginning again)\n"
	for name, c := range map[string]struct {
		rest func(*chatCall)
		want string
	}{
		"mid-word": {func(k *chatCall) {
			k.begun("Good mor")
			k.shows(1, "Good morning, A")
			k.ended(1, "Good morning, Ana")
		}, "Good morning, Ana\n"},
		"over meanwhile": {func(k *chatCall) {
			k.say(events.MessageAccepted{MessageID: "m1", RunID: "r1", Text: "hello"}, events.StepStarted{RunID: "r1", Step: 1, Attempt: 1})
			k.ended(1, "Good morning, Ana")
		}, "Good morning, Ana\n"},
		"the same words again": {func(k *chatCall) {
			k.begun("Goo")
			k.shows(2, "Goo")
			k.shows(2, "Good morning")
			k.ended(2, "Good morning!")
		}, "Good morning!\n"},
		"other words": {func(k *chatCall) {
			k.begun("")
			k.shows(2, "Good")
			k.shows(2, "Good evening")
			k.ended(2, "Good evening.")
		}, "Good mor" + again + "Good evening.\n"},
		"fewer words": {func(k *chatCall) {
			k.begun("")
			k.ended(2, "Good")
		}, "Good mor" + again + "Good\n"},
		"stopped with more": {func(k *chatCall) {
			k.begun("")
			k.say(events.RunCancelled{RunID: "r1", Receipt: events.Receipt{Text: "Good morning"}})
		}, "Good morning\n  (stopped; 0 calls ran, 0 did not)\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd, e, chats, _ := chatServer(t)
			cmd.Message = []string{"hello"}
			var out, notes bytes.Buffer // read after the end
			e.stdout, e.stderr = &out, &notes
			done := make(chan error, 1)
			go func() { done <- cmd.chat(testkit.Context(t), e, nil, nil) }()
			first := <-chats
			first.begun("Good mor")
			first.cut()
			second := <-chats
			if !maps.Equal(first.body, second.body) || first.body["id"] == "" {
				t.Errorf("sent %v, then %v", first.body, second.body)
			}
			c.rest(second)
			if err := <-done; err != nil {
				t.Error(err)
			}
			if out.String() != c.want {
				t.Errorf("on the terminal %q, want %q", out.String(), c.want)
			}
			if want := "\n  (the connection to Parley is lost; your message is stored and its answer goes on; reconnecting)\n"; notes.String() != want {
				t.Errorf("said %q, want %q", notes.String(), want)
			}
		})
	}
}

// What a server says before it goes is told in its words, or in ours where it only leaves.
func TestChatTellsOfTrouble(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err     error
		passing bool
		want    string
	}{
		{awayError{io.ErrUnexpectedEOF}, true, "the connection to Parley is lost"},
		{&statusError{code: "draining", message: "This server is about to stop."}, true, "this Parley is stopping"},
		{&statusError{status: 503, code: "draining"}, true, "this Parley is stopping"},
		{&statusError{status: 504, code: "outcome_unknown", message: "Nobody knows."}, true, "Nobody knows"},
		{&statusError{code: "too_many", message: "You read too slowly. Resume."}, true, "You read too slowly. Resume"},
		{&statusError{status: 429, code: "too_many"}, false, ""},
		{&statusError{status: 404, code: "not_found"}, false, ""},
		{&statusError{code: "unreadable"}, false, ""},
		{errors.New("frame: nonsense"), false, ""},
	} {
		if got := passing(tt.err); got != tt.passing || got && trouble(tt.err) != tt.want {
			t.Errorf("%v: passing %t, %q", tt.err, got, trouble(tt.err))
		}
	}
}

// A server that does not come back is given up, with what is known of the message.
// Before it was ever reached, it is a wrong address.
func TestChatGivesUp(t *testing.T) {
	t.Parallel()
	for _, accepted := range []bool{true, false} {
		cmd, e, chats, _ := chatServer(t)
		cmd.Message, cmd.Reconnect = []string{"hello"}, time.Second
		done := make(chan error, 1)
		go func() { done <- cmd.chat(testkit.Context(t), e, nil, nil) }()
		k := <-chats
		want := "nobody said whether your message was stored"
		if accepted {
			k.begun("Good mor")
			want = "your message is stored and its answer goes on, see it with parley chat --conversation c1"
		}
		k.cut()
		for err := error(nil); err == nil; {
			select {
			case k := <-chats:
				k.cut()
			case err = <-done:
				if accepted && !strings.HasPrefix(err.Error(), "gave up after 1s: ") || !strings.HasSuffix(err.Error(), want) {
					t.Errorf("accepted %t: %v", accepted, err)
				}
			}
		}
	}
	cmd, e, _, _ := chatServer(t)
	cmd.URL, cmd.Message = "http://127.0.0.1:1", []string{"hello"}
	if err := cmd.chat(testkit.Context(t), e, nil, nil); err == nil || !strings.HasPrefix(err.Error(), "cannot reach Parley at http://127.0.0.1:1: ") || strings.Contains(err.Error(), "stored") {
		t.Error(err)
	}
}

// Ctrl-C while the server is away stops the answer once it is back, and a second
// one leaves at once.
func TestInterruptWhileParleyIsAway(t *testing.T) {
	t.Parallel()
	for _, leaves := range []bool{false, true} {
		cmd, e, chats, cancels := chatServer(t)
		cmd.Message = []string{"hello"}
		lost := make(chan struct{}, 8)
		e.stderr = writerFunc(func([]byte) { lost <- struct{}{} })
		interrupt, done := make(chan os.Signal), make(chan error, 1)
		go func() { done <- cmd.chat(testkit.Context(t), e, nil, interrupt) }()
		k := <-chats
		k.begun("Good mor")
		k.cut()
		<-lost
		interrupt <- os.Interrupt
		if leaves {
			interrupt <- os.Interrupt
			if err := <-done; !errors.Is(err, errLeft) {
				t.Errorf("the chat ended with %v", err)
			}
			continue
		}
		k = <-chats
		if got := <-cancels; got != "r1" {
			t.Errorf("run %s was cancelled, want r1", got)
		}
		k.begun("Good mor")
		k.say(events.RunCancelled{RunID: "r1", Receipt: events.Receipt{Text: "Good mor"}})
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

type writerFunc func([]byte)

func (f writerFunc) Write(b []byte) (int, error) {
	f(b)
	return len(b), nil
}
