package main

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

type healthcheckCmd struct {
	URL string `arg:"" optional:"" help:"Address to ask." default:"http://127.0.0.1:7420/readyz"`
}

// Run asks the address once. It is the container's health check: the image
// holds no other program.
func (c *healthcheckCmd) Run(ctx context.Context, _ *env) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL, nil)
	if err != nil {
		return usageError{err}
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("healthcheck: %w", err)
	}
	if err := res.Body.Close(); err != nil {
		return fmt.Errorf("healthcheck: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("healthcheck: %s answered %s", c.URL, res.Status)
	}
	return nil
}
