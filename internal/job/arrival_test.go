package job

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The steps of a resumable upload of as many bytes as video has.
var (
	resumable step = func(j *Job, now time.Time) error {
		j.Resumable(now, rules, `C:\clips\clip.mp4`, Voice)
		return j.Reserve(video.Bytes)
	}
	from  step = func(j *Job, now time.Time) error { return j.ClaimArrival(now, rules, j.Arrival.Offset) }
	admit step = func(j *Job, _ time.Time) error { return j.Admit() }
	half       = to(1, video.Bytes/2)
	all        = to(1, video.Bytes)
)

// to is what a writer has come to.
func to(writer int, offset int64) step {
	return func(j *Job, now time.Time) error {
		return j.Advance(now, rules, Arrival{Writer: writer, Offset: offset})
	}
}

func at(offset int64) step {
	return func(j *Job, now time.Time) error { return j.ClaimArrival(now, rules, offset) }
}

func TestArrivals(t *testing.T) {
	for name, tt := range map[string]struct {
		before []step
		do     step
		err    error
		state  State
	}{
		"a writer begins":                             {[]step{resumable}, at(0), nil, Uploading},
		"a writer begins where nothing is":            {[]step{resumable}, at(1), ErrState, Uploading},
		"a plain upload has no second writer":         {nil, at(0), ErrLost, Uploading},
		"a writer goes on":                            {[]step{resumable, from, half}, from, nil, Uploading},
		"a writer goes on where another once was":     {[]step{resumable, from, half}, at(0), ErrState, Uploading},
		"a writer saves":                              {[]step{resumable, from}, half, nil, Uploading},
		"a writer saves that never claimed":           {[]step{resumable}, half, ErrLost, Uploading},
		"a writer saves whose place is taken":         {[]step{resumable, from, from}, half, ErrLost, Uploading},
		"a writer saves less":                         {[]step{resumable, from, half}, to(1, 1), ErrState, Uploading},
		"a writer saves too much":                     {[]step{resumable, from}, to(1, video.Bytes+1), ErrState, Uploading},
		"a writer saves after the upload was deleted": {[]step{resumable, from, remove}, half, ErrLost, Deleted},
		"a plain upload has no offset":                {nil, half, ErrLost, Uploading},
		"nobody writes behind the last byte":          {[]step{resumable, from, all}, at(video.Bytes), ErrState, Uploading},
		"half an upload does not arrive":              {[]step{resumable, from, half}, arrive, ErrState, Uploading},
		"a whole one arrives":                         {[]step{resumable, from, all}, arrive, nil, Queued},
		"a whole one arrives twice":                   {[]step{resumable, from, all, arrive}, arrive, ErrLost, Queued},
		"a writer saves after it has arrived":         {[]step{resumable, from, all, arrive}, all, ErrLost, Queued},
		"a writer begins after it has arrived":        {[]step{resumable, from, all, arrive}, at(video.Bytes), ErrLost, Queued},
		"an upload that was deleted does not arrive":  {[]step{resumable, from, all, remove}, arrive, ErrLost, Deleted},
		"an upload is admitted":                       {[]step{resumable}, admit, nil, Uploading},
		"an upload is admitted twice":                 {[]step{resumable, admit}, admit, ErrState, Uploading},
		"an upload is admitted that somebody writes":  {[]step{resumable, from, half}, admit, ErrState, Uploading},
		"an upload is admitted that was deleted":      {[]step{resumable, remove}, admit, ErrLost, Deleted},
		"a plain upload is admitted":                  {nil, admit, ErrLost, Uploading},
		"a writer begins when it is admitted":         {[]step{resumable, admit}, at(0), nil, Uploading},
		"half an upload is not converted":             {[]step{resumable, from, half}, claim, ErrState, Uploading},
	} {
		t.Run(name, func(t *testing.T) {
			j, now := after(t, tt.before...)
			before := j
			if err := tt.do(&j, now); !errors.Is(err, tt.err) {
				t.Errorf("error = %v, want %v", err, tt.err)
			} else if diff := cmp.Diff(before, j); (diff != "") != (err == nil) {
				t.Errorf("after %v the job is other by:\n%s", err, diff)
			}
			if j.State != tt.state || j.State != Uploading && j.Arrival != nil {
				t.Errorf("state = %s with arrival %v, want %s", j.State, j.Arrival, tt.state)
			}
		})
	}
}

// Whoever has read the job before must not see it change.
func TestArrivalIsNeverChangedInPlace(t *testing.T) {
	j, now := after(t, resumable, from)
	read := j
	if err := errors.Join(half(&j, now), from(&j, now)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&Arrival{Writer: 1}, read.Arrival); diff != "" {
		t.Errorf("as read before (-want +got):\n%s", diff)
	}
}

func TestAnUploadIsDeadWhenNothingMoreComes(t *testing.T) {
	for name, steps := range map[string][]step{"begun": {resumable}, "claimed": {resumable, from}, "half": {resumable, from, half}} {
		j, next := after(t, steps...)
		last := next.Add(-time.Second)
		if dead := last.Add(rules.ResumeFor); j.CleanDue(dead.Add(-time.Millisecond)) || !j.CleanDue(dead) {
			t.Errorf("%s at %v: dead at %v, want %v", name, last, j.CleanAt, dead)
		}
		was := j.CleanAt
		if j.Orphaned(next); !j.CleanAt.Equal(was) {
			t.Errorf("%s: after a restart dead at %v, want %v still", name, j.CleanAt, was)
		}
	}
}

func TestWhatAResumableUploadBecomes(t *testing.T) {
	j, _ := after(t, resumable, from, half)
	if j.Whole() || j.Visible() || j.Name != "clip.mp4" || j.Profile != Voice {
		t.Errorf("half: whole %v, visible %v, %q, profile %s", j.Whole(), j.Visible(), j.Name, j.Profile)
	}
	if j, _ = after(t, resumable, from, all); !j.Whole() || j.Visible() {
		t.Errorf("all: whole %v, visible %v", j.Whole(), j.Visible())
	}
	if j, _ = after(t, resumable, from, all, arrive); j.Whole() || !j.Visible() || j.Name != "clip.mp4" || j.Profile != Voice {
		t.Errorf("arrived: whole %v, visible %v, %q, profile %s", j.Whole(), j.Visible(), j.Name, j.Profile)
	}
}
