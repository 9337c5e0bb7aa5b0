package edge

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/parleychat/parley/events"
)

// The checks of what strangers send, one place for HTTP and WebSocket. Nothing
// reaches a subject, a stream or a query before it has passed.

func checkText(what, s string, maxRunes int) *apiError {
	switch {
	case strings.ContainsRune(s, 0):
		return invalidMessage(what + " must not contain U+0000.")
	case utf8.RuneCountInString(s) > maxRunes:
		return invalidMessage(fmt.Sprintf("%s may have %d characters; this has %d.", what, maxRunes, utf8.RuneCountInString(s)))
	case strings.IndexFunc(s, func(r rune) bool { return !unicode.IsSpace(r) }) < 0:
		return invalidMessage(what + " is empty.")
	}
	return nil
}

func checkID[T ~string](what string, id T) *apiError {
	if !events.ValidID(id) {
		return badRequest(what + " must have 1 to 64 letters, digits, \"_\" or \"-\".")
	}
	return nil
}

// checkMessage checks all that a message may say about itself.
func (e *Edge) checkMessage(m events.Message) *apiError {
	if err := checkText("The message", m.Text, events.MaxMessageRunes); err != nil {
		return err
	}
	if m.ParentID != "" {
		if err := checkID("parent_id", m.ParentID); err != nil {
			return err
		}
	}
	return e.checkModel(m.Model, m.Timezone)
}

// interrupts says what becomes of the active run when a message comes: whenBusy
// is "queue", "interrupt", or empty for what is configured.
func (e *Edge) interrupts(whenBusy string) (bool, *apiError) {
	switch whenBusy {
	case "":
		return e.o.Interrupt, nil
	case "queue", "interrupt":
		return whenBusy == "interrupt", nil
	}
	return false, badRequest("when_busy must be \"queue\" or \"interrupt\".")
}

func (e *Edge) checkModel(model, timezone string) *apiError {
	if model != "" && model != e.o.Model.Name && !slices.Contains(e.o.Models, model) {
		return invalidMessage("This model is not offered here. Leave \"model\" out for the usual one.")
	}
	if timezone == "" {
		return nil
	}
	if len(timezone) > 64 || timezone == "Local" {
		return invalidMessage("The timezone must be a name such as Europe/Berlin.")
	}
	if _, err := time.LoadLocation(timezone); err != nil {
		return invalidMessage("The timezone must be a name such as Europe/Berlin.")
	}
	return nil
}

func checkRating(rating, reason string) *apiError {
	switch rating {
	case events.RatedUp, events.RatedDown, events.RatedNone:
	default:
		return badRequest("rating must be \"up\", \"down\" or \"none\".")
	}
	if reason == "" {
		return nil
	}
	return checkText("The reason", reason, events.MaxReasonRunes)
}

// toolCall checks a call by hand and returns it with its tool's server.
func (e *Edge) toolCall(name string, arguments jsontext.Value) (events.CallTool, *apiError) {
	i := slices.IndexFunc(e.o.Tools, func(t events.Tool) bool { return t.Name == name })
	if i < 0 {
		return events.CallTool{}, refuse(422, codeUnknownTool, "There is no tool of this name.")
	}
	if len(arguments) == 0 {
		arguments = jsontext.Value(`{}`)
	}
	if arguments.Kind() != '{' {
		return events.CallTool{}, badRequest("arguments must be a JSON object.")
	}
	if len(arguments) > events.MaxArguments {
		return events.CallTool{}, refuse(413, codeTooLarge, "The arguments of a tool call may have 64 KiB.")
	}
	if hasNUL(arguments) {
		return events.CallTool{}, badRequest("arguments must not contain U+0000.")
	}
	return events.CallTool{Server: e.o.Tools[i].Server, Name: name, Arguments: arguments}, nil
}

// hasNUL looks for an escaped U+0000; a raw one is no JSON. Postgres holds neither.
func hasNUL(v jsontext.Value) bool {
	for i := 0; i+1 < len(v); i++ {
		if v[i] != '\\' {
			continue
		}
		if v[i+1] == 'u' && i+6 <= len(v) && string(v[i+2:i+6]) == "0000" {
			return true
		}
		i++
	}
	return false
}

// freshFor is how long after a client made an id the broker is sure to know it.
// It remembers ids for five minutes.
const freshFor = 4 * time.Minute

// fresh reports whether id tells by itself that it was made so lately that a
// first use would still be known to the broker: only UUIDv7s do. An older one,
// and one that a key was hashed into, is looked up before it is used.
func fresh(id string, now time.Time) bool {
	u, err := uuid.Parse(id)
	if err != nil || u.Version() != 7 {
		return false
	}
	age := now.Sub(time.Unix(u.Time().UnixTime()))
	return -30*time.Second < age && age < freshFor
}

// newID returns an id of ours, a UUIDv7.
func newID() string { return uuid.Must(uuid.NewV7()).String() }

// parseTaskID reads a task's number in its one spelling.
func parseTaskID(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n > 0 && strconv.FormatInt(n, 10) == s
}
