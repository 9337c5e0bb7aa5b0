package openai

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	api "github.com/sashabaranov/go-openai"

	"github.com/parleychat/parley/events"
)

// kept ends every sentence about a failure: the person should know that nothing is lost.
const kept = " Your message is saved; you can ask again."

func cut(err error) *Error {
	return &Error{Code: events.FailModel, Message: "The model's answer broke off." + kept, Cut: true, Err: err}
}

func garbage(what string) *Error {
	return &Error{Code: events.FailModel, Message: what + kept}
}

// broken says what an error in the middle of a stream means.
func broken(err error) *Error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	var said *api.APIError
	switch {
	case errors.As(err, &syntax), errors.As(err, &kind):
		return &Error{Code: events.FailModel, Message: "The model's answer could not be read." + kept, Err: err}
	case errors.Is(err, errTooLong):
		return &Error{Code: events.FailModel, Message: "The model's answer was too long." + kept, Err: err}
	case errors.As(err, &said):
		// An error in place of the rest of the answer: overload, mostly.
		return cut(errors.New("error event in the stream"))
	}
	return cut(err)
}

type failure struct {
	err   *Error
	retry bool
}

// classify says what a call that gave no stream means.
func classify(err error, note *response) failure {
	cause := errors.Join(fmt.Errorf("status %d", note.status), note.cause())
	switch s := note.status; {
	case s == 0 || s == http.StatusOK:
		return failure{&Error{Code: events.FailModel, Message: "The model could not be reached." + kept, Err: errors.Join(err, note.cause())}, true}
	case s == http.StatusUnauthorized || s == http.StatusForbidden:
		// The provider's words may quote the key.
		return failure{&Error{Code: events.FailModelAuth, Message: "The model refused this server's credentials; its operator must set a valid key.", Err: cause}, false}
	case s == http.StatusTooManyRequests:
		return failure{&Error{Code: events.FailModelBusy, Message: "The model is limiting requests at the moment." + kept, Err: cause}, true}
	case s == http.StatusRequestTimeout || s == http.StatusConflict || s >= 500:
		return failure{&Error{Code: events.FailModelBusy, Message: fmt.Sprintf("The model's server had an error (%d).", s) + kept, Err: cause}, true}
	default:
		return failure{&Error{Code: events.FailModel, Message: fmt.Sprintf("The model refused the request (%d)%s.", s, detail(err)), Err: cause}, false}
	}
}

// detail returns a provider's own short reason, such as an unknown model name.
func detail(err error) string {
	var said *api.APIError
	if !errors.As(err, &said) || said.Message == "" {
		return ""
	}
	text := strings.Join(strings.Fields(strings.ToValidUTF8(said.Message, "")), " ")
	if r := []rune(text); len(r) > 200 {
		text = string(r[:200]) + "…"
	}
	return ": " + strings.TrimSuffix(text, ".")
}
