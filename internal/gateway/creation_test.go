package gateway_test

import (
	"bytes"
	"net/http"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"mp3converter/internal/gateway"
	"mp3converter/internal/job"
)

// create begins an upload of 5 bytes, or of as many as the headers say.
func (r *rig) create(user, key string, headers ...string) answer {
	r.Helper()
	a, err := r.tus(http.MethodPost, "/uploads/", user, nil, append([]string{"Upload-Length", "5", "Idempotency-Key", key}, headers...)...)
	r.must(err)
	return a
}

// Whoever repeats a creation finds the upload that it has made, as long as there is one.
func TestACreationRepeatedIsOneUpload(t *testing.T) {
	t.Parallel()
	r := start(t)
	first := r.create(sid, "k")
	r.want(first, http.StatusCreated, "")
	path := first.header.Get("Location")
	same := func(what string, a answer, want bool) {
		t.Helper()
		r.want(a, http.StatusCreated, "")
		if got := a.header.Get("Location") == path; got != want {
			t.Errorf("%s: the same upload: %v, want %v", what, got, want)
		}
	}
	again := r.create(sid, "k")
	same("again", again, true)
	if again.header.Get("Upload-Expires") == "" {
		t.Error("nobody says when it expires")
	}
	same("somebody else's", r.create(ann, "k"), false)
	same("another key", r.create(sid, "K"), false)
	same("without a key", r.create(sid, ""), false)
	r.wantProblem(r.create(sid, "k", "Upload-Length", "6"), http.StatusBadRequest, "Idempotency-Key is that of an upload of another length")
	r.wantProblem(r.create(sid, "ü"), http.StatusBadRequest, "Idempotency-Key must be one value")
	plain := r.do(request{path: "/upload", form: file("another video"), header: http.Header{"Idempotency-Key": {"k"}}})
	r.want(plain, http.StatusOK, "success!")
	if id := idOf(path); plain.header.Get("Location") == "/jobs/"+id {
		t.Error("an upload that is not whole is answered as a job")
	}

	r.add(path, 0, []byte("vid"))
	same("when some of it is there", r.create(sid, "k"), true)
	r.wantOffset(path, 3)
	r.add(path, 3, []byte("eo"))
	same("when all of it is there", r.create(sid, "k"), true)
	r.convert(idOf(path), "sound")
	same("when it is converted", r.create(sid, "k"), true)
	r.update(idOf(path), func(j *job.Job) error { j.VideoGone, j.VideoWas, j.VideoBytes = true, j.VideoBytes, 0; return nil })
	same("when its video is not kept any more", r.create(sid, "k"), true)
	r.wantOffset(path, 5)
	r.want(r.do(request{method: http.MethodDelete, path: "/jobs/" + idOf(path)}), http.StatusNoContent, "")
	same("when it is deleted", r.create(sid, "k"), false)
}

func TestFirstBytesOfARepeatedCreationAreNotTakenTwice(t *testing.T) {
	t.Parallel()
	r := start(t)
	create := func(first string) answer {
		t.Helper()
		a, err := r.tus(http.MethodPost, "/uploads/", "", bytes.NewReader([]byte(first)), "Upload-Length", "5", "Idempotency-Key", "k")
		r.must(err)
		r.want(a, http.StatusCreated, "")
		return a
	}
	path := create("vi").header.Get("Location")
	for _, offset := range []int{2, 4, 5} {
		a := create("vi")
		if got := a.header.Get("Upload-Offset"); a.header.Get("Location") != path || got != strconv.Itoa(offset) {
			t.Errorf("again: %v, want %s at %d", a.header, path, offset)
		}
		if offset < 5 {
			r.add(path, offset, []byte("video")[offset:min(offset+2, 5)])
		}
	}
	if got := r.content(r.videos, idOf(path)); got != "video" {
		t.Errorf("%q is stored", got)
	}
	if n := r.rings(idOf(path)); n != 1 {
		t.Errorf("rung for %d times", n)
	}
}

// A lost answer to a creation costs nothing of the quota beside what its repetition does.
func TestARepeatedCreationHoldsItsQuotaOnce(t *testing.T) {
	t.Parallel()
	r := start(t, func(_ *rig, cfg *gateway.Config) { cfg.QuotaBytes, cfg.QuotaJobs = 9, 1 })
	const rivals = 8
	var g errgroup.Group
	paths := make([]string, rivals)
	for i := range rivals {
		g.Go(func() error {
			for deadline := time.Now().Add(wait); time.Now().Before(deadline); { // of two at once, one may be asked to come again
				a, err := r.tus(http.MethodPost, "/uploads/", "", nil, "Upload-Length", "5", "Idempotency-Key", "k")
				if err != nil || a.status == http.StatusCreated {
					paths[i] = a.header.Get("Location")
					return err
				}
			}
			return nil
		})
	}
	r.must(g.Wait())
	for _, path := range paths {
		if path == "" || path != paths[0] {
			t.Errorf("the uploads are %q, want one", paths)
			break
		}
	}
	if all := r.all(); len(all) != 1 {
		t.Errorf("jobs %q", all)
	}
	if a := r.create(sid, "another"); a.status != http.StatusRequestEntityTooLarge && a.status != http.StatusTooManyRequests {
		t.Errorf("another one = %d %s, though the quota is held", a.status, a.body)
	}
	r.add(paths[0], 0, []byte("video"))
}
