package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"mp3converter/internal/checker"
	"mp3converter/internal/testsuite"
)

// allFaults are the rows of the matrix in which everything goes at once.
var allFaults = []fault{{
	name:     "everything killed at once and started in random order",
	expected: "what was accepted ends well, nothing is done twice",
	slow:     true,
	tell:     blackout,
}}

// blackout has clients upload, kills all programs and servers with one blow, and starts them in an order that nobody chose.
func blackout(t *testing.T) string {
	s := newSoak(t)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	for n := range clients {
		running.Go(func() { s.client(ctx, n) })
	}
	const uploads = 2 * clients
	testsuite.Eventually(t, "the first uploads are taken", func() bool { return s.accepted() >= uploads })
	if err := s.broker.Flush(); err != nil {
		t.Error(err)
	}
	s.blow()
	s.start(t)
	before := s.accepted()
	testsuite.Eventually(t, "it is open again", func() bool { return s.accepted() >= before+clients })
	stop()
	running.Wait()
	s.mend(t)
	s.check(t, checker.Allowed{DuplicateMails: true}) // a mailer may have died between the mail's end and its note
	s.unacked(t)
	return fmt.Sprintf("%d accepted, all ended well", s.accepted())
}

// accepted is how many uploads were told 200 so far.
func (s *soak) accepted() int {
	return len(slices.DeleteFunc(s.history.Uploads(), func(u checker.Upload) bool { return u.Status != 200 }))
}

// blow kills everything.
func (s *soak) blow() {
	var dying sync.WaitGroup
	for _, p := range s.slots {
		dying.Go(p.Kill)
	}
	for _, server := range []interface{ Kill() }{s.Mongo, s.broker, s.mysql} {
		dying.Go(server.Kill)
	}
	dying.Wait()
}

// start starts everything that blow has killed.
func (s *soak) start(t *testing.T) {
	t.Helper()
	starts := []func() error{s.Mongo.Restart, s.broker.Restart, s.mysql.Restart}
	for name, p := range s.slots {
		starts = append(starts, func() error {
			s.fill(name, p.Relaunch(t))
			return nil
		})
	}
	rand.Shuffle(len(starts), func(i, j int) { starts[i], starts[j] = starts[j], starts[i] }) // also: no order is right
	for _, start := range starts {
		if err := start(); err != nil {
			t.Fatal(err)
		}
	}
}
