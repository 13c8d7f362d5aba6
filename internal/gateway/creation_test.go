package gateway_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
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
				switch {
				case err != nil:
					return err
				case a.status == http.StatusCreated:
					paths[i] = a.header.Get("Location")
					return nil
				case a.status != http.StatusTooManyRequests && a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "":
					return fmt.Errorf("a creation is answered %d %s", a.status, a.body)
				}
			}
			return errors.New("no creation gets through")
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

// waits is a fault that has the n-th call of op wait, and then fail if it is to. reached is closed when it is there.
func waits(op string, n int32, fail bool) (fault around, reached <-chan struct{}, release func()) {
	var seen atomic.Int32
	here, gone := make(chan struct{}), make(chan struct{})
	return func(got string, call func() error) error {
		if got == op && seen.Add(1) == n {
			close(here)
			<-gone
			if fail {
				return errDown
			}
		}
		return call()
	}, here, sync.OnceFunc(func() { close(gone) })
}

func (r *rig) createAsync(key string) <-chan answer {
	h := http.Header{"Tus-Resumable": {"1.0.0"}, "Upload-Length": {"5"}, "Idempotency-Key": {key}}
	return r.async(request{method: http.MethodPost, path: "/uploads/", header: h})
}

func TestAnUploadThatARepetitionWasToldOfStays(t *testing.T) {
	t.Parallel()
	fault, judged, release := waits("usage", 1, true)
	r := start(t, broken(fault))
	t.Cleanup(release)
	first := r.createAsync("k")
	<-judged
	again := r.create(sid, "k")
	r.want(again, http.StatusCreated, "")
	release()
	r.wantProblem(<-first, http.StatusServiceUnavailable, "try again")
	path := again.header.Get("Location")
	r.wantOffset(path, 0)
	r.add(path, 0, []byte("video"))
	if all := r.all(); len(all) != 1 || r.content(r.videos, idOf(path)) != "video" {
		t.Errorf("jobs %q, want one with its video", all)
	}
}

func TestARepetitionIsNotToldOfAnUploadThatWasTakenBack(t *testing.T) {
	t.Parallel()
	first, firstJudged, releaseFirst := waits("usage", 1, true)
	second, secondJudged, releaseSecond := waits("usage", 1, false) // of those that the first lets pass
	r := start(t, broken(both(first, second)))
	t.Cleanup(releaseFirst)
	t.Cleanup(releaseSecond)
	gone := r.createAsync("k")
	<-firstJudged
	again := r.createAsync("k")
	<-secondJudged
	releaseFirst()
	r.wantProblem(<-gone, http.StatusServiceUnavailable, "try again")
	releaseSecond()
	a := <-again
	r.want(a, http.StatusCreated, "")
	r.add(a.header.Get("Location"), 0, []byte("video"))
	if all := r.all(); len(all) != 1 {
		t.Errorf("jobs %q, want one", all)
	}
}

// Whatever breaks off a creation, its repetition finds or makes the one upload that there is.
func TestACreationThatFailedCanBeRepeated(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]around{
		"at the look for the key":                    instead("by key", 1),
		"at the announcement":                        instead("insert", 1),
		"after the announcement":                     after("insert", 1),
		"at the judgement":                           instead("usage", 1),
		"at the judgement, and at taking it back":    both(instead("usage", 1), instead("update", 1)),
		"at the judgement, and at forgetting it":     both(instead("usage", 1), instead("remove", 1)),
		"at the admission":                           instead("update", 1),
		"after the admission":                        after("update", 1),
		"at the admission, and at taking it back":    both(instead("update", 1), instead("update", 1)),
		"after the admission, and at taking it back": both(after("update", 1), instead("update", 2)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, broken(fault), func(_ *rig, cfg *gateway.Config) { cfg.QuotaJobs = 1 })
			r.wantProblem(r.create(sid, "k"), http.StatusServiceUnavailable, "try again")
			a := r.create(sid, "k")
			r.want(a, http.StatusCreated, "")
			r.add(a.header.Get("Location"), 0, []byte("video"))
		})
	}
}

func TestAnAdapterThatAnnouncesTwiceMakesOneUpload(t *testing.T) {
	t.Parallel()
	for _, op := range []string{"insert", "update"} {
		r := start(t, broken(twice(op)))
		a := r.create(sid, "k")
		r.want(a, http.StatusCreated, "")
		if all := r.all(); len(all) != 1 {
			t.Errorf("%s: jobs %q, want one", op, all)
		}
	}
}

// Rivals that step back may each time be there when the key is to be taken, and gone when their upload is looked for.
func TestACreationIsTriedAgainWhenItsRivalStepsBack(t *testing.T) {
	t.Parallel()
	for rivals, status := range map[int32]int{1: http.StatusCreated, 3: http.StatusCreated, 4: http.StatusServiceUnavailable} {
		var seen atomic.Int32
		r := start(t, broken(func(op string, call func() error) error {
			if op == "insert" && seen.Add(1) <= rivals {
				return fs.ErrExist
			}
			return call()
		}))
		a := r.create(sid, "k")
		if a.status != status || status != http.StatusCreated && a.header.Get("Retry-After") == "" {
			t.Errorf("after %d rivals: %d %s, want %d", rivals, a.status, a.body, status)
		}
	}
}
