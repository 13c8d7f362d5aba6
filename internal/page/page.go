// Package page is what people see at the gateway's /: the page to log in at, the page of one's jobs, and what is said when
// something cannot be done. It turns jobs into HTML and brings the files that go with it; who is asking, and what of, is
// the gateway's business. Everything works without JavaScript; the scripts in static/ make it live.
package page

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"strconv"

	"mp3converter/internal/job"
)

//go:embed html/*.html
var htmlFiles embed.FS

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"static": staticPath, "size": size, "limit": func() int { return Rows }, "profiles": func() []choice { return choices },
	"views": func() []view { return views },
}).ParseFS(htmlFiles, "html/*.html"))

// policy lets the page use what comes from the gateway itself and nothing else, so that a file name that slips through the
// templates' escaping would still be nothing but text.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// Page is any of them.
type Page interface {
	Write(w http.ResponseWriter, code int) error // answers with it
}

// Login is the page for whoever is not logged in.
type Login struct {
	Problem string // why the last try failed, a sentence; empty on the first
	To      string // the page that was asked for, if it is not the user's own
}

// Write answers with the page.
func (l Login) Write(w http.ResponseWriter, code int) error { return write(w, code, "login.html", l) }

// Rows is how many jobs a page lists.
const Rows = 25

// Home is the page of a user's jobs.
type Home struct {
	User      string
	Operator  bool  // may look after everybody's jobs
	MaxUpload int64 // bytes of one file
	Jobs      []job.Job
	Before    string // the list begins below this job; empty for the newest
	Older     string // ask for jobs before this one to see more; empty on the last page
	Only      string // the one job that was asked for; empty for the list
	Search    Search // what the list is of
}

// List is the jobs as the template shows them.
func (h Home) List() []row {
	rows := make([]row, len(h.Jobs))
	for i, j := range h.Jobs {
		rows[i] = row{j}
	}
	return rows
}

// Write answers with the page.
func (h Home) Write(w http.ResponseWriter, code int) error { return write(w, code, "home.html", h) }

// Problem is the page that says why a form's request was refused.
type Problem struct {
	Text string // a clause, as the API says it
}

// Sentence is the text as people write it.
func (p Problem) Sentence() string { return Sentence(p.Text) }

// Write answers with the page.
func (p Problem) Write(w http.ResponseWriter, code int) error {
	return write(w, code, "problem.html", p)
}

func write(w http.ResponseWriter, code int, name string, view any) error {
	var body bytes.Buffer // so that an error does not come after half a page
	if err := templates.ExecuteTemplate(&body, name, view); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	h.Set("Content-Security-Policy", policy)
	h.Set("Referrer-Policy", "same-origin") // without a referrer, forms would come from the Origin null
	h.Add("Vary", "Accept, Cookie")
	w.WriteHeader(code)
	_, _ = body.WriteTo(w) // a client that is gone reads nothing
	return nil
}
