package page

import (
	"net/http"
	"strings"
	"time"

	"mp3converter/internal/job"
)

// Admin is the page that operators see first.
type Admin struct {
	User                      string
	Now                       time.Time
	Backlog                   job.Backlog
	Broker                    bool // there is one
	Queues                    []job.Queue
	Queued                    []job.Job // by upload, the oldest first
	Converting, Mails, Failed []job.Job
	Before                    string // the list of failed jobs begins below this one
	Older                     string // ask for those before this one to see more; empty on the last page
	Unknown                   []string
}

// Write answers with the page.
func (a Admin) Write(w http.ResponseWriter, code int) error { return write(w, code, "admin.html", a) }

// Of returns the jobs as the template shows them.
func (a Admin) Of(jobs []job.Job) []task {
	all := make([]task, len(jobs))
	for i, j := range jobs {
		all[i] = task{row{j}, a.Now}
	}
	return all
}

// States are those that wait, for the template.
func (a Admin) States() []job.State { return job.Waiting }

// Age is for how long the owner of the oldest job has waited.
func (a Admin) Age() string {
	if a.Backlog.Oldest.IsZero() {
		return ""
	}
	return length(max(0, a.Now.Sub(a.Backlog.Oldest)))
}

// task is a job in an operator's list.
type task struct {
	row
	now time.Time
}

// Why is all that is known of why it failed, or of its last attempt.
func (t task) Why() string {
	var parts []string
	for _, part := range []string{string(t.Reason), t.Detail, t.MailError} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, ": ")
}

// Age is for how long the owner has waited; "" if an older version did not note it.
func (t task) Age() string {
	if t.Job.Since.IsZero() {
		return ""
	}
	return length(max(0, t.now.Sub(t.Job.Since)))
}

// Waits says what a queued job waits for.
func (t task) Waits() string {
	switch {
	case t.now.Before(t.NotBefore):
		return "Tried again in " + length(t.NotBefore.Sub(t.now))
	case t.Rings == 0:
		return "Not rung for yet"
	default:
		return "Rung for, in the queue"
	}
}

// Since is for how long the attempt has gone on.
func (t task) Since() string { return length(max(0, t.now.Sub(t.Started))) }

// Lease says whether the worker is alive.
func (t task) Lease() string {
	switch left := t.LeaseUntil.Sub(t.now); {
	case t.LeaseUntil.IsZero():
		return "no lease"
	case left < 0:
		return "silent: its lease ran out " + length(-left) + " ago"
	default:
		return "lease for " + length(left)
	}
}

// Dead is the page of dead letters.
type Dead struct {
	User    string
	Broker  bool
	Letters []job.DeadLetter
	More    int
}

// Write answers with the page.
func (d Dead) Write(w http.ResponseWriter, code int) error { return write(w, code, "dead.html", d) }

// Users is a page of users, as auth tells them.
type Users struct {
	User  string `json:"-"`
	Users []struct {
		Email    string `json:"email"`
		Admin    bool   `json:"admin"`
		Operator bool   `json:"operator"`
	} `json:"users"`
	Next *string `json:"next"` // ask for those after this one to see more
}

// Write answers with the page.
func (u Users) Write(w http.ResponseWriter, code int) error { return write(w, code, "users.html", u) }
