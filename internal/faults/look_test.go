package faults

import (
	"context"
	"strings"
	"testing"
	"time"

	"mp3converter/internal/checker"
	"mp3converter/internal/testsuite"
)

// calm is how long an installation may take to come to rest after a fault, on two cores that are busy with other tests.
const calm = 4 * time.Minute

// violations waits until nothing is wrong any more, or calm is over, and returns what is. A look at much is dear, and should
// come seldom.
func (r *rig) violations(t testing.TB, every, calm time.Duration, allowed checker.Allowed) []checker.Violation {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), calm)
	defer cancel()
	found, err := r.checker.Settle(ctx, every, func() (checker.State, error) { return r.look(ctx, t) }, r.history.Uploads, allowed)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// look is one look at everything.
func (r *rig) look(ctx context.Context, t testing.TB) (checker.State, error) {
	var s checker.State
	var err error
	if s.Stores, err = checker.Look(ctx, r.db); err != nil {
		return s, err
	}
	s.Mails = r.letters(t)
	s.Processes = r.processes(t)
	s.Queues, s.Dead, err = checker.LookAtQueues(r.Broker)
	return s, err
}

// unacked fails the test if a message was handed out and is never settled. One that a process has just ended over is
// counted until the broker has noticed.
func (r *rig) unacked(t *testing.T) {
	t.Helper()
	testsuite.Eventually(t, "I8: all messages that were handed out are settled", func() bool {
		return len(unsettled(r.Ctl(t, "list_queues", "name", "messages_unacknowledged"))) == 0
	})
}

// unsettled are the lines of rabbitmqctl's list that name any.
func unsettled(list string) (lines []string) {
	for line := range strings.Lines(list) {
		line = strings.TrimSpace(line)
		_, n, ok := strings.Cut(line, "\t")
		if ok && n != "0" && n != "messages_unacknowledged" {
			lines = append(lines, line)
		}
	}
	return lines
}
