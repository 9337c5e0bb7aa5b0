package events

import "github.com/go-json-experiment/json/jsontext"

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
