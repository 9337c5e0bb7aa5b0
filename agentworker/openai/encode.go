package openai

import "github.com/go-json-experiment/json/jsontext"

// encode returns the body of a request. go-openai's own encoder runs each
// message through encoding/json twice and compacts the outcome: with a history
// at its bound that took 1.1 ms instead of 0.15, before the first piece of every answer.
func encode(req Request) []byte {
	size := 1 << 10
	for _, m := range req.Messages {
		size += len(m.Text) + len(m.Text)/8 + 64
	}
	b := make([]byte, 0, size)
	b = text(append(b, `{"model":`...), req.Model)
	b = append(b, `,"stream":true,"stream_options":{"include_usage":true},"messages":[`...)
	for i, m := range req.Messages {
		if i > 0 {
			b = append(b, ',')
		}
		b = message(b, m)
	}
	b = append(b, ']')
	for i, t := range req.Tools {
		if i == 0 {
			b = append(b, `,"tools":[`...)
		} else {
			b = append(b, ',')
		}
		b = text(append(b, `{"type":"function","function":{"name":`...), t.Name)
		if t.Description != "" {
			b = text(append(b, `,"description":`...), t.Description)
		}
		b = append(append(b, `,"parameters":`...), t.Schema...)
		b = append(b, `}}`...)
	}
	if len(req.Tools) > 0 {
		b = append(b, ']')
	}
	return append(b, '}')
}

func message(b []byte, m Message) []byte {
	b = text(append(b, `{"role":`...), m.Role)
	if m.Text != "" {
		b = text(append(b, `,"content":`...), m.Text)
	}
	for i, t := range m.ToolCalls {
		if i == 0 {
			b = append(b, `,"tool_calls":[`...)
		} else {
			b = append(b, ',')
		}
		b = text(append(b, `{"id":`...), t.CallID)
		b = text(append(b, `,"type":"function","function":{"name":`...), t.Name)
		b = text(append(b, `,"arguments":`...), t.Arguments)
		b = append(b, `}}`...)
	}
	if len(m.ToolCalls) > 0 {
		b = append(b, ']')
	}
	if m.CallID != "" {
		b = text(append(b, `,"tool_call_id":`...), m.CallID)
	}
	return append(b, '}')
}

func text(b []byte, s string) []byte {
	// The only error is invalid UTF-8, which is replaced in the output.
	b, _ = jsontext.AppendQuote(b, s)
	return b
}
