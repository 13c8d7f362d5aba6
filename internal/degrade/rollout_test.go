package degrade

import (
	"strings"
	"testing"

	"mp3converter/internal/testsuite"
)

// TestRollingRestart replaces each of the four while users are at work: the new one is started and waited for, the old one
// told to stop. Nobody notices.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	i := newInstallation(t, "DRAIN_SECONDS=1", "GRACE_SECONDS=60")
	auths, gateways := newService(t), newService(t)
	starts := []struct {
		name  string
		start func() *testsuite.Process
	}{
		{"auth", func() *testsuite.Process {
			i.StartAuth("LISTEN=127.0.0.1:0")
			auths.add(t, i.Auth)
			return i.Auth
		}},
		{"gateway", func() *testsuite.Process {
			i.StartGateway("AUTH_SVC_ADDRESS=" + auths.Addr)
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
			old.Stop(t)
			l.more(t)
			l.check(t)
		})
	}
	l.end()
	l.check(t)
	i.endsWell(t, l)
}

// endsWell waits for the end of all uploads that were answered with 200: one attempt, one MP3 and one mail of each.
func (i *installation) endsWell(t *testing.T, l *load) {
	t.Helper()
	for _, id := range l.jobs {
		l.p.Reaches(t, id, "done")
		if j := i.record(t, id); j.Attempts() != 1 || j.MailTries != 0 {
			t.Errorf("job %s took %d attempts (%d excused), and its mail was put off %d times", id, j.Attempts(), j.Excused, j.MailTries)
		}
	}
	if n := i.documents(t, "jobs", "jobs"); n != int64(len(l.jobs)) {
		t.Errorf("%d uploads were taken, and the ledger has %d jobs", len(l.jobs), n)
	}
	if n := i.documents(t, "mp3s", "fs.files"); n != int64(len(l.jobs)) {
		t.Errorf("%d uploads were taken, and %d MP3s are stored", len(l.jobs), n)
	}
	mails := map[string]int{}
	for _, m := range i.Mails(t, l.p.Email) {
		id, _, _ := strings.Cut(m.ID, ".")
		mails[id]++
	}
	for _, id := range l.jobs {
		if mails[id] != 1 {
			t.Errorf("%d mails have come about job %s, want 1", mails[id], id)
		}
	}
}
