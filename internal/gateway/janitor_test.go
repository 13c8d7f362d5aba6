package gateway_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mp3converter/internal/gateway"
	"mp3converter/internal/job"
)

func TestTheJanitorFindsAndRemovesWhatTheSweeperWould(t *testing.T) {
	t.Parallel()
	r := start(t)
	long := 2 * time.Hour
	alive := r.insert(job.New(time.Now(), r.rules, job.NewID(time.Now()), sid)) // an upload under way
	r.put(r.videos, alive.ID, "half")
	r.convert(r.upload("kept").ID, "sound")
	dead := r.insert(job.New(r.ago(long), r.rules, job.NewID(r.ago(long)), sid))
	r.put(r.videos, dead.ID, "stored, not committed")
	deleted := r.convert(r.upload("video").ID, "sound")
	deleted = r.update(deleted.ID, func(j *job.Job) error { return j.Delete(r.ago(time.Second)) })
	lost := r.upload("video")
	mp3 := r.claim(lost.ID)
	r.put(r.mp3s, mp3, "half the sound")
	lost = r.update(lost.ID, func(j *job.Job) error { return j.Fail(r.ago(long), r.rules, 1, job.ReasonNoAudio, "") })

	janitor := gateway.NewJanitor(r.ledger, r.videos, r.mp3s, r.rules)
	due := func() []gateway.Garbage {
		t.Helper()
		now := time.Now()
		jobs, err := r.ledger.Due(t.Context(), now, 100)
		r.must(err)
		var all []gateway.Garbage
		for _, j := range jobs {
			if j.CleanDue(now) {
				all = append(all, gateway.GarbageOf(j, now, r.rules))
			}
		}
		return all
	}
	found := map[string]gateway.Garbage{}
	for _, g := range due() {
		found[g.Job.ID] = g
	}
	want := map[string]gateway.Garbage{
		dead.ID:    {r.job(dead.ID), "an upload that died", []string{dead.ID}, nil},
		deleted.ID: {deleted, "a deleted job", []string{deleted.ID}, []string{deleted.MP3}},
		lost.ID:    {lost, "attempts that came to nothing", nil, []string{mp3}},
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("found:\n%s", diff)
	}
	for _, g := range found {
		r.must(janitor.Clean(t.Context(), g))
	}
	for _, g := range found { // as a slow janitor, who has read what a sweeper has cleaned since
		if err := janitor.Clean(t.Context(), g); !errors.Is(err, job.ErrState) {
			t.Errorf("Clean of %s once more: %v, want job.ErrState", g.Why, err)
		}
	}
	if err := janitor.Clean(t.Context(), gateway.Garbage{Job: alive}); !errors.Is(err, job.ErrState) || r.content(r.videos, alive.ID) != "half" {
		t.Errorf("Clean of an upload that lives: %v", err)
	}
	for name, left := range map[string]string{
		"a dead upload's video": r.content(r.videos, dead.ID), "a deleted job's video": r.content(r.videos, deleted.ID),
		"its mp3": r.content(r.mp3s, deleted.MP3), "a lost attempt's mp3": r.content(r.mp3s, mp3),
	} {
		if left != "" {
			t.Errorf("%s is still there", name)
		}
	}
	if r.content(r.videos, lost.ID) != "video" {
		t.Error("the video of a failed job is gone")
	}
	if again := due(); len(again) != 0 {
		t.Errorf("due once more: %+v", again)
	}
}
