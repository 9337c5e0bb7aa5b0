package embedded

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const endpointName = "endpoint.json"

// Endpoint is how other processes of the same user reach a running Parley:
// workers that join it, and clients that look for it.
type Endpoint struct {
	// PID is the running Parley; WriteEndpoint fills it in.
	PID int `json:"pid"`
	// HTTPURL is the page and the API.
	HTTPURL string `json:"http_url"`
	// NATS is the message server.
	NATS NATSAccess `json:"nats"`
	// DatabaseURL is the app role's, DatabaseDirectURL the owner's.
	DatabaseURL       string `json:"database_url"`
	DatabaseDirectURL string `json:"database_direct_url"`
	// Settings is what else a joining role needs to know, by flag name.
	Settings map[string]string `json:"settings,omitempty"`
}

// ErrNotRunning is what ReadEndpoint returns when nobody is home.
var ErrNotRunning = errors.New("no parley is running")

// WriteEndpoint announces this process in its data directory.
func WriteEndpoint(dir string, e Endpoint) error {
	e.PID = os.Getpid()
	data, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return err
	}
	return writeAtomic(filepath.Join(dir, endpointName), append(data, '\n'))
}

// RemoveEndpoint takes the announcement back; there may be none.
func RemoveEndpoint(dir string) error {
	err := os.Remove(filepath.Join(dir, endpointName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// ReadEndpoint returns how to reach the Parley that runs on a data directory.
// The file alone proves nothing, it outlives a kill: a Parley runs if it holds
// the lock.
func ReadEndpoint(dir string) (Endpoint, error) {
	pid, held, err := holder(dir)
	if err != nil {
		return Endpoint{}, fmt.Errorf("data directory %s: %w", dir, err)
	}
	if !held {
		return Endpoint{}, fmt.Errorf("%w on data directory %s: start one with parley dev, or name another with --data-dir", ErrNotRunning, dir)
	}
	file := filepath.Join(dir, endpointName)
	data, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Endpoint{}, err
	}
	var e Endpoint
	if err == nil {
		if err := json.Unmarshal(data, &e); err != nil {
			return Endpoint{}, fmt.Errorf("%s: %w", file, err)
		}
	}
	if err != nil || e.PID != pid {
		return Endpoint{}, fmt.Errorf("%w yet on data directory %s: the one there is starting or stopping; try again", ErrNotRunning, dir)
	}
	return e, nil
}
