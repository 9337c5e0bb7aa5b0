// Package auth answers one question: who is asking.
//
// Three things live here. A Verifier turns a bearer token into an Identity: it
// checks a JSON Web Token against the keys that the configured issuer publishes,
// and keeps those keys fresh. Start with New and Verify; BearerToken takes the
// token out of a request. Origins is the domain allowlist: which web pages may
// call the API at all. DevIssuer stands in for the real issuer on a developer's
// machine and hands out tokens to loopback callers only.
//
// # What the Verifier promises
//
// Only EdDSA signatures of keys found at Options.JWKSURL count; whatever a token
// says about where to find its key is ignored. A token is taken as it stands or
// not at all: no second encoding of the same token, no claim that only looks like
// the wanted one, no claim twice. Known keys keep working while the issuer is away
// or answers nonsense, for a day; after that the answer is "unavailable", never
// "you are not signed in". A flood of tokens with made-up key ids costs the issuer
// one request in two seconds and costs people with good tokens nothing.
//
// # Errors
//
// Every error meant for a caller is a *Refusal: HTTP status, code and sentence for
// the stranger, a reason for the log. None of them repeats anything the stranger
// sent. Sort them with errors.Is and ErrUnauthenticated, ErrUnavailable,
// ErrForbidden, ErrBadRequest.
//
// # What it leaves to others
//
// The edge compares Identity.UserID with the path, ends sockets when a token runs
// out, and remembers revoked session ids: a signature is good until it expires.
package auth
