package embedded

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"html/template"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

//go:embed page/inbox.html page/mail.html page/style.css
var pageFiles embed.FS

var pages = template.Must(template.New("").Funcs(template.FuncMap{"date": date, "links": links}).ParseFS(pageFiles, "page/*.html"))

// page serves the inbox to people and to the demo.
type page struct {
	inbox *Inbox
	log   *slog.Logger
}

// Handler shows the inbox: GET / to people, a mail at GET /{id}, its HTML alone at GET /{id}/html, and GET /mails as JSON; ?to=address leaves the mails to
// that address. Whoever reaches it reads everything: serve it on loopback only. The log gets what goes wrong inside.
func (b *Inbox) Handler(log *slog.Logger) http.Handler {
	p := page{b, log}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.list)
	mux.HandleFunc("GET /{id}", p.mail)
	mux.HandleFunc("GET /{id}/html", p.html)
	mux.HandleFunc("GET /mails", p.json)
	mux.HandleFunc("GET /style.css", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFileFS(w, r, pageFiles, "page/style.css")
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range pageHeaders {
			w.Header().Set(name, value)
		}
		mux.ServeHTTP(w, r)
	})
}

// pageHeaders keep what is in a mail from doing anything but being read. Templates escape it; this is the second wall.
var pageHeaders = map[string]string{
	"Content-Security-Policy": "default-src 'none'; style-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	"X-Content-Type-Options":  "nosniff",
	"Referrer-Policy":         "no-referrer",
	"Cache-Control":           "no-store",
}

func (p page) list(w http.ResponseWriter, r *http.Request) {
	to := r.URL.Query().Get("to")
	mails, err := p.inbox.List(r.Context(), to)
	if err != nil {
		p.fail(w, r, err)
		return
	}
	p.show(w, r, "inbox.html", map[string]any{"To": to, "Mails": mails})
}

func (p page) mail(w http.ResponseWriter, r *http.Request) {
	m, err := p.named(r)
	if err != nil {
		p.fail(w, r, err)
		return
	}
	p.show(w, r, "mail.html", m)
}

// htmlPolicy is for a mail's own HTML: it has the styles that stand in it, and nothing else. In its sandbox it is of no
// origin, runs no script and sends no form; a link opens a window of its own. mail.html's frame says so too.
const htmlPolicy = "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'self'"

// html serves a mail's HTML as it came.
func (p page) html(w http.ResponseWriter, r *http.Request) {
	m, err := p.named(r)
	if err == nil && m.HTML == "" {
		err = fs.ErrNotExist
	}
	if err != nil {
		p.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Security-Policy", htmlPolicy)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, m.HTML)
}

// named is the mail that the path names; fs.ErrNotExist if there is none.
func (p page) named(r *http.Request) (Mail, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return Mail{}, fs.ErrNotExist
	}
	return p.inbox.Get(r.Context(), id)
}

// mailJSON is a mail for programs.
type mailJSON struct {
	ID        int64     `json:"id"`
	MessageID string    `json:"message_id"`
	From      string    `json:"from"`
	To        string    `json:"to"`
	Subject   string    `json:"subject"`
	Body      string    `json:"body"`
	HTML      string    `json:"html,omitempty"`
	Date      time.Time `json:"date"`
}

func (p page) json(w http.ResponseWriter, r *http.Request) {
	mails, err := p.inbox.List(r.Context(), r.URL.Query().Get("to"))
	if err != nil {
		p.fail(w, r, err)
		return
	}
	list := make([]mailJSON, len(mails)) // [] rather than null if there are none
	for i, m := range mails {
		list[i] = mailJSON{m.ID, m.MessageID, m.From, m.To, m.Subject, m.Body, m.HTML, m.Date}
	}
	body, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		p.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(body, '\n'))
}

func (p page) show(w http.ResponseWriter, r *http.Request, name string, data any) {
	var body bytes.Buffer // so that an error does not come after half a page
	if err := pages.ExecuteTemplate(&body, name, data); err != nil {
		p.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = body.WriteTo(w)
}

func (p page) fail(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, fs.ErrNotExist) {
		http.NotFound(w, r)
		return
	}
	p.log.ErrorContext(r.Context(), "inbox not shown", "err", err)
	http.Error(w, "the inbox cannot be read now", http.StatusInternalServerError)
}

func date(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04:05 MST") }

// piece is a part of a mail's text: a web address, or what lies between two.
type piece struct {
	Text string
	Link bool
}

var webAddress = regexp.MustCompile(`https?://[^\s<>"]+`)

// links cuts a text at the web addresses in it, which end before the sentence's punctuation.
func links(text string) []piece {
	var pieces []piece
	for {
		at := webAddress.FindStringIndex(text)
		if at == nil {
			return append(pieces, piece{Text: text})
		}
		address := strings.TrimRight(text[at[0]:at[1]], ".,;:!?)'")
		pieces = append(pieces, piece{Text: text[:at[0]]}, piece{Text: address, Link: true})
		text = text[at[0]+len(address):]
	}
}
