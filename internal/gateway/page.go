package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"mp3converter/internal/job"
	"mp3converter/internal/page"
	"mp3converter/internal/web"
)

// mayNot is said to whom auth knows, but has not given the right to convert. Logging in again would not change it.
const mayNot = "This account may not convert yet: ask who runs this service."

// home is the page for people: their jobs, or where to log in. ?before= a job's id lists older ones, ?job= one alone; ?q= and
// ?show= search.
func (s *Service) home(w http.ResponseWriter, r *http.Request) error {
	c, err := s.visitor(r)
	switch {
	case errors.Is(err, errNoToken):
		return page.Login{}.Write(w, http.StatusOK)
	case errors.Is(err, errBadToken):
		return page.Login{Problem: "You were logged out. Please log in again."}.Write(w, http.StatusOK)
	case errors.Is(err, errNotAdmin):
		return page.Login{Problem: mayNot}.Write(w, http.StatusOK)
	case err != nil:
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), callTime)
	defer cancel()
	v := page.Home{
		User: c.Username, Operator: c.Operator && s.cfg.Desk != nil, MaxUpload: s.cfg.MaxUpload,
		Before: r.URL.Query().Get("before"), Only: r.URL.Query().Get("job"),
	}
	if v.Only != "" {
		err = s.showOne(ctx, &v)
	} else {
		err = s.showSome(ctx, &v, r.URL.Query())
	}
	if err != nil {
		return err
	}
	return v.Write(w, http.StatusOK)
}

// visitor is who looks at the page.
func (s *Service) visitor(r *http.Request) (claims, error) {
	c, err := s.authorize(r)
	if err != nil {
		return claims{}, err
	}
	web.Note(r.Context(), "user", c.Username)
	return c, nil
}

// showOne puts the job that was asked for on the page. One that is gone leaves an empty list.
func (s *Service) showOne(ctx context.Context, v *page.Home) error {
	j, err := s.own(ctx, v.User, v.Only)
	if errors.Is(err, errNoJob) {
		return nil
	}
	v.Jobs = []job.Job{j}
	return err
}

// showSome puts a list on the page.
func (s *Service) showSome(ctx context.Context, v *page.Home, q url.Values) error {
	if v.Before != "" && !job.IsID(v.Before) {
		return errBadPage
	}
	filter, err := searchOf(q)
	if err != nil {
		return err
	}
	v.Search = page.Search{Name: filter.Name, Show: q.Get("show")}
	jobs, err := s.cfg.Ledger.Find(ctx, v.User, filter, v.Before, page.Rows+1) // the one more tells whether there are older ones
	if err != nil {
		return fmt.Errorf("list jobs: %w", err)
	}
	if v.Jobs = jobs; len(jobs) > page.Rows {
		v.Jobs, v.Older = jobs[:page.Rows], jobs[page.Rows-1].ID
	}
	return nil
}

// fromPage reports whether a browser that shows what it gets has sent the request, by its session if any: a form of the page or
// a link. Whoever sends an Authorization is answered by the contract, whatever it accepts: Java's own client says text/html.
func fromPage(r *http.Request) bool {
	_, token := r.Header["Authorization"]
	return !token && web.WantsHTML(r)
}

// backToPage answers a form of the page that has done what it was for.
func backToPage(w http.ResponseWriter, r *http.Request) error {
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

// handle makes an http.HandlerFunc of h. A refusal is answered as the API does, or to a browser that shows what it gets with
// a page that says what to do.
func handle(h web.Handler) http.HandlerFunc {
	return answers.HandleBy(h, func(w http.ResponseWriter, r *http.Request, refusal web.Refusal, err error) {
		if !fromPage(r) {
			web.Write(w, r, refusal)
			return
		}
		refusal.SetHeader(w.Header())
		if err := refusalPage(r, refusal, err).Write(w, refusal.Code); err != nil {
			web.Note(r.Context(), slog.LevelKey, slog.LevelError, "page", err)
			web.Write(w, r, refusal)
		}
	})
}

// refusalPage is the page that says it. Whoever could not be let in may try again there.
func refusalPage(r *http.Request, refusal web.Refusal, err error) page.Page {
	switch {
	case errors.Is(err, errNotAdmin):
		return page.Login{Problem: mayNot, To: leadsTo(r)}
	case r.URL.Path == sessionPath && refusal.Code == http.StatusUnauthorized:
		return page.Login{Problem: "This e-mail and this password do not belong together.", To: leadsTo(r)}
	case r.URL.Path == sessionPath:
		return page.Login{Problem: page.Sentence(refusal.Text), To: leadsTo(r)}
	case errors.Is(err, errNoToken), errors.Is(err, errBadToken):
		to := ""
		if r.URL.Path == adminPath || strings.HasPrefix(r.URL.Path, adminPath+"/") {
			to = adminPath
		}
		return page.Login{Problem: "Please log in first.", To: to}
	}
	return page.Problem{Text: refusal.Text}
}
