package gateway_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mp3converter/internal/gateway"
	"mp3converter/internal/job"
)

// mailed has notification send the job's mail.
func (r *rig) mailed(id string) job.Job {
	r.Helper()
	r.update(id, func(j *job.Job) error { return j.ClaimMail(time.Now(), r.rules, "mailer") })
	return r.update(id, func(j *job.Job) error { return j.MailAccepted(j.MailAttempt) })
}

// ages makes the job as old as if it had ended so long before it has.
func (r *rig) ages(id string, by time.Duration) job.Job {
	r.Helper()
	return r.update(id, func(j *job.Job) error {
		for _, at := range []*time.Time{&j.Created, &j.Ended, &j.VideoUntil, &j.MP3Until, &j.CleanAt} {
			if !at.IsZero() {
				*at = at.Add(-by)
			}
		}
		return nil
	})
}

const day = 24 * time.Hour

func TestWhatWasKeptLongEnoughGoes(t *testing.T) {
	t.Parallel()
	r := start(t, withLinks(linkSecret))
	done := r.convert(r.upload("video").ID, "sound")
	r.mailed(done.ID)
	query := keyOf(t, linkSecret).Query(done.MP3, sid, soon())
	owed := r.convert(r.upload("video").ID, "sound") // whose mail is not sent yet
	r.ages(owed.ID, 100*day)
	if used := r.usage(sid).Stored; used != 20 {
		t.Errorf("before: the quota has %d bytes", used)
	}

	done = r.ages(done.ID, day)
	r.sweep()
	if r.content(r.videos, done.ID) != "" || r.content(r.mp3s, done.MP3) != "sound" {
		t.Errorf("after a day: video %q, MP3 %q", r.content(r.videos, done.ID), r.content(r.mp3s, done.MP3))
	}
	r.want(r.do(request{path: "/download?fid=" + done.ID}), 200, "sound")
	if used := r.usage(sid).Stored; used != 15 {
		t.Errorf("after a day: the quota has %d bytes", used)
	}

	done = r.ages(done.ID, 29*day)
	gone := "the MP3 was kept until " + done.MP3Until.Format("2 January 2006, 15:04 UTC") + ": upload the video again to get another"
	for _, swept := range []bool{false, true} {
		if swept {
			r.sweep()
		}
		for _, fid := range []string{done.MP3, done.ID} {
			r.want(r.do(request{path: "/download?fid=" + fid}), http.StatusGone, gone)
			r.want(r.do(request{path: "/download?fid=" + fid, token: ann}), 404, "no such file")
		}
		r.want(r.follow(query, nil), http.StatusGone, gone)
		a := r.do(request{path: "/download?fid=" + done.MP3, header: http.Header{"Accept": {"application/json"}}})
		if a.status != http.StatusGone || a.header.Get("Content-Type") != "application/problem+json" || !strings.Contains(a.body, gone) {
			t.Errorf("in JSON: %d %v %s", a.status, a.header, a.body)
		}
	}
	if r.content(r.mp3s, done.MP3) != "" {
		t.Error("after 30 days the MP3 is there")
	}
	if used := r.usage(sid).Stored; used != 10 {
		t.Errorf("after 30 days: the quota has %d bytes, want those of the job whose mail is owed", used)
	}
	if r.content(r.videos, owed.ID) != "video" || r.content(r.mp3s, owed.MP3) != "sound" {
		t.Error("what its owner was not told of is gone")
	}
	v := r.json(r.do(request{path: "/jobs/" + done.ID}), 200)
	if v["state"] != "done" || v["bytes"] != 5.0 || v["mp3_bytes"] != 5.0 || v["mp3_until"] != done.MP3Until.Format(time.RFC3339Nano) {
		t.Errorf("the job is shown as %v", v)
	}
	r.want(r.do(request{method: http.MethodDelete, path: "/jobs/" + done.ID}), http.StatusNoContent, "")
}

// Two messages of the original's form, published by hand, may name one MP3: two jobs have it then.
func TestAnMP3ThatTwoJobsPromiseGoesWithTheLastOfThem(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(r *rig, id string){
		"kept long enough": func(r *rig, id string) { r.ages(id, 30*day) },
		"deleted": func(r *rig, id string) {
			r.want(r.do(request{method: http.MethodDelete, path: "/jobs/" + id}), http.StatusNoContent, "")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, hasty)
			mp3 := r.put(r.mp3s, job.NewID(time.Now()), "sound").ID
			promised := func() string {
				m := job.Message{Video: job.NewID(time.Now()), MP3: mp3, Username: sid}
				r.insert(job.Adopt(time.Now(), r.rules, m, job.File{Name: "a.mp4"}))
				return r.mailed(m.Video).ID
			}
			first, second := promised(), promised()
			end(r, first)
			r.sweep()
			r.want(r.do(request{path: "/download?fid=" + second}), http.StatusOK, "sound")
			end(r, second)
			r.sweep()
			if left := r.content(r.mp3s, mp3); left != "" {
				t.Errorf("the MP3 that nobody is promised is %q", left)
			}
		})
	}
}

func TestAnMP3OfOursThatAMessageNamesStaysForItsJob(t *testing.T) {
	t.Parallel()
	r := start(t, hasty)
	ours := r.convert(r.upload("video").ID, "sound")
	m := job.Message{Video: job.NewID(time.Now()), MP3: ours.MP3, Username: ann}
	r.insert(job.Adopt(time.Now(), r.rules, m, job.File{Name: "a.mp4"}))
	r.want(r.do(request{method: http.MethodDelete, path: "/jobs/" + ours.ID}), http.StatusNoContent, "")
	r.sweep()
	r.want(r.do(request{path: "/download?fid=" + ours.MP3, token: ann}), http.StatusOK, "sound")
}

func TestAFailedJobsVideoIsKeptForARetry(t *testing.T) {
	t.Parallel()
	r := start(t)
	failed := r.fail(r.upload("video").ID)
	r.ages(failed.ID, 29*day)
	r.sweep()
	if r.content(r.videos, failed.ID) != "video" {
		t.Fatal("the video is gone after 29 days")
	}
	again := r.do(request{method: http.MethodPost, path: "/jobs/" + failed.ID + "/retry"})
	v := r.json(again, http.StatusAccepted)
	if v["video_until"] != nil {
		t.Errorf("a job that goes on keeps its video until %v", v["video_until"])
	}
	r.ages(failed.ID, 100*day)
	r.sweep()
	if r.content(r.videos, failed.ID) != "video" {
		t.Fatal("the video of a job that goes on is gone")
	}
	r.fail(failed.ID)
	r.ages(failed.ID, 31*day)
	r.sweep()
	if r.content(r.videos, failed.ID) != "" {
		t.Error("the video is there after 31 days")
	}
	r.want(r.do(request{method: http.MethodPost, path: "/jobs/" + failed.ID + "/retry"}), http.StatusConflict, "the uploaded file is gone: upload it again")
	if v := r.json(r.do(request{path: "/jobs/" + failed.ID}), 200); v["state"] != "failed" || v["bytes"] != 5.0 {
		t.Errorf("the job is shown as %v", v)
	}
}

// A sweeper that dies between its note and the removal leaves what the next one finds; one that cannot note removes nothing.
func TestADeadSweeperLeavesTheHarmlessHalf(t *testing.T) {
	t.Parallel()
	away := true
	fault := func(op string, call func() error) error {
		if op == "delete" && away {
			return errDown
		}
		return call()
	}
	r := start(t, func(r *rig, cfg *gateway.Config) { cfg.Videos, cfg.MP3s = files{r.videos, fault}, files{r.mp3s, fault} })
	done := r.convert(r.upload("video").ID, "sound")
	r.mailed(done.ID)
	r.ages(done.ID, 31*day)
	if err := r.service.SweepOnce(t.Context()); !errors.Is(err, errDown) {
		t.Fatalf("the sweep = %v", err)
	}
	j := r.job(done.ID)
	if !j.VideoGone || !j.MP3Gone || r.content(r.videos, done.ID) != "video" || r.content(r.mp3s, done.MP3) != "sound" {
		t.Fatalf("noted: video %v, MP3 %v; stored: %q, %q", j.VideoGone, j.MP3Gone, r.content(r.videos, done.ID), r.content(r.mp3s, done.MP3))
	}
	away = false
	r.update(done.ID, func(j *job.Job) error { j.CleanAt = r.ago(time.Second); return nil }) // it was put off
	r.sweep()
	if r.content(r.videos, done.ID) != "" || r.content(r.mp3s, done.MP3) != "" {
		t.Error("the next sweeper has left something")
	}
	if j := r.job(done.ID); !j.CleanAt.IsZero() || j.VideoLeft {
		t.Errorf("to be cleaned at %v, left %v", j.CleanAt, j.VideoLeft)
	}

	var deleted int
	r = start(t, func(r *rig, cfg *gateway.Config) {
		none := func(op string, call func() error) error {
			switch op {
			case "update":
				return errDown
			case "delete":
				deleted++
			}
			return call()
		}
		cfg.Ledger, cfg.Videos = ledger{r.ledger, none}, files{r.videos, none}
	})
	j = r.insertDone(sid, "a.mp4", "sound")
	r.mailed(j.ID)
	r.ages(j.ID, 31*day)
	if err := r.service.SweepOnce(t.Context()); !errors.Is(err, errDown) || deleted > 0 {
		t.Errorf("the sweep = %v, and %d files were removed without a note", err, deleted)
	}
}

func TestAnOldersVersionsJobsAreDated(t *testing.T) {
	t.Parallel()
	r := start(t)
	var old []string
	for range 3 {
		j := r.convert(r.upload("video").ID, "sound")
		r.mailed(j.ID)
		r.ages(j.ID, 365*day)
		r.update(j.ID, func(j *job.Job) error {
			j.Dated, j.VideoUntil, j.MP3Until, j.CleanAt = false, time.Time{}, time.Time{}, time.Time{}
			return nil
		})
		old = append(old, j.ID)
	}
	r.sweep()
	r.sweep()
	for _, id := range old {
		j := r.job(id)
		if !j.Dated || j.VideoUntil.Before(time.Now().Add(7*day-time.Minute)) || !j.MP3Until.Equal(j.VideoUntil) || j.VideoGone {
			t.Errorf("a job of an older version is kept until %v and %v", j.VideoUntil, j.MP3Until)
		}
		r.want(r.do(request{path: "/download?fid=" + j.MP3}), 200, "sound")
	}
}

func TestTheJanitorNamesWhatWasKeptLongEnough(t *testing.T) {
	t.Parallel()
	r := start(t)
	done := r.convert(r.upload("video").ID, "sound")
	r.mailed(done.ID)
	done = r.ages(done.ID, day)
	now := time.Now()
	jobs, err := r.ledger.Due(t.Context(), now, 10)
	r.must(err)
	if len(jobs) != 1 {
		t.Fatalf("%d jobs are due", len(jobs))
	}
	g := gateway.GarbageOf(jobs[0], now, r.rules)
	if diff := cmp.Diff(gateway.Garbage{Job: done, Why: "kept as long as its owner was told", Videos: []string{done.ID}}, g); diff != "" {
		t.Errorf("found:\n%s", diff)
	}
	r.must(gateway.NewJanitor(r.ledger, r.videos, r.mp3s, r.rules).Clean(t.Context(), g))
	if r.content(r.videos, done.ID) != "" || r.content(r.mp3s, done.MP3) != "sound" {
		t.Error("it has removed something else")
	}
}
