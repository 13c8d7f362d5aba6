package gateway

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"time"

	"github.com/go-chi/chi/v5"

	"mp3converter/internal/job"
	"mp3converter/internal/trail"
	"mp3converter/internal/web"
)

// How many jobs a page lists, unless ?limit= says less or more.
const (
	pageSize    = 50
	maxPageSize = 200
)

// pageView is some of a user's jobs, the newest first.
type pageView struct {
	Jobs []job.View `json:"jobs"`
	Next *string    `json:"next"` // ask for ?before= this to see more; null on the last page
}

func (s *Service) listJobs(w http.ResponseWriter, r *http.Request, user string) error {
	limit, before, err := pageOf(r.URL.Query())
	if err != nil {
		return err
	}
	filter, err := filterOf(r.URL.Query())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), callTime)
	defer cancel()
	jobs, err := s.cfg.Ledger.Find(ctx, user, filter, before, limit+1) // the one more tells whether there is a next page
	if err != nil {
		return fmt.Errorf("list jobs: %w", err)
	}
	page := pageView{Jobs: []job.View{}}
	for _, j := range jobs[:min(len(jobs), limit)] {
		page.Jobs = append(page.Jobs, j.View())
	}
	if len(jobs) > limit {
		page.Next = &jobs[limit-1].ID
	}
	return web.JSON(w, http.StatusOK, page)
}

func pageOf(q url.Values) (limit int, before string, err error) {
	limit, ok := web.Limit(q, pageSize, maxPageSize)
	before = q.Get("before")
	if !ok || before != "" && !job.IsID(before) {
		return 0, "", errBadPage
	}
	return limit, before, nil
}

func (s *Service) showJob(w http.ResponseWriter, r *http.Request, user string) error {
	ctx, cancel := context.WithTimeout(r.Context(), callTime)
	defer cancel()
	j, err := s.own(ctx, user, chi.URLParam(r, "id"))
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, j.View())
}

// retryJob starts a failed job anew.
func (s *Service) retryJob(w http.ResponseWriter, r *http.Request, user string) error {
	ctx, cancel := context.WithTimeout(r.Context(), callTime)
	defer cancel()
	j, err := s.own(ctx, user, chi.URLParam(r, "id"))
	if err != nil {
		return err
	}
	if s.cfg.QuotaJobs > 0 && j.State == job.Failed {
		place, err := s.announce(ctx, user, room{}) // it holds a place until the job itself does
		if err != nil {
			return err
		}
		defer s.retract(ctx, place.ID)
	}
	j, err = Retry(ctx, j, s.cfg.Videos, s.cfg.Rules, func(ctx context.Context, id string, change func(*job.Job) error) (job.Job, error) {
		return s.change(ctx, user, id, change)
	})
	if errors.Is(err, job.ErrState) {
		return errNotFailed
	}
	if err != nil {
		return err
	}
	s.ringSoon(ctx, j)
	if fromPage(r) {
		return backToPage(w, r)
	}
	return web.JSON(w, http.StatusAccepted, j.View())
}

// Retry starts anew, by update, a job that has failed, and returns it as it is then: an owner's or, for whom it is exported,
// an operator's wish. A job that has not failed is job.ErrState, whether its video is there or not; without the video it is
// ErrNoVideo, for the retry must fail. With them the job is as read.
func Retry(ctx context.Context, j job.Job, videos Files, rules job.Rules,
	update func(ctx context.Context, id string, change func(*job.Job) error) (job.Job, error),
) (job.Job, error) {
	switch {
	case j.State != job.Failed:
		return j, job.ErrState
	case j.VideoGone: // what is stored may be half of it
		return j, ErrNoVideo
	}
	if err := hasVideo(ctx, videos, j.ID); err != nil {
		return j, err
	}
	j, err := update(ctx, j.ID, func(j *job.Job) error {
		if err := j.Retry(time.Now(), rules); err != nil {
			return err
		}
		j.Follow(trail.Of(ctx)) // of whoever asks for it now
		return nil
	})
	if errors.Is(err, job.ErrGone) {
		err = ErrNoVideo
	}
	return j, err
}

func hasVideo(ctx context.Context, videos Files, id string) error {
	_, content, err := videos.Open(ctx, id)
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNoVideo
	}
	if err != nil {
		return fmt.Errorf("open video %s: %w", id, err)
	}
	return content.Close()
}

// deleteJob hides the job at once and removes its files if that is quick; the sweeper does the rest, and looks once more
// for what a worker that slept has written since.
func (s *Service) deleteJob(w http.ResponseWriter, r *http.Request, user string) error {
	ctx, cancel := context.WithTimeout(r.Context(), callTime)
	defer cancel()
	id := chi.URLParam(r, "id")
	j, err := s.change(ctx, user, id, func(j *job.Job) error { return j.Delete(time.Now()) })
	if err != nil {
		return err
	}
	if err := s.cleaner.settle(ctx, j); err != nil {
		web.Note(ctx, "clean", err)
	}
	if fromPage(r) {
		return backToPage(w, r)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// own returns the user's job. Somebody else's is as unknown as one that is not there.
func (s *Service) own(ctx context.Context, user, id string) (job.Job, error) {
	if !job.IsID(id) {
		return job.Job{}, errNoJob
	}
	j, err := s.cfg.Ledger.Get(ctx, id)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && !isOf(j, user):
		return job.Job{}, errNoJob
	case err != nil:
		return job.Job{}, fmt.Errorf("get job %s: %w", id, err)
	}
	return j, nil
}

// change is Update for the user's own jobs.
func (s *Service) change(ctx context.Context, user, id string, change func(*job.Job) error) (job.Job, error) {
	if !job.IsID(id) {
		return job.Job{}, errNoJob
	}
	j, err := s.cfg.Ledger.Update(ctx, id, func(j *job.Job) error {
		if !isOf(*j, user) {
			return errNoJob
		}
		return change(j)
	})
	if errors.Is(err, fs.ErrNotExist) {
		return job.Job{}, errNoJob
	}
	return j, err
}

func isOf(j job.Job, user string) bool { return j.Visible() && j.Owner == user }
