package gateway_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mp3converter/internal/job"
)

func (r *rig) json(a answer, status int) (v map[string]any) {
	r.Helper()
	if a.status != status || a.header.Get("Content-Type") != "application/json" {
		r.Fatalf("answer = %d %s %s, want %d in JSON", a.status, a.header.Get("Content-Type"), a.body, status)
	}
	r.must(json.Unmarshal([]byte(a.body), &v))
	return v
}

func TestAJobAsItsOwnerSeesIt(t *testing.T) {
	t.Parallel()
	r := start(t)
	stamp := func(t time.Time) any { return t.Format(time.RFC3339Nano) }
	plain := func(j job.Job) map[string]any {
		return map[string]any{
			"id": j.ID, "state": string(j.State), "file_name": "vid_1.mp4", "profile": "standard", "progress": 0.0, "attempts": 0.0,
			"reason": nil, "detail": nil, "mail": nil, "video_fid": j.ID, "mp3_fid": nil, "bytes": 5.0, "mp3_bytes": nil,
			"duration_seconds": nil, "created_at": stamp(j.Created), "started_at": nil, "ended_at": nil,
			"video_until": nil, "mp3_until": nil,
		}
	}
	const hour, month = time.Hour, 30 * 24 * time.Hour
	with := func(v map[string]any, more map[string]any) map[string]any {
		for k, x := range more {
			v[k] = x
		}
		return v
	}
	queued := r.upload("video")
	running := r.upload("video")
	r.claim(running.ID)
	running = r.update(running.ID, func(j *job.Job) error { return j.Renew(time.Now(), r.rules, 1, 42) })
	converted := r.convert(r.upload("video").ID, "sound")
	failed := r.fail(r.upload("video").ID)
	plainly := r.upload("video")
	r.claim(plainly.ID)
	plainly = r.update(plainly.ID, func(j *job.Job) error { return j.Fail(time.Now(), r.rules, 1, job.ReasonNoAudio, "") })
	done := r.convert(r.upload("video").ID, "sound")
	done = r.update(done.ID, func(j *job.Job) error { return j.ClaimMail(time.Now(), r.rules, "mailer") })
	done = r.update(done.ID, func(j *job.Job) error { return j.MailAccepted(1) })

	for name, tt := range map[string]struct {
		job  job.Job
		want map[string]any
	}{
		"queued":  {queued, nil},
		"running": {running, map[string]any{"progress": 42.0, "attempts": 1.0, "started_at": stamp(running.Started)}},
		"converted": {converted, map[string]any{
			"progress": 100.0, "attempts": 1.0, "mail": "pending", "mp3_fid": converted.MP3, "mp3_bytes": 5.0,
			"duration_seconds": 90.0, "started_at": stamp(converted.Started), "ended_at": stamp(converted.Ended),
			"video_until": stamp(converted.Ended.Add(24 * hour)), "mp3_until": stamp(converted.Ended.Add(month)),
		}},
		"done": {done, map[string]any{
			"progress": 100.0, "attempts": 1.0, "mail": "sent", "mp3_fid": done.MP3, "mp3_bytes": 5.0,
			"duration_seconds": 90.0, "started_at": stamp(done.Started), "ended_at": stamp(done.Ended),
			"video_until": stamp(done.Ended.Add(24 * hour)), "mp3_until": stamp(done.Ended.Add(month)),
		}},
		"failed": {failed, map[string]any{
			"attempts": 1.0, "reason": "truncated", "detail": "8.7 of 10.0 s", "mail": "pending",
			"started_at": stamp(failed.Started), "ended_at": stamp(failed.Ended), "video_until": stamp(failed.Ended.Add(month)),
		}},
		"failed, without more to say": {plainly, map[string]any{
			"attempts": 1.0, "reason": "no_audio", "detail": job.ReasonNoAudio.Text(), "mail": "pending",
			"started_at": stamp(plainly.Started), "ended_at": stamp(plainly.Ended), "video_until": stamp(plainly.Ended.Add(month)),
		}},
	} {
		got := r.json(r.do(request{path: "/jobs/" + tt.job.ID}), 200)
		if diff := cmp.Diff(with(plain(tt.job), tt.want), got); diff != "" {
			t.Errorf("%s job (-want +got):\n%s", name, diff)
		}
	}
}

func TestJobsAreTheirOwners(t *testing.T) {
	t.Parallel()
	r := start(t)
	mine, failed := r.upload("video"), r.fail(r.upload("video").ID)
	uploading := r.insert(job.New(time.Now(), r.rules, job.NewID(time.Now()), sid))
	deleted := r.upload("video")
	r.update(deleted.ID, func(j *job.Job) error { return j.Delete(time.Now()) })
	for name, tt := range map[string]struct{ id, user string }{
		"an unknown job":              {job.NewID(time.Now()), sid},
		"somebody else's":             {mine.ID, ann},
		"somebody else's failed":      {failed.ID, ann},
		"one that is still uploading": {uploading.ID, sid},
		"one that is deleted":         {deleted.ID, sid},
		"no id":                       {"no-id", sid},
		"a path":                      {"..%2F..%2Fetc", sid},
		"upper case":                  {strings.ToUpper("abcdef0123456789abcdef01"), sid},
	} {
		for _, q := range []request{
			{path: "/jobs/" + tt.id},
			{path: "/jobs/" + tt.id, method: http.MethodDelete},
			{path: "/jobs/" + tt.id + "/retry", method: http.MethodPost},
		} {
			q.token = tt.user
			a := r.do(q)
			if a.status != 404 || a.body != "no such job" {
				t.Errorf("%s %s of %s: %d %q", q.method, q.path, name, a.status, a.body)
			}
		}
	}
	if j := r.job(mine.ID); j.Version != mine.Version {
		t.Errorf("somebody else has altered the job: %+v", j)
	}
}

func TestJobsAreListedByPage(t *testing.T) {
	t.Parallel()
	r := start(t)
	var want []any
	for i := range 7 {
		j := job.New(time.Now(), r.rules, job.NewID(time.Unix(int64(1e9+i), 0)), sid)
		r.must(j.Arrived(time.Now(), r.rules, job.File{Name: fmt.Sprint(i)}))
		r.insert(j)
		want = append([]any{j.ID}, want...)
	}
	r.insert(job.New(time.Now(), r.rules, job.NewID(time.Now()), sid)) // still uploading
	page := func(query string) (ids []any, next any) {
		v := r.json(r.do(request{path: "/jobs" + query}), 200)
		for _, j := range v["jobs"].([]any) {
			ids = append(ids, j.(map[string]any)["id"])
		}
		return ids, v["next"]
	}
	if got, next := page(""); !cmp.Equal(got, want) || next != nil {
		t.Errorf("all = %v, next %v, want %v", got, next, want)
	}
	var got []any
	query := "?limit=3"
	for range 3 {
		ids, next := page(query)
		got = append(got, ids...)
		query = fmt.Sprint("?limit=3&before=", next)
		if (next == nil) != (len(got) == len(want)) {
			t.Errorf("after %d of %d jobs next is %v", len(got), len(want), next)
		}
	}
	if !cmp.Equal(got, want) {
		t.Errorf("by page = %v, want %v", got, want)
	}
	if a := r.do(request{path: "/jobs", token: ann}); a.body != `{"jobs":[],"next":null}` {
		t.Errorf("somebody else sees %s", a.body)
	}
	for _, query := range []string{"?limit=0", "?limit=-1", "?limit=201", "?limit=x", "?limit=1e1", "?before=x", "?before=ABCDEF0123456789ABCDEF01"} {
		r.wantProblem(r.do(request{path: "/jobs" + query}), 400, "limit must be")
	}
}

func TestAFailedJobIsRetried(t *testing.T) {
	t.Parallel()
	r := start(t)
	failed := r.fail(r.upload("video").ID)
	v := r.json(r.do(request{path: "/jobs/" + failed.ID + "/retry", method: http.MethodPost}), 202)
	if v["state"] != "queued" || v["reason"] != nil || v["attempts"] != 0.0 {
		t.Errorf("answer = %v", v)
	}
	if n := r.rings(failed.ID); n != 2 {
		t.Errorf("rung %d times, want one more than after the upload", n)
	}
	again := r.do(request{path: "/jobs/" + failed.ID + "/retry", method: http.MethodPost})
	r.want(again, 409, "only a failed job can be retried")
}

func TestJobsThatCannotBeRetried(t *testing.T) {
	t.Parallel()
	r := start(t)
	gone := r.fail(r.upload("video").ID)
	r.must(r.videos.Delete(t.Context(), gone.ID))
	running := r.upload("video")
	r.claim(running.ID)
	for name, tt := range map[string]struct{ id, text string }{
		"queued":                 {r.upload("video").ID, "only a failed job can be retried"},
		"running":                {running.ID, "only a failed job can be retried"},
		"converted":              {r.convert(r.upload("video").ID, "sound").ID, "only a failed job can be retried"},
		"failed, the video gone": {gone.ID, "the uploaded file is gone: upload it again"},
	} {
		before := r.job(tt.id)
		a := r.do(request{path: "/jobs/" + tt.id + "/retry", method: http.MethodPost})
		if a.status != 409 || a.body != tt.text {
			t.Errorf("%s: answer = %d %q", name, a.status, a.body)
		}
		if diff := cmp.Diff(before, r.job(tt.id)); diff != "" {
			t.Errorf("%s: the job has changed:\n%s", name, diff)
		}
	}
}

func TestAJobIsDeletedWithItsFiles(t *testing.T) {
	t.Parallel()
	r := start(t, hasty)
	running := r.upload("video")
	lost := r.claim(running.ID)
	r.put(r.mp3s, lost, "half a sound")
	for name, id := range map[string]string{
		"queued":    r.upload("video").ID,
		"running":   running.ID,
		"converted": r.convert(r.upload("video").ID, "sound").ID,
		"failed":    r.fail(r.upload("video").ID).ID,
	} {
		a := r.do(request{path: "/jobs/" + id, method: http.MethodDelete})
		if a.status != 204 || a.body != "" {
			t.Errorf("%s: answer = %d %q", name, a.status, a.body)
		}
		r.want(r.do(request{path: "/jobs/" + id}), 404, "no such job")
		r.want(r.do(request{path: "/jobs/" + id, method: http.MethodDelete}), 404, "no such job")
	}
	if files := r.stored(); len(files) > 0 {
		t.Errorf("files %q are left", files)
	}
	r.put(r.mp3s, lost, "a sound of a worker that has slept")
	r.sweep()
	r.wantNothing()
}
