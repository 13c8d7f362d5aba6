package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"time"

	tus "github.com/tus/tusd/v2/pkg/handler"

	"mp3converter/internal/failpoint"
	"mp3converter/internal/job"
	"mp3converter/internal/trail"
	"mp3converter/internal/web"
)

// arriving is a resumable upload as one request has read it. It is tusd's Upload.
type arriving struct {
	*resumer
	x   *exchange
	job job.Job

	again bool // the request is to make it, and one before has done so
}

// NewUpload names the upload in the ledger, where it holds what it may come to until it is whole, deleted or dead. If one with the
// same Idempotency-Key is there, it is that one: so a client that has lost the answer finds it again.
func (r *resumer) NewUpload(ctx context.Context, info tus.FileInfo) (tus.Upload, error) {
	x := exchangeOf(ctx)
	key, err := creationKey(x.user, x.keys)
	if err != nil {
		return nil, x.fail(err)
	}
	j, again, err := r.createOnce(ctx, x.user, key, info)
	if err != nil {
		return nil, x.fail(err)
	}
	u := r.upload(ctx, x, j)
	u.again = again
	return u, nil
}

// GetUpload finds the upload, and finishes it if somebody died before that.
func (r *resumer) GetUpload(ctx context.Context, id string) (tus.Upload, error) {
	x := exchangeOf(ctx)
	r.writers.release(ctx, id, x.user)
	j, err := r.find(ctx, x.user, id)
	if err == nil && j.Whole() {
		j, err = r.finish(ctx, j)
	}
	if err != nil {
		return nil, x.fail(err)
	}
	return r.upload(ctx, x, j), nil
}

func (r *resumer) upload(ctx context.Context, x *exchange, j job.Job) *arriving {
	web.Note(ctx, "job", j.ID)
	u := &arriving{resumer: r, x: x, job: j}
	u.read(j)
	return u
}

// read takes in the job as it is by now.
func (u *arriving) read(j job.Job) {
	u.job, u.x.expires = j, time.Time{}
	if j.State == job.Uploading {
		u.x.expires = j.CleanAt
	}
}

// find returns the user's upload; of one that is whole, the job.
func (r *resumer) find(ctx context.Context, user, id string) (job.Job, error) {
	if !job.IsID(id) {
		return job.Job{}, errNoUpload
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	j, err := r.service.cfg.Ledger.Get(ctx, id)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && (j.Owner != user || !j.Visible() && j.Arrival == nil):
		return job.Job{}, errNoUpload
	case err != nil:
		return job.Job{}, fmt.Errorf("get upload %s: %w", id, err)
	}
	return j, nil
}

// GetInfo tells tusd how far it is. For whoever makes it, that is at its beginning.
func (u *arriving) GetInfo(context.Context) (tus.FileInfo, error) {
	info := tus.FileInfo{
		ID: u.job.ID, Size: length(u.job), Offset: arrived(u.job),
		MetaData: tus.MetaData{"filename": u.job.Name, "profile": string(u.job.Profile)},
	}
	if u.again {
		info.Offset = 0
	}
	return info, nil
}

// length is in bytes, even of a video that is not kept any more.
func length(j job.Job) int64 { return j.VideoBytes + j.VideoWas } // one of them is 0

// arrived is how many of them are here.
func arrived(j job.Job) int64 {
	if j.State == job.Uploading {
		return j.Arrival.Offset
	}
	return length(j)
}

// GetReader is for downloads, which there are none of.
func (u *arriving) GetReader(context.Context) (io.ReadCloser, error) { return nil, errMethod }

// WriteChunk adds what src yields, and returns how much of it is durable. From here on no writer before counts. First bytes that
// come with a creation again are not looked at: where to go on is wherever those of before have come to.
func (u *arriving) WriteChunk(ctx context.Context, offset int64, src io.Reader) (int64, error) {
	if u.again {
		_, err := io.Copy(io.Discard, src) // for clients that read nothing before they have sent all
		return arrived(u.job), err
	}
	last, err := u.add(ctx, offset, src)
	if err != nil {
		err = u.x.fail(err)
	}
	return last - offset, err
}

func (u *arriving) add(ctx context.Context, offset int64, src io.Reader) (last int64, err error) {
	service, id := u.service, u.job.ID
	note := func(ctx context.Context, change func(j *job.Job) error) error {
		ctx, cancel := context.WithTimeout(ctx, callTime)
		defer cancel()
		j, err := service.cfg.Ledger.Update(ctx, id, change)
		if err == nil {
			u.read(j)
		}
		return err
	}
	err = note(ctx, func(j *job.Job) error { return j.ClaimArrival(time.Now(), service.cfg.Rules, offset) })
	switch {
	case errors.Is(err, job.ErrState):
		return offset, errOffset
	case errors.Is(err, job.ErrLost), errors.Is(err, fs.ErrNotExist):
		return offset, errNoUpload
	case err != nil:
		return offset, fmt.Errorf("claim upload %s: %w", id, err)
	}
	if u.x.body != nil {
		defer u.writers.add(id, u.x.user, func() { u.x.body.interrupt(errTaken) })()
	}
	ctx = context.WithoutCancel(ctx) // what came is kept when the client goes: then src ends, and Append with it
	err = service.cfg.Arrivals.Append(ctx, fileOf(u.job), *u.job.Arrival, src, func(ctx context.Context, a job.Arrival) error {
		return note(trail.Quiet(ctx), func(j *job.Job) error { return j.Advance(time.Now(), service.cfg.Rules, a) })
	})
	web.Note(ctx, "bytes_added", u.job.Arrival.Offset-offset)
	return u.job.Arrival.Offset, err
}

// fileOf describes the video, of which not all need have arrived.
func fileOf(j job.Job) job.File {
	return job.File{ID: j.ID, Job: j.ID, Owner: j.Owner, Name: j.Name, Type: "application/octet-stream", Bytes: j.VideoBytes}
}

// FinishUpload makes the upload a job. Then the answer to it means what a 200 on /upload does.
func (u *arriving) FinishUpload(ctx context.Context) error {
	if u.job.Visible() {
		return nil
	}
	j, err := u.finish(ctx, u.job)
	if err != nil {
		return u.x.fail(err)
	}
	u.read(j)
	if failpoint.At(failpoint.UploadReply) != nil {
		return u.x.fail(http.ErrAbortHandler) // the answer is lost
	}
	return nil
}

// finish makes a whole upload a job, and rings for it. Several may do so at once, and whoever fails leaves it to the next who
// asks: all that it takes is in the ledger.
func (r *resumer) finish(ctx context.Context, j job.Job) (job.Job, error) {
	ctx = context.WithoutCancel(ctx)
	video, err := r.service.cfg.Arrivals.Complete(ctx, fileOf(j), *j.Arrival)
	if err != nil {
		return job.Job{}, err
	}
	queued, _, err := r.service.arrive(ctx, "", j.Profile, video)
	switch {
	case errors.Is(err, errCommitted):
		return queued, nil
	case errors.Is(err, job.ErrLost), errors.Is(err, fs.ErrNotExist): // deleted meanwhile
		return job.Job{}, errors.Join(errNoUpload, r.service.cfg.Videos.Delete(ctx, j.ID))
	case err != nil:
		return job.Job{}, fmt.Errorf("commit %s: %w", j.ID, err)
	}
	r.service.received.Add(float64(queued.VideoBytes))
	web.Note(ctx, "video_bytes", queued.VideoBytes)
	r.service.ringSoon(ctx, queued)
	return queued, nil
}

// AsTerminatableUpload is tusd's way to Terminate.
func (r *resumer) AsTerminatableUpload(u tus.Upload) tus.TerminatableUpload { return u.(*arriving) }

// Terminate ends an upload that is not whole, and removes what has arrived of it, as deleteJob does.
func (u *arriving) Terminate(ctx context.Context) error {
	if err := u.terminate(ctx); err != nil {
		return u.x.fail(err)
	}
	u.x.expires = time.Time{}
	return nil
}

func (u *arriving) terminate(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	j, err := u.service.cfg.Ledger.Update(ctx, u.job.ID, func(j *job.Job) error {
		if j.Visible() {
			return errWhole
		}
		return j.Delete(time.Now())
	})
	switch {
	case errors.Is(err, job.ErrState), errors.Is(err, fs.ErrNotExist):
		return errNoUpload
	case err != nil:
		return err
	}
	if err := u.service.cleaner.settle(ctx, j); err != nil {
		web.Note(ctx, "clean", err)
	}
	return nil
}
