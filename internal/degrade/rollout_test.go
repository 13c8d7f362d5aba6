package degrade

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"mp3converter/internal/checker"
	"mp3converter/internal/testsuite"
)

// drain is for auth and gateway, which are asked: longer than whoever looks after endpoints, or a client, may stand still.
const drain = "DRAIN_SECONDS=6"

// TestRollingRestart replaces each of the four while users are at work: the new one is started and waited for, the old one
// told to stop. Nobody notices.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	i := newInstallation(t, "GRACE_SECONDS=60")
	auths, gateways := newService(t), newService(t)
	starts := []struct {
		name  string
		start func() *testsuite.Process
	}{
		{"auth", func() *testsuite.Process {
			i.StartAuth("LISTEN=127.0.0.1:0", drain)
			auths.add(t, i.Auth)
			return i.Auth
		}},
		{"gateway", func() *testsuite.Process {
			i.StartGateway("AUTH_SVC_ADDRESS="+auths.Addr, drain)
			gateways.add(t, i.Gateway)
			return i.Gateway
		}},
		{"converter", func() *testsuite.Process { i.StartConverter(); return i.Converter }},
		{"notification", func() *testsuite.Process { i.StartNotification(); return i.Notification }},
	}
	running := map[string]*testsuite.Process{}
	for _, s := range starts {
		running[s.name] = s.start()
	}
	i.AllReady(t)

	public := *i.Suite // the other one's URL is that of the newest gateway
	public.URL = "http://" + gateways.Addr
	l := startLoad(t, public.Someone(t))
	l.more(t)
	for _, s := range starts {
		t.Run(s.name, func(t *testing.T) {
			old := running[s.name]
			running[s.name] = s.start()
			ready(t, running[s.name])
			l.more(t)
			if s.name == "gateway" {
				l.stopsUnderway(t, old, 5)
			} else {
				old.Stop(t)
			}
			l.more(t)
			l.check(t)
		})
	}
	l.end()
	l.check(t)
	i.endsWell(t, l)
}

// endsWell waits for the end of all uploads that were answered with 200, each of which takes one attempt.
func (i *installation) endsWell(t *testing.T, l *load) {
	t.Helper()
	for _, id := range l.jobs {
		l.p.Reaches(t, id, "done")
		if j := i.record(t, id); j.Attempts() != 1 || j.MailTries != 0 {
			t.Errorf("job %s took %d attempts (%d excused), and its mail was put off %d times", id, j.Attempts(), j.Excused, j.MailTries)
		}
	}
	i.keepsItsPromise(t, l)
}

// keepsItsPromise has the checker look until nothing is wrong: nothing is lost, left or told twice.
func (i *installation) keepsItsPromise(t *testing.T, l *load) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	found, err := checker.New().Settle(ctx, time.Second, func() (s checker.State, err error) {
		if s.Stores, err = checker.Look(ctx, i.db); err != nil {
			return s, err
		}
		for _, m := range i.Mails(t, l.p.Email) {
			s.Mails = append(s.Mails, checker.Mail{To: m.To, Subject: m.Subject, MessageID: m.ID, Body: m.Body, Date: m.Date})
		}
		s.Queues = i.queues(t)
		return s, nil
	}, l.history.Uploads, checker.Allowed{})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range found {
		t.Error(v)
	}
}

// queues are all of the installation's, those of dead letters too.
func (i *installation) queues(t *testing.T) (all []checker.Queue) {
	t.Helper()
	at, err := url.Parse(i.At.Rabbit)
	if err != nil {
		t.Fatal(err)
	}
	list, err := started(t, sharedRabbit).Ctl("list_queues", "--vhost", at.Path[1:], "--no-table-headers", "name", "messages_ready", "messages_unacknowledged")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(list) {
		var q checker.Queue
		if _, err := fmt.Sscan(line, &q.Name, &q.Ready, &q.Unacked); err != nil {
			t.Fatalf("queue %q: %v", line, err)
		}
		all = append(all, q)
	}
	if len(all) < 4 {
		t.Fatalf("queues %q, want those of two kinds of messages and of dead letters at least", list)
	}
	return all
}
