package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"github.com/parleychat/parley/internal/embedded"
)

// Logging is how every command logs.
type Logging struct {
	LogFormat string `help:"Log as text or json." enum:"auto,text,json" default:"auto" group:"Logging"`
	LogLevel  string `help:"Least level to log: debug, info, warn or error." enum:"auto,debug,info,warn,error" default:"auto" group:"Logging"`
}

// logger returns the logger of a command. Roles and provision tell what they do in
// a log; the others show it themselves, and log only what needs a look unless asked
// for more.
func (l Logging) logger(w io.Writer, command string) (*slog.Logger, error) {
	level := slog.LevelWarn
	if l.LogLevel == "auto" {
		switch command {
		case "edge", "agentworker", "toolworker", "recorder", "provision", "nats":
			level = slog.LevelInfo
		}
	} else if err := level.UnmarshalText([]byte(l.LogLevel)); err != nil {
		return nil, usagef("--log-level: %w", err)
	}
	o := &slog.HandlerOptions{Level: level}
	if l.LogFormat == "text" || l.LogFormat == "auto" && isTerminal(w) {
		return slog.New(slog.NewTextHandler(w, o)), nil
	}
	return slog.New(slog.NewJSONHandler(w, o)), nil
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// Model is where answers come from.
type Model struct {
	OpenaiBaseURL string `name:"openai-base-url" env:"OPENAI_BASE_URL" help:"Base URL of an OpenAI-compatible model server; the key is read from OPENAI_API_KEY or the file OPENAI_API_KEY_FILE." group:"Model"`
	Model         string `env:"OPENAI_MODEL" help:"Name of the model that answers." group:"Model"`
	SystemPrompt  string `help:"File with the system prompt; default: the built-in one." type:"path" group:"Model"`
}

// Join is how a role reaches NATS and Postgres.
type Join struct {
	NatsURL           string        `name:"nats-url" help:"URL of NATS with JetStream; user and password may stand in it." group:"Servers"`
	DatabaseURL       string        `help:"URL of Postgres 15 to 18, if pooled with --database-direct-url beside it; dev starts a private one without it." group:"Servers"`
	DatabaseDirectURL string        `help:"URL of Postgres that passes no pooler, for migrations, verify and rebuild; default: --database-url." group:"Servers"`
	Join              string        `help:"Data directory of a running parley dev on this machine to take all of this from." type:"path" group:"Servers"`
	Wait              time.Duration `help:"How long to wait at start for NATS, Postgres, parley provision or a parley dev that is not there yet." default:"30s" group:"Servers"`
}

// resolve fills in what --join provides and returns the endpoint's other
// settings. Without NATS to be needed, the endpoint may have none.
func (j *Join) resolve(ctx context.Context, p patience, needNATS bool) (embedded.Endpoint, error) {
	if j.Join == "" {
		if needNATS && j.NatsURL == "" {
			return embedded.Endpoint{}, usagef("set --nats-url (PARLEY_NATS_URL), or --join with the data directory of a running parley dev")
		}
		if j.DatabaseURL == "" {
			return embedded.Endpoint{}, usagef("set --database-url (PARLEY_DATABASE_URL), or --join with the data directory of a running parley dev")
		}
		if j.DatabaseDirectURL == "" {
			j.DatabaseDirectURL = j.DatabaseURL
		}
		return embedded.Endpoint{NATS: embedded.NATSAccess{URL: j.NatsURL}}, nil
	}
	if j.NatsURL != "" || j.DatabaseURL != "" || j.DatabaseDirectURL != "" {
		return embedded.Endpoint{}, usagef("--join cannot be combined with --nats-url, --database-url or --database-direct-url")
	}
	// A folder that is not there may be a slip; one that is waits for its parley.
	if _, err := os.Stat(j.Join); err != nil {
		return embedded.Endpoint{}, usagef("--join: %w", err)
	}
	ep, err := p.endpoint(ctx, j.Join)
	if err != nil {
		return ep, fmt.Errorf("join %s: %w", j.Join, err)
	}
	j.NatsURL, j.DatabaseURL, j.DatabaseDirectURL = ep.NATS.URL, ep.DatabaseURL, ep.DatabaseDirectURL
	p.e.logger.Info("joined", "data_dir", j.Join, "pid", ep.PID)
	return ep, nil
}

// secret returns an environment variable, or the content of the file that its
// …_FILE twin names, without the line end.
func (e *env) secret(name string) (string, error) {
	value, ok := e.lookup(name)
	file, fromFile := e.lookup(name + "_FILE")
	switch {
	case ok && value != "" && fromFile && file != "":
		return "", usagef("set %s or %s_FILE, not both", name, name)
	case fromFile && file != "":
		b, err := os.ReadFile(file)
		if err != nil {
			return "", usagef("%s_FILE: %w", name, err)
		}
		return strings.TrimRight(string(b), "\r\n"), nil
	}
	return value, nil
}

// loopback reports whether addr can be reached from this machine only.
func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
