package edge

import (
	"net/http"
	"slices"
	"time"

	"github.com/parleychat/parley/events"
)

// Media types of an export.
const (
	mediaJSONLines = "application/jsonl"
	mediaMarkdown  = "text/markdown"
)

// exportPage is how many commits an export reads at once.
const exportPage = 200

// export answers a whole conversation as a file. It ends with the commit that
// was the newest when it began, or with ?at=.
func (c *call) export() error {
	r, err := c.ref()
	if err != nil {
		return err
	}
	format := c.r.URL.Query().Get("format")
	if format == "" {
		format = "jsonl"
	}
	if format != "jsonl" && format != "markdown" {
		return badRequest("format must be jsonl or markdown.")
	}
	at, err := c.number("at")
	if err != nil {
		return err
	}
	end, err := c.newest(r)
	if err != nil {
		return err
	}
	if at > 0 {
		end = min(end, at)
	}
	x := &exporting{c: c, name: string(r.Conversation())}
	if format == "jsonl" {
		return x.lines(r, end)
	}
	return x.markdown(r, end)
}

// newest returns the n of a conversation's newest commit, 0 if it has none yet.
func (c *call) newest(r events.Ref) (uint64, error) {
	if _, _, err := c.commits(r, 0, 1); err != nil { // says what is unknown
		return 0, err
	}
	last, ok, err := c.e.o.Log.Last(c.r.Context(), r)
	if err != nil {
		return 0, unavailable("The event log", err)
	}
	if !ok {
		return 0, nil
	}
	return last.N, nil
}

// An exporting is an answer that is written while the conversation is read.
type exporting struct {
	c     *call
	name  string
	begun bool
}

// each reads the commits up to end. An error after the answer has begun cuts it
// off, so that nobody takes a part for the whole.
func (x *exporting) each(r events.Ref, end uint64, f func(raw []byte, k *events.Commit) error) error {
	for n := uint64(0); n < end; {
		list, _, err := x.c.commits(r, n, exportPage)
		if err != nil {
			return x.fail(err)
		}
		if len(list) == 0 {
			return x.fail(unavailable("The event log", errAhead))
		}
		for _, s := range list {
			if s.N > end {
				return nil
			}
			if err := f(s.Raw, s.Commit); err != nil {
				return x.fail(err)
			}
			n = s.N
		}
	}
	return nil
}

func (x *exporting) fail(err error) error {
	if x.begun {
		x.c.e.o.Logger.Warn("export cut", "request_id", requestID(x.c.r), "err", err)
		panic(http.ErrAbortHandler)
	}
	return err
}

// begin sends the head of the answer.
func (x *exporting) begin(media, extension string) {
	h := x.c.w.Header()
	h.Set("Content-Type", media+"; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="`+x.name+extension+`"`) // an id needs no quoting
	x.begun = true
	x.c.w.WriteHeader(http.StatusOK)
}

// Write lets a slow reader take its time, but not for ever.
func (x *exporting) Write(b []byte) (int, error) {
	_ = http.NewResponseController(x.c.w).SetWriteDeadline(time.Now().Add(writeTimeout))
	return x.c.w.Write(b)
}

// lines writes the commits as they are stored, one a line.
func (x *exporting) lines(r events.Ref, end uint64) error {
	if end == 0 {
		x.begin(mediaJSONLines, ".jsonl")
	}
	return x.each(r, end, func(raw []byte, _ *events.Commit) error {
		if !x.begun {
			x.begin(mediaJSONLines, ".jsonl")
		}
		_, err := x.Write(append(slices.Clip(raw), '\n'))
		return err
	})
}

// markdown writes the conversation as a text to read.
func (x *exporting) markdown(r events.Ref, end uint64) error {
	conversation := events.NewConversation(r)
	err := x.each(r, end, func(_ []byte, k *events.Commit) error { return conversation.Apply(k) })
	if err != nil {
		return err
	}
	x.begin(mediaMarkdown, ".md")
	if err := writeMarkdown(x, conversation); err != nil {
		return x.fail(err)
	}
	return nil
}
