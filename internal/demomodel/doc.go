// Package demomodel is the model that answers when nobody configured one: a set
// of rules behind an OpenAI-compatible HTTP handler. It is no language model and
// says so in the first answer of every conversation.
//
// New returns the handler. It serves POST /v1/chat/completions, streaming or not,
// and GET /v1/models, and is reached over loopback by the client library that
// reaches any other model, so that nothing in Parley knows which one it talks to.
// It sees what such a server always sees, the messages and the tools offered, and
// acts only through these tools.
//
// Answers are a pure function of the request: no clock, no random numbers, no
// state between requests. What it needs to know of earlier turns ("it", "the
// first one", "yes") it reads from the messages again. "Tomorrow" counts from
// the system prompt's line "Today is 2026-11-23 (Monday), timezone Europe/Rome.";
// without this line relative dates stay words in the title.
//
// A turn has at most three model calls, and each is one phase of a plan made
// from the person's words alone: look the tasks up if words must be matched, then
// change them, all in parallel, then list them if that was asked too. The closing
// text is written from the tools' results and from nothing else.
//
// # What it understands
//
// English sentences about tasks: add one or several, with a due date or a note;
// list, search, count; complete, delete, rename, move to another date, by number,
// by words, by place in the list last shown or by "it" and "them"; corrections
// ("no, I meant bread"), "undo". It asks back before it deletes or completes
// everything, when several tasks match, and when it did not understand.
//
// # Verbs for testing
//
// A message that begins with a slash makes the model behave like a provider on a
// good or a bad day:
//
//	/help                  what it understands
//	/long 500              exactly 500 words of text
//	/slow, /slow 20        20 words at two per second
//	/error 429             that HTTP error (400 to 599); 429 and 503 carry
//	                       Retry-After: 1, or the seconds given: /error 429 5
//	/tool name {json}      exactly this call, offered or not; several lines that
//	                       begin with /tool are parallel calls
//	/cut                   a stream that ends in the middle, without finish_reason;
//	                       /cut hard breaks the connection instead
//	/empty                 an answer without a word
//	/garbage               a stream that is not JSON
//
// Like real providers it refuses a history in which an assistant's tool call has
// no result: a caller that passes here passes there.
package demomodel
