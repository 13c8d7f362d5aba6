package page

import (
	"slices"
	"testing"
	"time"

	"mp3converter/internal/job"
)

func TestARowSaysHowLongFilesAreKept(t *testing.T) {
	soon, past := time.Now().Add(48*time.Hour), time.Now().Add(-48*time.Hour)
	for name, tt := range map[string]struct {
		job              job.Job
		ready, retryable bool
		status, fact     string // a part of the facts; "" is none about keeping
	}{
		"kept":             {job.Job{State: job.Done, MP3: "a", MP3Until: soon}, true, false, "Ready", "kept until " + day(soon)},
		"for ever":         {job.Job{State: job.Done, MP3: "a"}, true, false, "Ready", ""},
		"over, not swept":  {job.Job{State: job.Done, MP3: "a", MP3Until: past}, false, false, "The MP3 was kept until " + day(past), ""},
		"over":             {job.Job{State: job.Done, MP3: "a", MP3Until: past, MP3Gone: true}, false, false, "The MP3 was kept until " + day(past), ""},
		"failed":           {job.Job{State: job.Failed, Reason: job.ReasonCrashed, VideoUntil: soon}, false, true, Sentence(job.ReasonCrashed.Text()), "can be tried again until " + day(soon)},
		"failed, and over": {job.Job{State: job.Failed, Reason: job.ReasonCrashed, VideoUntil: past, VideoGone: true}, false, false, Sentence(job.ReasonCrashed.Text()), ""},
	} {
		r := row{tt.job}
		if r.Ready() != tt.ready || r.Retryable() != tt.retryable || r.Status() != tt.status {
			t.Errorf("%s: ready %v, retryable %v, %q", name, r.Ready(), r.Retryable(), r.Status())
		}
		facts := slices.DeleteFunc(r.Facts(), func(f string) bool { return f == "0 B video" || f == "" })
		if tt.fact == "" && len(facts) > 0 || tt.fact != "" && !slices.Equal(facts, []string{tt.fact}) {
			t.Errorf("%s: facts %q, want %q", name, facts, tt.fact)
		}
	}
	if got := (row{job.Job{VideoWas: 5_000_000, VideoGone: true}}).Facts()[0]; got != "5.0 MB video" {
		t.Errorf("a video that is gone was %q", got)
	}
}
