// Package openai calls a model behind an OpenAI-compatible chat completions API:
// OpenAI, Azure's v1 API, vLLM, Ollama, llama.cpp, or Parley's demo model.
//
// [Client.Stream] makes one call, passes the text on as it comes, and returns
// the whole [Completion] or an [*Error] that says whether another attempt can
// help. It retries what failed before the first byte, with backoff and the
// provider's Retry-After, and tolerates what providers do to the protocol.
// What a model sends is data: names, ids and arguments are bounded here and
// checked by the caller.
package openai
