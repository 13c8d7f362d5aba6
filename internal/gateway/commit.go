package gateway

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"time"

	"mp3converter/internal/failpoint"
	"mp3converter/internal/job"
)

// errCommitted says that the job has arrived already: by a commit of ours whose answer got lost, for nobody else knows
// the upload's id.
var errCommitted = errors.New("the upload is committed")

// commit makes the stored video a job. From then on it is kept, whatever dies, so a client that leaves now does not stop
// it. The error is fs.ErrExist if another job has the key, errLost or errNever if this one is certain never to come; any
// other leaves it open, and then nothing may be removed and nothing said.
func (s *Service) commit(ctx context.Context, key string, profile job.Profile, video job.File) (job.Job, error) {
	ctx = context.WithoutCancel(ctx)
	j, asked, err := s.arrive(ctx, key, profile, video)
	switch {
	case err == nil, errors.Is(err, errCommitted):
		return j, nil
	case errors.Is(err, job.ErrLost), errors.Is(err, fs.ErrNotExist):
		return job.Job{}, fmt.Errorf("commit %s: %w", video.ID, errLost)
	case errors.Is(err, fs.ErrExist):
		return job.Job{}, fmt.Errorf("commit %s: %w", video.ID, err)
	case !asked:
		return job.Job{}, fmt.Errorf("commit %s: %w: %w", video.ID, errNever, err)
	}
	return s.settle(ctx, video.ID, fmt.Errorf("commit %s: %w", video.ID, err))
}

// arrive also reports whether the ledger was asked to store the job. If not, a failure leaves no doubt.
func (s *Service) arrive(ctx context.Context, key string, profile job.Profile, video job.File) (j job.Job, asked bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	j, err = s.cfg.Ledger.Update(ctx, video.ID, func(j *job.Job) error {
		if j.Visible() {
			return errCommitted
		}
		if key != "" {
			j.Key = key
		}
		j.Profile = profile
		err := j.Arrived(time.Now(), s.cfg.Rules, video)
		asked = asked || err == nil
		return err
	})
	if err == nil {
		err = failpoint.At(failpoint.JobCommitted)
	}
	return j, asked, err
}

// settle ends the doubt that a commit has left by failing with cause: either it did happen, or it is made impossible, for
// a commit that is still on its way cannot pass a deletion. If the ledger does not answer for long, the doubt stays, and
// the client is told nothing: a refusal would be a lie if the job exists.
func (s *Service) settle(ctx context.Context, id string, cause error) (job.Job, error) {
	const settleTime, pause = 5 * time.Second, 100 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	for {
		j, err := s.cfg.Ledger.Update(ctx, id, func(j *job.Job) error {
			if j.Visible() {
				return errCommitted
			}
			return j.Delete(time.Now())
		})
		switch {
		case errors.Is(err, errCommitted):
			return j, nil
		case err == nil, errors.Is(err, job.ErrState), errors.Is(err, fs.ErrNotExist): // deleted, by us or before
			return job.Job{}, fmt.Errorf("%w: %w", errNever, cause)
		}
		select {
		case <-ctx.Done():
			return job.Job{}, fmt.Errorf("in doubt: %w: %w", http.ErrAbortHandler, cause)
		case <-time.After(pause):
		}
	}
}
