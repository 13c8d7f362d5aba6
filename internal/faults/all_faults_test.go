package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
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

// mailers are the notifications of a soak, of one worker each. A mailer may have died between one mail's end and its note.
const mailers = 2

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
	mailed := s.letters(t)
	s.start(t)
	before := s.accepted()
	testsuite.Eventually(t, "it is open again", func() bool { return s.accepted() >= before+clients })
	stop()
	running.Wait()
	s.mend(t)
	s.check(t, checker.Allowed{DuplicateMails: true})
	s.unacked(t)
	again := s.claimed(t, mailed)
	if again > mailers {
		t.Errorf("%d mails that had come before the blow came again after it, at most %d may", again, mailers)
	}
	return fmt.Sprintf("%d accepted, all ended well, %d mails again", s.accepted(), again)
}

// claimed is how many mails have come once more since. One that came more often than somebody claimed it fails the test; to
// claim it twice takes a lease that has run out, of the dead or on a busy machine.
func (s *soak) claimed(t *testing.T, before []checker.Mail) (again int) {
	t.Helper()
	old, all := map[string]int{}, map[string]int{}
	for _, m := range before {
		old[m.MessageID]++
	}
	for _, m := range s.letters(t) {
		all[m.MessageID]++
	}
	for id, n := range all {
		of, _, _ := strings.Cut(strings.Trim(id, "<>"), ".")
		if claims := s.record(t, of).MailAttempt; n > claims {
			t.Errorf("mail %s came %d times and was claimed %d times", id, n, claims)
		}
		if old[id] > 0 && n > old[id] {
			again++
		}
	}
	return again
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
