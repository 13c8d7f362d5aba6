package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"sync"
	"time"

	"mp3converter/internal/failpoint"
	"mp3converter/internal/job"
	"mp3converter/internal/trail"
	"mp3converter/internal/web"
)

var (
	errLost  = errors.New("the upload was taken for dead")
	errNever = errors.New("the upload can no longer become a job")
)

// order is what an upload's header asks for.
type order struct {
	owner    string
	key      string // the ledger's, of the Idempotency-Key; else empty
	profile  job.Profile
	boundary string
}

// upload makes a job of a form with one file. Whatever can be refused is refused before the first byte of the body is
// read: a client that expects 100-continue then never sends it.
func (s *Service) upload(w http.ResponseWriter, r *http.Request, owner string) error {
	if err := failpoint.At(failpoint.UploadAdmitted); err != nil {
		return err
	}
	o, err := s.admit(r, owner)
	if err != nil {
		return err
	}
	if err := s.places.take(owner); err != nil {
		return err
	}
	defer s.places.leave(owner)
	j, err := s.earlier(r.Context(), o.key)
	if err == nil {
		s.skip(r)
		return accepted(w, r, j)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	j, err = s.receive(r, o)
	if err != nil {
		if partly(r) {
			w.Header().Set("Connection", "close")
		}
		return err
	}
	s.received.Add(float64(j.VideoBytes))
	web.Note(r.Context(), "job", j.ID, "video_bytes", j.VideoBytes)
	s.ringSoon(r.Context(), j)
	if failpoint.At(failpoint.UploadReply) != nil {
		panic(http.ErrAbortHandler) // the answer is lost
	}
	return accepted(w, r, j)
}

// admit judges the header.
func (s *Service) admit(r *http.Request, owner string) (order, error) {
	if e := r.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return order{}, errEncoded
	}
	boundary, err := boundaryOf(r.Header)
	if err != nil {
		return order{}, err
	}
	if r.ContentLength > s.cfg.MaxUpload+maxFormBytes {
		return order{}, errTooLarge
	}
	key, err := uploadKey(owner, r.Header.Values("Idempotency-Key"))
	if err != nil {
		return order{}, err
	}
	profile, err := parseProfile(r.URL.Query().Get("profile"))
	if err != nil {
		return order{}, err
	}
	return order{owner, key, profile, boundary}, nil
}

func uploadKey(owner string, keys []string) (string, error) {
	if len(keys) == 0 {
		return "", nil
	}
	unprintable := func(c rune) bool { return c < ' ' || c > '~' }
	if len(keys) > 1 || keys[0] == "" || len(keys[0]) > 255 || strings.ContainsFunc(keys[0], unprintable) {
		return "", errBadKey
	}
	return job.UploadKey(owner, keys[0]), nil
}

// earlier returns the job that an upload with the same key has made, or begun to; fs.ErrNotExist if there is none.
func (s *Service) earlier(ctx context.Context, key string) (job.Job, error) {
	if key == "" {
		return job.Job{}, fs.ErrNotExist
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	j, err := s.cfg.Ledger.ByKey(ctx, key)
	if err != nil {
		return job.Job{}, fmt.Errorf("look for the key's job: %w", err)
	}
	return j, nil
}

// skip takes the body of an upload that is answered without it, for clients that read nothing before they have sent all.
func (s *Service) skip(r *http.Request) {
	if r.Header.Get("Expect") == "" {
		_, _ = io.CopyN(io.Discard, r.Body, s.cfg.MaxUpload+maxFormBytes) // whatever comes of it, the answer is the job
	}
}

func accepted(w http.ResponseWriter, r *http.Request, j job.Job) error {
	if fromPage(r) {
		return backToPage(w, r)
	}
	w.Header().Set("Location", "/jobs/"+j.ID)
	if web.WantsJSON(r) {
		return web.JSON(w, http.StatusOK, j.View())
	}
	web.Text(w, http.StatusOK, "success!")
	return nil
}

// receive stores the file and makes the job real. The ledger names the upload before its first byte is stored; what a
// failing one leaves goes at once.
func (s *Service) receive(r *http.Request, o order) (job.Job, error) {
	ctx := r.Context()
	j, err := s.announce(ctx, o.owner, s.roomFor(r))
	if err != nil {
		return job.Job{}, err
	}
	f := newForm(r.Body, o.boundary, s.cfg.MaxUpload, o.profile)
	if j.VideoBytes < s.cfg.MaxUpload {
		f.maxFile, f.tooLarge = j.VideoBytes, s.noRoom(j.VideoBytes, false)
	}
	video, err := s.store(ctx, j, f)
	if err != nil {
		s.undo(ctx, j.ID, err)
		return job.Job{}, err
	}
	j, err = s.commit(ctx, o.key, f.Profile, video)
	if errors.Is(err, errLost) || errors.Is(err, errNever) || errors.Is(err, fs.ErrExist) {
		s.undo(ctx, video.ID, err)
	}
	if errors.Is(err, fs.ErrExist) { // another upload with the same key was faster
		return s.earlier(ctx, o.key)
	}
	return j, err
}

// store streams the form's file into the store while it keeps the upload alive in the ledger.
func (s *Service) store(ctx context.Context, j job.Job, f *form) (job.File, error) {
	ctx, stop := s.keep(ctx, j.ID)
	defer stop()
	if err := f.open(); err != nil {
		return job.File{}, err
	}
	video, err := s.cfg.Videos.Put(ctx, job.File{ID: j.ID, Job: j.ID, Owner: j.Owner, Name: f.Name, Type: f.Type}, f)
	switch cause := context.Cause(ctx); {
	case err != nil && errors.Is(cause, errLost):
		return job.File{}, fmt.Errorf("store video %s: %w", j.ID, cause)
	case err != nil:
		return job.File{}, fmt.Errorf("store video %s: %w", j.ID, err)
	}
	return video, nil
}

// keep tells the ledger three times a lease that the upload lives, until stop is called. When the ledger says that the
// upload was taken for dead, the context it returns ends.
func (s *Service) keep(ctx context.Context, id string) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	var keeper sync.WaitGroup
	keeper.Go(func() {
		ctx := trail.Quiet(ctx)
		tick := time.NewTicker(max(s.cfg.Rules.UploadLease/3, time.Millisecond))
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			_, err := s.cfg.Ledger.Update(ctx, id, func(j *job.Job) error { return j.StillUploading(time.Now(), s.cfg.Rules) })
			if errors.Is(err, job.ErrLost) || errors.Is(err, fs.ErrNotExist) {
				cancel(errLost)
			} // any other failure is the ledger's, and the lease outlives a few
		}
	})
	return ctx, func() { cancel(nil); keeper.Wait() }
}

// undo removes what a failed upload has left: first its pieces, then the record that names them. The sweeper does what
// fails here, and keeps the record for a second look where pieces may come yet.
func (s *Service) undo(ctx context.Context, id string, why error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTime)
	defer cancel()
	err := s.cfg.Videos.Delete(ctx, id)
	switch {
	case err != nil:
	case errors.Is(why, job.ErrUnsettled):
		_, err = s.cfg.Ledger.Update(ctx, id, func(j *job.Job) error { return j.Delete(time.Now()) })
	default:
		err = s.cfg.Ledger.Remove(ctx, id)
	}
	if err != nil {
		web.Note(ctx, "undo", err)
	}
}
