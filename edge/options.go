package edge

import (
	"errors"
	"io/fs"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parleychat/parley/auth"
	"github.com/parleychat/parley/eventlog"
	"github.com/parleychat/parley/events"
)

// A Model is what the page shows about who answers.
type Model struct {
	// Name is what a message may ask for; a message that asks for nothing gets it.
	Name string `json:"name"`
	// Label is for people. Default: Name.
	Label string `json:"label"`
	// Demo says that rules answer and no AI.
	Demo bool `json:"demo"`
}

// Options configure an Edge. Log, Queries and Verifier have no default.
type Options struct {
	// Addr is where people's requests are answered. Default: 127.0.0.1:0.
	Addr string
	// AdminAddr is where metrics and profiles are; nothing there asks who you
	// are. Default: no such listener.
	AdminAddr string
	// Collectors are metrics of the process to tell beside the edge's own. Default: none.
	Collectors []prometheus.Collector
	// Log carries commands in and commits out.
	Log *eventlog.Log
	// Queries are the reads from Postgres.
	Queries Queries
	// Verifier says whose token it is.
	Verifier *auth.Verifier
	// DevIssuer hands out tokens to callers on this machine. Default: none.
	DevIssuer *auth.DevIssuer
	// Origins are the web pages that may call. Default: none.
	Origins *auth.Origins
	// Page holds the built page: index.html and assets/. Default: a notice that
	// the page is not built.
	Page fs.FS
	// Model answers messages.
	Model Model
	// Models are the names that a message may ask for beside Model.Name.
	Models []string
	// Interrupt lets a message stop the active run of its conversation, unless it
	// says otherwise. Default: it is queued.
	Interrupt bool
	// Tools may be called by hand, see [events.CallTool].
	Tools []events.Tool
	// TaskServer is the tool server whose results carry task rows. Default: tasks.
	TaskServer string
	// ServerVersion is shown to clients, which offer to reload when it changes.
	ServerVersion string
	// Logger is told about lifecycle and trouble, never about what people write.
	// Default: none.
	Logger *slog.Logger
	// Clock tells the time for tokens and ids. Default: time.Now.
	Clock func() time.Time
	// Linger is how long a stopping edge still lets requests in, to tell them to
	// go elsewhere: a load balancer needs a moment to see that it is not ready, and
	// whoever is on the way would find the connection cut. Default: 0.
	Linger time.Duration
	// Grace is how long it then waits for requests in flight. Default: 10 s.
	Grace time.Duration
}

func (o Options) withDefaults() (Options, error) {
	switch {
	case o.Log == nil:
		return o, errors.New("edge: Log must be set")
	case o.Queries == nil:
		return o, errors.New("edge: Queries must be set")
	case o.Verifier == nil:
		return o, errors.New("edge: Verifier must be set")
	}
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	if o.Model.Label == "" {
		o.Model.Label = o.Model.Name
	}
	if o.TaskServer == "" {
		o.TaskServer = "tasks"
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Grace <= 0 {
		o.Grace = 10 * time.Second
	}
	return o, nil
}
