package gateway

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"time"

	"mp3converter/internal/job"
	"mp3converter/internal/link"
	"mp3converter/internal/web"
)

// orLink answers requests by a good link from a mail, whatever session the browser has: the link says all. Requests with an
// Authorization header are for next, and so is a link that is no longer good where there is a session to ask.
func (s *Service) orLink(next web.Handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		_, told := r.Header["Authorization"]
		if told || s.cfg.Links.IsZero() || !r.URL.Query().Has(link.Signature) {
			return next(w, r)
		}
		l, err := s.cfg.Links.Verify(r.URL.Query(), time.Now())
		if err == nil {
			return s.follow(w, r, l)
		}
		if session, _ := credentials(r); session != nil {
			return next(w, r)
		}
		if errors.Is(err, link.ErrExpired) {
			return errLinkExpired
		}
		return errBadLink
	}
}

// follow sends the MP3 that a mail's link leads to, under the name that its owner knows.
func (s *Service) follow(w http.ResponseWriter, r *http.Request, l link.Link) error {
	j, err := s.linked(r.Context(), l)
	if err != nil {
		return err
	}
	web.Note(r.Context(), "user", j.Owner, "link", true)
	if err := s.downloads.take(j.Owner); err != nil {
		return err
	}
	defer s.downloads.leave(j.Owner)
	j, err = kept(j)
	if err != nil {
		return err
	}
	return s.sendMP3(w, r, j.MP3, mime.FormatMediaType("attachment", map[string]string{"filename": job.MP3Name(j.Name)}))
}

// linked is the job that the link was made for: while its owner has it, and it has that MP3.
func (s *Service) linked(ctx context.Context, l link.Link) (job.Job, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	jobs, err := s.cfg.Ledger.AllByMP3(ctx, l.FID)
	if err != nil {
		return job.Job{}, fmt.Errorf("find the job of mp3 %s: %w", l.FID, err)
	}
	for _, j := range jobs {
		if l.IsOf(j.Owner) {
			return j, nil
		}
	}
	return job.Job{}, errNoFile
}
