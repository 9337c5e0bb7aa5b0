// Package bench measures a whole Parley from outside: how long a message takes
// to its first piece of answer, how long a piece takes from the model's write to
// a client's read, what that costs, and that nothing is lost or doubled.
//
// Start from [Run]. It starts a NATS server, a PostgreSQL and every role as
// processes of their own, and beside them a floor: a bare WebSocket proxy to the
// same model, measured at the same level in the same run. The model and all
// clients live in this process, so that one monotonic clock stamps both ends.
// Every token of the model is a number, so a reader can tell when it was written
// and whether one is missing or there twice.
//
// What it keeps: load has an end by itself, goes over loopback only, and every
// process that was started is gone when Run returns. Numbers come with what the
// machine did meanwhile: the time of an fsync and the share of the processors
// that others took. On a machine that is not calm a comparison gives no verdict.
//
// It leaves to the caller: how a role is started (a command line), who may talk
// to a Parley that runs already (a token), and where lines and tables go.
package bench
