package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

type tokenCmd struct {
	Client `embed:""`
}

// Run prints a token for --user.
func (c *tokenCmd) Run(ctx context.Context, e *env) error {
	a, err := c.caller(ctx, e)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(e.stdout, a.token)
	return err
}

// subject returns the person that a token names. It is only for the path of a
// request; the server verifies.
func subject(token string) (string, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return "", errors.New("not a JSON Web Token")
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return "", errors.New("not a JSON Web Token")
	}
	var claims struct {
		Sub string `json:"sub"`
	}
	if err := json.Unmarshal(b, &claims); err != nil || claims.Sub == "" {
		return "", errors.New("the token names nobody")
	}
	return claims.Sub, nil
}
