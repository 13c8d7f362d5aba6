package gateway

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"mp3converter/internal/job"
	"mp3converter/internal/page"
	"mp3converter/internal/web"
)

// How much operators see at once.
const (
	shownJobs    = 50 // of each kind; of failed ones there are further pages
	shownLetters = 100
)

// jobView is a job as operators see it: as its owner does, and who works on it.
type jobView struct {
	Job        job.View   `json:"job"`
	Owner      string     `json:"owner"`
	Worker     string     `json:"worker"`
	LeaseUntil *time.Time `json:"lease_until"`
	NotBefore  *time.Time `json:"not_before"` // the next try
	Rings      int        `json:"rings"`
	MailTries  int        `json:"mail_tries"`
	MailError  string     `json:"mail_error"`
}

func operatorView(j job.Job) jobView {
	v := jobView{Job: j.View(), Owner: j.Owner, Worker: j.Worker, Rings: j.Rings, MailTries: j.MailTries, MailError: j.MailError}
	for to, t := range map[**time.Time]time.Time{&v.LeaseUntil: j.LeaseUntil, &v.NotBefore: j.NotBefore} {
		if !t.IsZero() {
			*to = &t
		}
	}
	return v
}

func operatorViews(jobs []job.Job) []jobView {
	views := []jobView{}
	for _, j := range jobs {
		views = append(views, operatorView(j))
	}
	return views
}

type queueView struct {
	Name      string `json:"name"`
	Waiting   int    `json:"waiting"`
	Consumers int    `json:"consumers"`
	Dead      int    `json:"dead"`
}

type letterView struct {
	ID     string     `json:"id"`
	Queue  string     `json:"queue"`
	Reason string     `json:"reason"`
	Buried *time.Time `json:"buried_at"`
	Bytes  int64      `json:"bytes"`
	Cut    bool       `json:"cut"`
	Start  string     `json:"start"`
}

func viewLetter(l job.DeadLetter) letterView {
	v := letterView{ID: l.ID, Queue: l.Queue, Reason: l.Reason, Bytes: l.Bytes, Cut: l.Cut, Start: strings.ToValidUTF8(string(l.Start), "�")}
	if !l.Buried.IsZero() {
		at := l.Buried.UTC()
		v.Buried = &at
	}
	return v
}

type lettersView struct {
	Letters []letterView `json:"dead_letters"`
	More    int          `json:"more"` // that are not listed
}

// overview is what showAll answers in JSON.
type overview struct {
	Waiting    map[job.State]int `json:"waiting"`
	Oldest     *time.Time        `json:"oldest"` // since when the owner of the oldest job has waited
	Queues     []queueView       `json:"queues"`
	Queued     []jobView         `json:"queued"` // the oldest
	Converting []jobView         `json:"converting"`
	Mails      []jobView         `json:"mails"`
	Failed     []jobView         `json:"failed"`
	Next       *string           `json:"next"`    // ask for ?before= this to see more failed ones; null on the last page
	Unknown    []string          `json:"unknown"` // what could not be read
}

// showAll shows queues, what waits for how long, who works on what, and what has failed. What cannot be read is said to be unknown, and the rest is shown.
func (s *Service) showAll(w http.ResponseWriter, r *http.Request, who string) error {
	before := r.URL.Query().Get("before")
	if before != "" && !job.IsID(before) {
		return errBadPage
	}
	ctx, cancel := context.WithTimeout(r.Context(), callTime)
	defer cancel()
	v := page.Admin{User: who, Now: time.Now(), Before: before, Broker: s.cfg.Desk.Queues != nil}
	read := func(what string, do func() error) {
		if err := do(); err != nil {
			web.Note(r.Context(), slog.LevelKey, slog.LevelWarn, "unread_"+what, err)
			v.Unknown = append(v.Unknown, what)
		}
	}
	if s.cfg.Backlog != nil {
		read("counts", func() (err error) { v.Backlog, err = s.cfg.Backlog(ctx); return err })
	}
	if v.Broker {
		read("queues", func() (err error) { v.Queues, err = s.cfg.Desk.Queues(ctx); return err })
	}
	read("queued", func() (err error) { v.Queued, err = s.cfg.Desk.Oldest(ctx, job.Queued, shownJobs); return err })
	read("converting", func() (err error) {
		v.Converting, err = s.cfg.Desk.InState(ctx, job.Converting, "", shownJobs)
		return err
	})
	read("mails", func() (err error) { v.Mails, err = s.cfg.Desk.InState(ctx, job.Converted, "", shownJobs); return err })
	read("failed", func() (err error) {
		v.Failed, err = s.cfg.Desk.InState(ctx, job.Failed, before, shownJobs+1)
		if len(v.Failed) > shownJobs {
			v.Failed, v.Older = v.Failed[:shownJobs], v.Failed[shownJobs-1].ID
		}
		return err
	})
	if web.WantsJSON(r) {
		return web.JSON(w, http.StatusOK, overviewOf(v))
	}
	return v.Write(w, http.StatusOK)
}

func overviewOf(v page.Admin) overview {
	o := overview{
		Waiting: v.Backlog.Jobs, Queues: []queueView{}, Queued: operatorViews(v.Queued), Converting: operatorViews(v.Converting),
		Mails: operatorViews(v.Mails), Failed: operatorViews(v.Failed), Unknown: append([]string{}, v.Unknown...),
	}
	if o.Waiting == nil {
		o.Waiting = map[job.State]int{}
	}
	if !v.Backlog.Oldest.IsZero() {
		o.Oldest = &v.Backlog.Oldest
	}
	for _, q := range v.Queues {
		o.Queues = append(o.Queues, queueView(q))
	}
	if v.Older != "" {
		o.Next = &v.Older
	}
	return o
}

func (s *Service) showDead(w http.ResponseWriter, r *http.Request, who string) error {
	ctx, cancel := context.WithTimeout(r.Context(), walkTime)
	defer cancel()
	v := page.Dead{User: who, Broker: s.cfg.Desk.Letters != nil}
	if v.Broker {
		var err error
		if v.Letters, v.More, err = s.cfg.Desk.Letters.List(ctx, shownLetters); err != nil {
			return err
		}
	}
	if !web.WantsJSON(r) {
		return v.Write(w, http.StatusOK)
	}
	all := lettersView{Letters: []letterView{}, More: v.More}
	for _, l := range v.Letters {
		all.Letters = append(all.Letters, viewLetter(l))
	}
	return web.JSON(w, http.StatusOK, all)
}

// showUsers passes on auth's list.
func (s *Service) showUsers(w http.ResponseWriter, r *http.Request, who string) error {
	authorization, err := credentials(r)
	if err != nil {
		return err
	}
	q := url.Values{}
	for _, name := range []string{"after", "limit"} {
		if r.URL.Query().Has(name) {
			q.Set(name, r.URL.Query().Get(name))
		}
	}
	answer, err := s.cfg.Auth.send(r.Context(), http.MethodGet, "/users?"+q.Encode(), authorization, netip.Addr{})
	switch {
	case err != nil:
		return err
	case answer.status == http.StatusBadRequest:
		return errBadUsers
	case answer.status == http.StatusForbidden || answer.status == http.StatusUnauthorized:
		return errBadToken // it has ended since
	case answer.status != http.StatusOK:
		return web.Refuse(http.StatusServiceUnavailable, web.Unavailable.Text)
	}
	v := page.Users{User: who}
	if err := json.Unmarshal(answer.body, &v); err != nil {
		return err
	}
	if web.WantsJSON(r) {
		return web.JSON(w, http.StatusOK, v)
	}
	return v.Write(w, http.StatusOK)
}
