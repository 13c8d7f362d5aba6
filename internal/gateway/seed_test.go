package gateway_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"mp3converter/internal/embedded"
	"mp3converter/internal/job"
)

func (r *rig) job(id string) job.Job {
	r.Helper()
	j, err := r.ledger.Get(r.Context(), id)
	r.must(err)
	return j
}

// update alters a job as some service would.
func (r *rig) update(id string, change func(j *job.Job) error) job.Job {
	r.Helper()
	j, err := r.ledger.Update(r.Context(), id, change)
	r.must(err)
	return j
}

// insert stores a job that has come about without the gateway.
func (r *rig) insert(j job.Job) job.Job {
	r.Helper()
	r.must(r.ledger.Insert(r.Context(), j))
	return j
}

// put stores a file.
func (r *rig) put(in *embedded.Files, id, content string) job.File {
	r.Helper()
	f, err := in.Put(r.Context(), job.File{ID: id, Job: id, Owner: sid}, strings.NewReader(content))
	r.must(err)
	return f
}

// claim has a converter begin an attempt under the MP3 id that it returns.
func (r *rig) claim(id string) (mp3 string) {
	r.Helper()
	mp3 = job.NewID(time.Now())
	r.update(id, func(j *job.Job) error { return j.Claim(time.Now(), r.rules, "worker", mp3) })
	return mp3
}

// convert has a converter finish the job with an MP3.
func (r *rig) convert(id, content string) job.Job {
	r.Helper()
	f := r.put(r.mp3s, r.claim(id), content)
	return r.update(id, func(j *job.Job) error { return j.Commit(time.Now(), r.rules, j.Attempt, f, 90*time.Second) })
}

// fail has a converter give the job up.
func (r *rig) fail(id string) job.Job {
	r.Helper()
	r.claim(id)
	return r.update(id, func(j *job.Job) error {
		return j.Fail(time.Now(), r.rules, j.Attempt, job.ReasonTruncated, "8.7 of 10.0 s")
	})
}

// content is a stored file's, "" if there is none.
func (r *rig) content(in *embedded.Files, id string) string {
	r.Helper()
	_, f, err := in.Open(r.Context(), id)
	if errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	r.must(err)
	defer f.Close()
	b, err := io.ReadAll(f)
	r.must(err)
	return string(b)
}

// all returns the ids of all jobs, whatever their state, that somebody is to see to some day.
func (r *rig) all() []string {
	r.Helper()
	jobs, err := r.ledger.Due(r.Context(), time.Now().Add(1e5*time.Hour), 1000)
	r.must(err)
	var ids []string
	for _, j := range jobs {
		ids = append(ids, string(j.State)+" "+j.ID)
	}
	return ids
}

// stored lists everything in the stores' folders, parts included.
func (r *rig) stored() (names []string) {
	r.Helper()
	for _, store := range []string{"videos", "mp3s"} {
		r.must(filepath.WalkDir(filepath.Join(r.dir, store), func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && d.Name() != "lock" {
				names = append(names, path)
			}
			if errors.Is(err, os.ErrNotExist) { // it went while we looked
				return nil
			}
			return err
		}))
	}
	return names
}

// wantNothing checks that nothing is left of anything.
func (r *rig) wantNothing() {
	r.Helper()
	if jobs, files := r.all(), r.stored(); len(jobs) > 0 || len(files) > 0 {
		r.Errorf("left behind: jobs %q, files %q", jobs, files)
	}
}
