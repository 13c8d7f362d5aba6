package smtp_test

import (
	"context"
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"mp3converter/internal/job"
	"mp3converter/internal/testserver"
)

func TestASlowServerIsBoundedByTheTimeout(t *testing.T) {
	for name, tt := range map[string]struct {
		at   testserver.Step
		drip time.Duration
	}{
		"a tar-pit, a byte now and then": {drip: 20 * time.Millisecond},
		"silent from the start":          {at: testserver.AtGreeting},
		"silent at RCPT":                 {at: testserver.AtRcpt},
		"silent after the mail":          {at: testserver.AtData},
	} {
		t.Run(name, func(t *testing.T) {
			server := testserver.StartSMTP(t, testserver.SMTPOptions{})
			server.Drip(tt.drip)
			server.Always(tt.at, testserver.Stall())
			cfg := configFor(server)
			cfg.Timeout = 300 * time.Millisecond
			err := sender(t, cfg).Send(t.Context(), letter)
			if err == nil || errors.Is(err, job.ErrPermanent) || !strings.Contains(err.Error(), "takes too long") {
				t.Errorf("Send = %v, want the server's slowness as the reason", err)
			}
		})
	}
}

func TestSendObeysItsContextInTheMiddleOfTheDialogue(t *testing.T) {
	server := testserver.StartSMTP(t, testserver.SMTPOptions{})
	server.Always(testserver.AtData, testserver.Stall())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	sent := make(chan error)
	go func() { sent <- sender(t, configFor(server)).Send(ctx, letter) }()
	for server.Came(testserver.AtData) == 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-sent; !errors.Is(err, context.Canceled) {
		t.Errorf("Send = %v, want context.Canceled in the chain", err)
	}
}

func TestManySendAtOnce(t *testing.T) {
	const sends = 20
	server := testserver.StartSMTP(t, testserver.SMTPOptions{User: user, Password: password})
	cfg := configFor(server)
	login(&cfg)
	s := sender(t, cfg)
	var group errgroup.Group
	for i := range sends {
		group.Go(func() error {
			l := letter
			l.To = fmt.Sprintf("u%d@example.com", i)
			return s.Send(t.Context(), l)
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	to := map[string]bool{}
	for _, m := range server.Mails() {
		header := testserver.ReadMail(t, m).Header.Get("To")
		if a, err := mail.ParseAddress(header); err != nil || a.Address != m.To[0] {
			t.Errorf("a mail for %s says %s", m.To[0], header)
		}
		to[m.To[0]] = true
	}
	if len(to) != sends {
		t.Errorf("%d of %d arrived", len(to), sends)
	}
}

func TestAServerThatNeverSaysGoodbyeHoldsNobodyUp(t *testing.T) {
	server := testserver.StartSMTP(t, testserver.SMTPOptions{})
	server.At(testserver.AfterAccept, testserver.Stall())
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := sender(t, configFor(server)).Send(ctx, letter); err != nil || ctx.Err() != nil {
		t.Errorf("Send = %v, held up: %v", err, ctx.Err())
	}
}
