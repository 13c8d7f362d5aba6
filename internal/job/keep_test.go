package job

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	hour = time.Hour
	day  = 24 * time.Hour
)

var (
	expire step = func(j *Job, now time.Time) error { return j.Expire(now, rules) }
	clean  step = func(j *Job, now time.Time) error { // as the sweeper does
		videos, mp3s := j.Garbage()
		j.Cleaned(now, rules, videos, mp3s)
		return nil
	}
)

// wait lets time pass within steps: what comes after it happens so much later.
func wait(d time.Duration, s step) step {
	return func(j *Job, now time.Time) error { return s(j, now.Add(d)) }
}

// files is what is kept of a job and what is garbage, for comparison.
type files struct {
	VideoBytes, MP3Bytes int64
	Garbage              []string
	CleanIn              time.Duration // after the end of the job; -1 is never
}

func filesOf(j Job) files {
	f := files{VideoBytes: j.VideoBytes, MP3Bytes: j.MP3Bytes, CleanIn: -1}
	videos, mp3s := j.Garbage()
	f.Garbage = append(videos, mp3s...)
	if !j.CleanAt.IsZero() {
		f.CleanIn = j.CleanAt.Sub(j.Ended)
	}
	return f
}

func TestWhatIsKeptLongEnoughBecomesGarbageOnce(t *testing.T) {
	done := []step{arrive, claim, commit1, post, sent}
	with := func(before []step, more ...step) []step { return append(before[:len(before):len(before)], more...) }
	const late = 30*day + time.Minute
	for name, tt := range map[string]struct {
		steps []step
		want  files
	}{
		"done":                           {done, files{1000, 100, nil, day}},
		"its video, noted":               {with(done, wait(day, expire)), files{0, 100, []string{video.ID}, day + 3*time.Second}},
		"its video, removed":             {with(done, wait(day, expire), wait(day, clean)), files{0, 100, nil, 30 * day}},
		"then its mp3, noted":            {with(done, wait(day, expire), wait(day, clean), wait(late, expire)), files{0, 0, []string{mp3.ID}, late + 5*time.Second}},
		"then its mp3, removed":          {with(done, wait(day, expire), wait(day, clean), wait(late, expire), wait(late, clean)), files{0, 0, nil, -1}},
		"both at once, noted":            {with(done, wait(late, expire)), files{0, 0, []string{video.ID, mp3.ID}, late + 3*time.Second}},
		"both at once, removed":          {with(done, wait(late, expire), wait(late, clean)), files{0, 0, nil, -1}},
		"the mail is owed":               {[]step{arrive, claim, commit1}, files{1000, 100, nil, -1}},
		"failed":                         {[]step{arrive, claim, fail1}, files{1000, 0, []string{mp3.ID}, hour}},
		"failed, and cleaned":            {[]step{arrive, claim, fail1, wait(hour, clean)}, files{1000, 0, nil, 30 * day}},
		"failed, its video noted":        {[]step{arrive, claim, fail1, wait(hour, clean), wait(late, expire)}, files{0, 0, []string{video.ID}, late + 2*time.Second}},
		"failed, its video removed":      {[]step{arrive, claim, fail1, wait(hour, clean), wait(late, expire), wait(late, clean)}, files{0, 0, nil, -1}},
		"failed before anybody tried":    {[]step{arrive, stop}, files{1000, 0, nil, 30 * day}},
		"of two attempts, the second":    {[]step{arrive, claim, release, reclaim, commit2, post, sent}, files{1000, 200, []string{mp3.ID}, hour}},
		"the same, cleaned":              {[]step{arrive, claim, release, reclaim, commit2, post, sent, wait(hour, clean)}, files{1000, 200, nil, day}},
		"an adopted mp3":                 {[]step{adopt, post, sent, wait(late, expire)}, files{0, 0, []string{video.ID, mp3.ID}, late + 3*time.Second}},
		"noted while it was cleaned":     {with(done, wait(day, expire), func(j *Job, now time.Time) error { j.Cleaned(now.Add(day), rules, nil, nil); return nil }), files{0, 100, []string{video.ID}, day + hour + 4*time.Second}},
		"deleted when its video is gone": {with(done, wait(day, expire), wait(day, clean), wait(2*day, remove)), files{0, 100, []string{video.ID, mp3.ID}, 2*day + 5*time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			j, _ := after(t, tt.steps...)
			if diff := cmp.Diff(tt.want, filesOf(j)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNothingIsTakenFromAJobThatNeedsIt(t *testing.T) {
	const long = 1000 * day
	for name, steps := range map[string][]step{
		"uploading":              {},
		"queued":                 {arrive},
		"converting":             {arrive, claim},
		"its mail is owed":       {arrive, claim, commit1},
		"its mail is later":      {arrive, claim, commit1, post, later},
		"retried":                {arrive, claim, fail1, retry},
		"retried and converting": {arrive, claim, fail1, wait(hour, clean), retry, reclaim},
		"deleted":                {arrive, claim, commit1, post, sent, remove},
		"gone already":           {arrive, claim, commit1, post, sent, wait(long, expire)},
	} {
		t.Run(name, func(t *testing.T) {
			j, now := after(t, steps...)
			before := j
			if err := j.Expire(now.Add(long), rules); !errors.Is(err, ErrState) || j.ExpireDue(now.Add(long)) {
				t.Errorf("Expire = %v, due %v", err, j.ExpireDue(now.Add(long)))
			}
			if diff := cmp.Diff(before, j); diff != "" {
				t.Errorf("it changed the job:\n%s", diff)
			}
		})
	}
	j, now := after(t, arrive, claim, commit1, post, sent)
	if err := j.Expire(now.Add(day-4*time.Second), rules); !errors.Is(err, ErrState) {
		t.Errorf("a moment too early: %v", err)
	}
}

func TestForEverIsForEver(t *testing.T) {
	keep := rules
	keep.KeepVideo, keep.KeepMP3 = 0, 0
	for name, end := range map[string]func(j *Job, now time.Time) error{
		"done": func(j *Job, now time.Time) error {
			return errors.Join(j.Commit(now, keep, 1, mp3, 0), j.ClaimMail(now, keep, "n"), j.MailAccepted(1))
		},
		"failed": func(j *Job, now time.Time) error { return j.Fail(now, keep, 1, ReasonNoAudio, "") },
	} {
		j, now := after(t, arrive, claim, end)
		clean(&j, now)
		if !j.CleanAt.IsZero() || !j.VideoUntil.IsZero() || !j.MP3Until.IsZero() || !j.Dated || j.MP3Over(now.Add(1000*day)) {
			t.Errorf("%s: cleaned at %v, kept until %v and %v, dated %v", name, j.CleanAt, j.VideoUntil, j.MP3Until, j.Dated)
		}
	}
}

func TestWhoDecidesToKeepAllLosesNothingMore(t *testing.T) {
	keep := rules
	keep.KeepVideo, keep.KeepMP3 = 0, 0
	for name, steps := range map[string][]step{
		"done":   {arrive, claim, commit1, post, sent},
		"failed": {arrive, claim, fail1, wait(hour, clean)},
	} {
		j, now := after(t, steps...)
		now = now.Add(100 * day)
		if err := j.Expire(now, keep); err != nil {
			t.Fatal(err)
		}
		if j.VideoGone || j.MP3Gone || !j.VideoUntil.IsZero() || !j.MP3Until.IsZero() || !j.CleanAt.IsZero() || j.MP3Over(now) {
			t.Errorf("%s: gone %v and %v, kept until %v and %v, cleaned at %v", name, j.VideoGone, j.MP3Gone, j.VideoUntil, j.MP3Until, j.CleanAt)
		}
	}
	keep.KeepMP3 = rules.KeepMP3 // videos only
	j, now := after(t, arrive, claim, commit1, post, sent)
	if err := j.Expire(now.Add(25*hour), keep); err != nil || j.VideoGone || !j.CleanAt.Equal(j.MP3Until) {
		t.Errorf("Expire = %v, video gone %v, cleaned at %v, want %v", err, j.VideoGone, j.CleanAt, j.MP3Until)
	}
}

func TestAFailedJobIsRetriedWhileItsVideoIsKept(t *testing.T) {
	j, now := after(t, arrive, claim, fail1, wait(hour, clean))
	if want := j.Ended.Add(30 * day); !j.VideoUntil.Equal(want) || !j.MP3Until.IsZero() {
		t.Errorf("kept until %v and %v, want %v and no MP3", j.VideoUntil, j.MP3Until, want)
	}
	retried := j
	if err := retried.Retry(now, rules); err != nil || !retried.VideoUntil.IsZero() || retried.Dated || !retried.CleanAt.IsZero() {
		t.Errorf("Retry = %v, kept until %v, cleaned at %v", err, retried.VideoUntil, retried.CleanAt)
	}
	if err := j.Expire(j.VideoUntil, rules); err != nil {
		t.Fatal(err)
	}
	before := j
	if err := j.Retry(now, rules); !errors.Is(err, ErrGone) {
		t.Errorf("Retry without the video = %v, want ErrGone", err)
	}
	if diff := cmp.Diff(before, j); diff != "" {
		t.Errorf("the refusal changed the job:\n%s", diff)
	}
}

func TestAnMP3IsOverAtItsTimeWhetherSweptOrNot(t *testing.T) {
	j, _ := after(t, arrive, claim, commit1, post, sent)
	for _, tt := range []struct {
		at   time.Duration
		want bool
	}{{0, false}, {30*day - time.Second, false}, {30 * day, true}, {31 * day, true}} {
		if got := j.MP3Over(j.Ended.Add(tt.at)); got != tt.want {
			t.Errorf("after %v: over %v, want %v", tt.at, got, tt.want)
		}
	}
	owed, _ := after(t, arrive, claim, commit1)
	if owed.MP3Over(owed.Ended.Add(31 * day)) {
		t.Error("over before its owner was told of it")
	}
}

func TestAnOlderVersionsJobsGetTheirDatesAndANotice(t *testing.T) {
	for name, tt := range map[string]struct {
		steps      []step
		age        time.Duration
		video, mp3 time.Duration // kept until so long after the update; -1 for ever
	}{
		"done yesterday":     {[]step{arrive, claim, commit1, post, sent}, day, 7 * day, 29 * day},
		"done 28 days ago":   {[]step{arrive, claim, commit1, post, sent}, 28 * day, 7 * day, 7 * day},
		"done last year":     {[]step{arrive, claim, commit1, post, sent}, 365 * day, 7 * day, 7 * day},
		"failed yesterday":   {[]step{arrive, claim, fail1}, day, 29 * day, -1},
		"failed 29 days ago": {[]step{arrive, claim, fail1}, 29 * day, 7 * day, -1},
	} {
		t.Run(name, func(t *testing.T) {
			j, _ := after(t, tt.steps...)
			clean(&j, j.Ended)
			j.Dated, j.VideoUntil, j.MP3Until, j.CleanAt = false, time.Time{}, time.Time{}, time.Time{} // as it was written
			now := j.Ended.Add(tt.age)
			if err := j.Date(now, rules); err != nil {
				t.Fatal(err)
			}
			if got := until(j.VideoUntil, now); got != tt.video {
				t.Errorf("the video is kept for %v, want %v", got, tt.video)
			}
			if got := until(j.MP3Until, now); got != tt.mp3 {
				t.Errorf("the MP3 is kept for %v, want %v", got, tt.mp3)
			}
			if j.ExpireDue(now.Add(7*day - time.Second)) {
				t.Error("gone within a week of the update")
			}
			if !j.CleanAt.Equal(j.VideoUntil) {
				t.Errorf("the sweeper comes at %v, want %v", j.CleanAt, j.VideoUntil)
			}
			before := j
			if err := j.Date(now.Add(day), rules); !errors.Is(err, ErrState) || !cmp.Equal(before, j) {
				t.Errorf("dated again: %v", err)
			}
		})
	}
	for name, steps := range map[string][]step{"queued": {arrive}, "its mail is owed": {arrive, claim, commit1}, "deleted": {arrive, remove}} {
		j, now := after(t, steps...)
		j.Dated = false
		if err := j.Date(now, rules); !errors.Is(err, ErrState) {
			t.Errorf("%s: Date = %v, want ErrState", name, err)
		}
	}
}
