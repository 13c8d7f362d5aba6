package e2e

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"mp3converter/internal/checker"
	"mp3converter/internal/testserver"
	"mp3converter/internal/testsuite"
)

// letters are all mails that Mailpit ever showed: those that it had before it was restarted, too.
type letters struct {
	mu  sync.Mutex
	all map[string]checker.Mail // by Mailpit's id
}

// collect takes over what is new.
func (l *letters) collect(t testing.TB, c *cluster) []checker.Mail {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all == nil {
		l.all = map[string]checker.Mail{}
	}
	var inbox struct {
		Messages []struct {
			ID string
			To []struct{ Address string }
		}
	}
	a := c.send(t, testsuite.Request{Base: mailHost, Path: "/api/v1/messages?limit=10000"})
	if a.Status != http.StatusOK {
		t.Fatalf("Mailpit answers %d %.300q", a.Status, a.Body)
	}
	a.Into(t, &inbox)
	for _, m := range inbox.Messages {
		if _, known := l.all[m.ID]; !known {
			l.all[m.ID] = c.letter(t, m.ID, m.To[0].Address)
		}
	}
	var mails []checker.Mail
	for id, m := range l.all {
		if !c.before.mails[id] {
			mails = append(mails, m)
		}
	}
	return mails
}

// letter reads a mail as it came.
func (c *cluster) letter(t testing.TB, id, to string) checker.Mail {
	t.Helper()
	a := c.send(t, testsuite.Request{Base: mailHost, Path: "/api/v1/message/" + id + "/raw"})
	if a.Status != http.StatusOK {
		t.Fatalf("Mailpit answers for mail %s %d %.300q", id, a.Status, a.Body)
	}
	m := testserver.ReadMail(t, testserver.Received{Data: a.Body})
	date, err := m.Header.Date()
	if err != nil {
		t.Errorf("the date of mail %s: %v", id, err)
	}
	return checker.Mail{To: to, Subject: m.Subject, MessageID: m.Header.Get("Message-ID"), Body: m.Body, Date: date.Truncate(time.Second)}
}

// about returns the mail about a job, if it has come.
func (l *letters) about(t testing.TB, c *cluster, id string) (checker.Mail, bool) {
	t.Helper()
	for _, m := range l.collect(t, c) {
		if strings.Contains(m.MessageID, id) {
			return m, true
		}
	}
	return checker.Mail{}, false
}
