package events

import (
	"crypto/sha256"

	"github.com/go-json-experiment/json/jsontext"
)

// A Tool is something that can be called, as its server describes it.
type Tool struct {
	Server      string
	Name        string
	Description string
	// Schema is the JSON Schema of the arguments.
	Schema jsontext.Value
	// PeopleOnly hides the tool from models: only a person may call it, by hand.
	PeopleOnly bool
}

// CallHash identifies what is called with what, as the ledger of tool calls
// keeps it: the order of members and white space of the arguments do not count.
func CallHash(server, name string, arguments jsontext.Value) []byte {
	args := arguments.Clone()
	if args.Canonicalize() != nil {
		args = arguments // no valid JSON: its bytes stand for themselves
	}
	sum := sha256.Sum256([]byte(server + "\x00" + name + "\x00" + string(args)))
	return sum[:]
}
