package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"mp3converter/internal/testserver"
)

// What validate asks: so many at once, over connections that stay, as gateways do.
const (
	validators = 16
	validates  = 2000 // of either side in a turn
	turns      = 8    // of either side in a round
)

// measureValidate compares auth's answer about a token with a bare net/http server that knows it by heart.
func measureValidate(ctx context.Context, b *bench) (table, error) {
	t := table{Title: "Validate, against a bare net/http server that answers the same bytes", Base: "bare", Notes: []string{
		fmt.Sprintf("requests for each second of the server's own processor time; %d at once, keep-alive, %d requests of either side", validators, b.Rounds*turns*validates),
	}}
	s, err := b.newStand(ctx)
	if err != nil {
		return t, err
	}
	defer s.close()
	body, err := s.user.claims(ctx, s.authAddr)
	if err != nil {
		return t, s.blame(err)
	}
	plain, addr, err := b.plain(ctx, body)
	if err != nil {
		return t, err
	}
	defer plain.stop()
	var bare, ours samples
	for range b.Rounds * turns {
		for _, side := range []struct {
			pid  int
			addr string
			to   *samples
		}{{plain.pid, addr, &bare}, {s.auth.pid, s.authAddr, &ours}} {
			used, err := spent(func() error { return s.user.validateMany(ctx, side.addr, validates) }, side.pid)
			if err != nil {
				return t, s.blame(err)
			}
			*side.to = append(*side.to, validates/used.Seconds())
		}
	}
	b.say("validate: bare %.0f/s, ours %.0f/s", bare.median(), ours.median())
	t.Rows = []row{
		compared("validate", "/s", bare, ours),
		value("  of auth's CPU", ours.median(), "%.0f /s").against(atLeast(10_000)),
	}
	return t, nil
}

// plain builds and runs the bare server.
func (b *bench) plain(ctx context.Context, body string) (*program, string, error) {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(b.programs, "plain"), "mp3converter/internal/bench/plain")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, "", fmt.Errorf("build plain: %w: %s", err, out)
	}
	addr, err := testserver.FreeAddr()
	if err != nil {
		return nil, "", err
	}
	p, err := b.run(ctx, "plain", "LISTEN="+addr, "BODY="+body)
	return p, addr, err
}

// claims asks auth about the client's token.
func (c *client) claims(ctx context.Context, authAddr string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+authAddr+"/validate", http.NoBody)
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	resp, err := c.send(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

func (c *client) validateMany(ctx context.Context, authAddr string, n int) error {
	return atOnce(ctx, validators, func(ctx context.Context, _ int) error {
		for range n / validators {
			if _, err := c.claims(ctx, authAddr); err != nil {
				return err
			}
		}
		return nil
	})
}

// milliseconds is a time as a sample.
func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
