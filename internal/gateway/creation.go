package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	tus "github.com/tus/tusd/v2/pkg/handler"

	"mp3converter/internal/failpoint"
	"mp3converter/internal/job"
	"mp3converter/internal/web"
)

// An upload with a key is found by it as soon as it is announced, by requests that repeat the one that has. None of them answers
// with it before one has judged and admitted it; until then each may, for the first may be gone by now. So an upload that
// somebody was told of is not taken back, and one that was taken back is not admitted.

// createOnce also reports whether the upload is that of a request before. Of requests with one key at the same time, each may find
// another's upload that steps back before it is answered.
func (r *resumer) createOnce(ctx context.Context, user, key string, info tus.FileInfo) (j job.Job, again bool, err error) {
	const tries = 4
	for range tries {
		j, err = r.service.earlier(ctx, key)
		switch {
		case err == nil && length(j) != info.Size:
			return job.Job{}, false, errOtherKey
		case err == nil && j.Admitted():
			return j, true, nil
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return job.Job{}, false, err
		}
		j, err = r.create(ctx, user, key, info)
		if !errors.Is(err, fs.ErrExist) {
			return j, false, err
		}
	}
	return job.Job{}, false, fmt.Errorf("%d tries beside others with the same Idempotency-Key: %w", tries, err)
}

// creationKey is uploadKey of a creation. The same of /upload is another: that one's upload is a job.
func creationKey(owner string, keys []string) (string, error) {
	key, err := uploadKey(owner, keys)
	if err != nil || key == "" {
		return "", err
	}
	return job.UploadKey(owner, "\x00"+keys[0]), nil
}

func (r *resumer) create(ctx context.Context, user, key string, info tus.FileInfo) (job.Job, error) {
	if err := failpoint.At(failpoint.UploadAdmitted); err != nil {
		return job.Job{}, err
	}
	if meant := info.MetaData["user"]; meant != "" && meant != user { // a page of before another login in the same browser
		return job.Job{}, errSomebodyElse
	}
	if info.Size == 0 {
		return job.Job{}, errEmpty
	}
	profile, err := parseProfile(info.MetaData["profile"])
	if err != nil {
		return job.Job{}, err
	}
	rules := r.service.cfg.Rules
	return r.service.announceAs(ctx, func(now time.Time) job.Job {
		j := job.New(now, rules, job.NewID(now), user)
		j.Resumable(now, rules, info.MetaData["filename"], profile)
		j.Key = cmp.Or(key, j.Key)
		return j
	}, room{info.Size, info.Size})
}

// unadmitted returns the upload that has the key of j, for which it is to stand in; fs.ErrExist if it is admitted by now.
func (s *Service) unadmitted(ctx context.Context, j job.Job) (job.Job, error) {
	found, err := s.cfg.Ledger.ByKey(ctx, j.Key)
	if errors.Is(err, fs.ErrNotExist) || err == nil && (found.Admitted() || found.VideoBytes != j.VideoBytes) {
		return job.Job{}, fs.ErrExist // or was, a moment ago
	}
	return found, err
}

// admitKeyed is fs.ErrExist if another request was faster, be it to admit the upload or to take it back.
func (s *Service) admitKeyed(ctx context.Context, id string) (job.Job, error) {
	j, err := s.cfg.Ledger.Update(ctx, id, (*job.Job).Admit)
	if errors.Is(err, job.ErrState) || errors.Is(err, job.ErrLost) || errors.Is(err, fs.ErrNotExist) {
		err = fs.ErrExist
	}
	if err != nil {
		return job.Job{}, fmt.Errorf("admit the upload: %w", err)
	}
	return j, nil
}

// withdraw is retract of an upload with a key, unless it is admitted.
func (s *Service) withdraw(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTime)
	defer cancel()
	_, err := s.cfg.Ledger.Update(ctx, id, func(j *job.Job) error {
		if j.Admitted() {
			return job.ErrState
		}
		return j.Delete(time.Now()) // from here on it cannot be
	})
	if err == nil {
		err = s.cfg.Ledger.Remove(ctx, id)
	}
	if settled(err) != nil {
		web.Note(ctx, "withdraw", err)
	}
}
