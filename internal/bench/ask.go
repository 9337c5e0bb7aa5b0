package bench

import (
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
)

// An ask is what a client wants from the model. It travels as the text of the
// person's message, so the model finds it whatever lies in between.
type ask struct {
	// Key names the answer in the model's book.
	Key string `json:"bench"`
	// Tokens at Rate per second, each Size bytes long; rate 0 is as fast as it can.
	Tokens int     `json:"tokens"`
	Rate   float64 `json:"rate,omitzero"`
	Size   int     `json:"size"`
	// DelayMS passes before the first token.
	DelayMS int `json:"delay_ms,omitzero"`
	// Tool asks for one tool call before the answer.
	Tool bool `json:"tool,omitzero"`
}

// tokenSize is about that of an English token.
const tokenSize = 6

func (a ask) text() string {
	b, err := json.Marshal(a)
	if err != nil {
		return "" // never: it holds nothing that cannot be encoded
	}
	return string(b)
}

// parseAsk reads the text of a message; ok is false if no bench wrote it.
func parseAsk(text string) (a ask, ok bool) {
	if !strings.HasPrefix(text, `{"bench":`) || json.Unmarshal([]byte(text), &a) != nil {
		return ask{}, false
	}
	return a, a.Key != "" && a.Tokens > 0 && a.Tokens <= maxTokens && a.Size >= 4 && a.Size <= 8<<10
}

// maxTokens bounds one answer.
const maxTokens = 50_000

// appendToken appends token i: its number in base 36, zeros before it, a blank
// behind it.
func appendToken(dst []byte, i, size int) []byte {
	var digits [16]byte
	number := strconv.AppendInt(digits[:0], int64(i), 36)
	for range size - 1 - len(number) {
		dst = append(dst, '0')
	}
	return append(append(dst, number...), ' ')
}

// count compares an answer with what the model wrote: the tokens that are not
// there, and those that are there more than once or should not be there.
func (a ask) count(text string) (lost, doubled int) {
	seen := make([]bool, a.Tokens)
	there := 0
	for piece := range strings.FieldsSeq(text) {
		i, err := strconv.ParseInt(piece, 36, 64)
		if err != nil || len(piece) != a.Size-1 || i < 0 || int(i) >= a.Tokens || seen[i] {
			doubled++
			continue
		}
		seen[i] = true
		there++
	}
	return a.Tokens - there, doubled
}
