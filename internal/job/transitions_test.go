package job

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	rules = DefaultRules()
	start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	video = File{ID: "64f000000000000000000001", Name: "clip.mp4", Bytes: 1000, SHA256: "ab"}
	mp3   = File{ID: "64f0000000000000000000a1", Bytes: 100}
	other = File{ID: "64f0000000000000000000a2", Bytes: 200}
)

// step is one transition applied at a time after start.
type step func(j *Job, now time.Time) error

var (
	arrive  step = func(j *Job, now time.Time) error { return j.Arrived(now, rules, video) }
	claim   step = func(j *Job, now time.Time) error { return j.Claim(now, rules, "w1", mp3.ID) }
	reclaim step = func(j *Job, now time.Time) error { return j.Claim(now, rules, "w2", other.ID) }
	commit1 step = func(j *Job, now time.Time) error { return j.Commit(now, rules, 1, mp3, time.Minute) }
	commit2 step = func(j *Job, now time.Time) error { return j.Commit(now, rules, 2, other, time.Minute) }
	renew1  step = func(j *Job, now time.Time) error { return j.Renew(now, rules, 1, 50) }
	crash1  step = func(j *Job, now time.Time) error { return j.Crashed(now, rules, 1, "signal: killed") }
	fail1   step = func(j *Job, now time.Time) error { return j.Fail(now, rules, 1, ReasonNoAudio, "") }
	stop    step = func(j *Job, now time.Time) error { return j.Stop(now, rules, "it fills the disk") }
	release step = func(j *Job, now time.Time) error { return j.Release(now, rules, j.Attempt, 0, "stopping") }
	post    step = func(j *Job, now time.Time) error { return j.ClaimMail(now, rules, "n1") }
	sent    step = func(j *Job, _ time.Time) error { return j.MailAccepted(1) }
	refused step = func(j *Job, _ time.Time) error { return j.MailRefused(1, "550 no such user") }
	later   step = func(j *Job, now time.Time) error { return j.MailLater(now, rules, j.MailAttempt, "451 greylisted") }
	retry   step = func(j *Job, now time.Time) error { return j.Retry(now, rules) }
	remove  step = func(j *Job, now time.Time) error { return j.Delete(now) }
	alive   step = func(j *Job, now time.Time) error { return j.StillUploading(now, rules) }
	adopt   step = func(j *Job, now time.Time) error { // the message of an original converter
		*j = Adopt(now, rules, Message{Video: video.ID, MP3: mp3.ID, Username: "a@b.c"}, video)
		return nil
	}
)

// after applies the steps, which must succeed, a second apart, and returns the job and the time of the next.
func after(t *testing.T, steps ...step) (Job, time.Time) {
	t.Helper()
	j, now := New(start, rules, video.ID, "sid@gmail.com"), start
	for i, s := range steps {
		now = now.Add(time.Second)
		if err := s(&j, now); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
	}
	return j, now.Add(time.Second)
}

func TestTransitions(t *testing.T) {
	for name, tt := range map[string]struct {
		before []step
		wait   time.Duration
		do     step
		err    error
		state  State
	}{
		"an upload arrives":                        {nil, 0, arrive, nil, Queued},
		"an upload arrives twice":                  {[]step{arrive}, 0, arrive, ErrLost, Queued},
		"an upload the sweeper gave up arrives":    {[]step{remove}, 0, arrive, ErrLost, Deleted},
		"an upload is not converted":               {nil, 0, claim, ErrState, Uploading},
		"an upload keeps alive":                    {nil, 0, alive, nil, Uploading},
		"an upload given up keeps alive":           {[]step{remove}, 0, alive, ErrLost, Deleted},
		"a queued job is claimed":                  {[]step{arrive}, 0, claim, nil, Converting},
		"a job with a live lease":                  {[]step{arrive, claim}, 0, reclaim, ErrBusy, Converting},
		"a job whose lease ran out":                {[]step{arrive, claim}, rules.Lease, reclaim, nil, Converting},
		"a renewed lease lives on":                 {[]step{arrive, claim, renew1}, rules.Lease - 2*time.Second, reclaim, ErrBusy, Converting},
		"its worker commits":                       {[]step{arrive, claim}, 0, commit1, nil, Converted},
		"a worker late but not replaced commits":   {[]step{arrive, claim}, rules.Lease, commit1, nil, Converted},
		"a commit under an id never claimed":       {[]step{arrive, claim}, 0, func(j *Job, now time.Time) error { return j.Commit(now, rules, 1, other, 0) }, ErrLost, Converting},
		"a commit twice":                           {[]step{arrive, claim, commit1}, 0, commit1, ErrLost, Converted},
		"a renewal after the commit":               {[]step{arrive, claim, commit1}, 0, renew1, ErrLost, Converted},
		"a commit of a deleted job":                {[]step{arrive, claim, remove}, 0, commit1, ErrLost, Deleted},
		"a released job is claimed at once":        {[]step{arrive, claim, release}, 0, reclaim, nil, Converting},
		"a crashed job waits":                      {[]step{arrive, claim, crash1}, 0, reclaim, ErrNotYet, Queued},
		"a crashed job is due":                     {[]step{arrive, claim, crash1}, rules.RetryDelay, reclaim, nil, Converting},
		"a failed job is not claimed":              {[]step{arrive, claim, fail1}, 0, reclaim, ErrState, Failed},
		"a failed job is retried":                  {[]step{arrive, claim, fail1}, 0, retry, nil, Queued},
		"a converted job is not retried":           {[]step{arrive, claim, commit1}, 0, retry, ErrState, Converted},
		"a queued job is stopped":                  {[]step{arrive}, 0, stop, nil, Failed},
		"a job that waits to be tried is stopped":  {[]step{arrive, claim, crash1}, 0, stop, nil, Failed},
		"a converting job is stopped":              {[]step{arrive, claim}, 0, stop, nil, Failed},
		"an upload is not stopped":                 {nil, 0, stop, ErrState, Uploading},
		"a converted job is not stopped":           {[]step{arrive, claim, commit1}, 0, stop, ErrState, Converted},
		"a stopped job is not stopped":             {[]step{arrive, stop}, 0, stop, ErrState, Failed},
		"a deleted job is not stopped":             {[]step{arrive, remove}, 0, stop, ErrState, Deleted},
		"a stopped job is not claimed":             {[]step{arrive, stop}, 0, claim, ErrState, Failed},
		"a commit of a stopped job":                {[]step{arrive, claim, stop}, 0, commit1, ErrLost, Failed},
		"a renewal of a stopped job":               {[]step{arrive, claim, stop}, 0, renew1, ErrLost, Failed},
		"a commit of one stopped and retried":      {[]step{arrive, claim, stop, retry, reclaim}, 0, commit1, ErrLost, Converting},
		"a stopped job is retried":                 {[]step{arrive, claim, stop}, 0, retry, nil, Queued},
		"a stopped job owes a mail":                {[]step{arrive, stop}, 0, post, nil, Failed},
		"a converted job is mailed":                {[]step{arrive, claim, commit1}, 0, post, nil, Converted},
		"a mail is claimed twice":                  {[]step{arrive, claim, commit1, post}, 0, post, ErrBusy, Converted},
		"a mailer that died is replaced":           {[]step{arrive, claim, commit1, post}, rules.Lease, post, nil, Converted},
		"a mail is sent":                           {[]step{arrive, claim, commit1, post}, 0, sent, nil, Done},
		"a refused mail leaves the MP3":            {[]step{arrive, claim, commit1, post}, 0, refused, nil, Done},
		"a mail is sent twice":                     {[]step{arrive, claim, commit1, post, sent}, 0, sent, ErrLost, Done},
		"a sent mail is not claimed":               {[]step{arrive, claim, commit1, post, sent}, 0, post, ErrState, Done},
		"a greylisted mail waits":                  {[]step{arrive, claim, commit1, post, later}, 0, post, ErrNotYet, Converted},
		"a greylisted mail is due":                 {[]step{arrive, claim, commit1, post, later}, time.Minute, post, nil, Converted},
		"a failed job owes a mail too":             {[]step{arrive, claim, fail1}, 0, post, nil, Failed},
		"the mail of a failed job is sent":         {[]step{arrive, claim, fail1, post}, 0, sent, nil, Failed},
		"a retry while the failure's mail is sent": {[]step{arrive, claim, fail1, post, retry}, 0, sent, ErrLost, Queued},
		"a done job is deleted":                    {[]step{arrive, claim, commit1, post, sent}, 0, remove, nil, Deleted},
		"a deleted job is deleted":                 {[]step{arrive, remove}, 0, remove, ErrState, Deleted},
		"a deleted job is not mailed":              {[]step{arrive, claim, commit1, remove}, 0, post, ErrState, Deleted},
		"an adopted MP3 is mailed":                 {[]step{adopt}, 0, post, nil, Converted},
	} {
		t.Run(name, func(t *testing.T) {
			j, now := after(t, tt.before...)
			before := j
			err := tt.do(&j, now.Add(tt.wait))
			if !errors.Is(err, tt.err) {
				t.Errorf("error = %v, want %v", err, tt.err)
			}
			if err != nil {
				if diff := cmp.Diff(before, j); diff != "" {
					t.Errorf("a refused transition changed the job:\n%s", diff)
				}
			}
			if j.State != tt.state {
				t.Errorf("state = %s, want %s", j.State, tt.state)
			}
		})
	}
}

func TestAStaleAttemptCannotCommit(t *testing.T) {
	j, now := after(t, arrive, claim)
	now = now.Add(rules.Lease)
	for _, s := range []step{reclaim, release, reclaim} { // giving back must not make the fence fall behind
		if err := s(&j, now); err != nil {
			t.Fatal(err)
		}
	}
	if err := commit1(&j, now); !errors.Is(err, ErrLost) {
		t.Errorf("commit of attempt 1 while attempt %d runs: %v, want ErrLost", j.Attempt, err)
	}
	if err := commit2(&j, now); !errors.Is(err, ErrLost) {
		t.Errorf("commit of the released attempt 2 while attempt %d runs: %v, want ErrLost", j.Attempt, err)
	}
}

func TestOnlyFaultsOfTheVideoCountAsAttempts(t *testing.T) {
	j, now := after(t, arrive)
	for range 10 { // shutdowns and outages
		for _, s := range []step{claim, release} {
			if err := s(&j, now); err != nil {
				t.Fatal(err)
			}
		}
	}
	if j.Attempts() != 0 {
		t.Fatalf("Attempts = %d after 10 releases, want 0", j.Attempts())
	}
	waits := []time.Duration{}
	for j.State != Failed {
		if err := claim(&j, now); err != nil {
			t.Fatal(err)
		}
		if err := j.Crashed(now, rules, j.Attempt, "signal: killed"); err != nil {
			t.Fatal(err)
		}
		if j.State == Queued {
			waits = append(waits, j.NotBefore.Sub(now))
			now = j.NotBefore
		}
	}
	if diff := cmp.Diff([]time.Duration{10 * time.Second, time.Minute}, waits); diff != "" {
		t.Errorf("waits between the attempts:\n%s", diff)
	}
	if j.Reason != ReasonCrashed || j.Detail != "signal: killed" || j.Mail != MailPending {
		t.Errorf("after %d crashes: reason %q, detail %q, mail %q", j.Attempts(), j.Reason, j.Detail, j.Mail)
	}
	if err := j.Retry(now, rules); err != nil || j.Attempts() != 0 {
		t.Errorf("Retry = %v with %d attempts counted, want all of them anew", err, j.Attempts())
	}
}

func TestStoppingAJobUsesUpNoAttempt(t *testing.T) {
	j, now := after(t, arrive, claim, crash1)
	failedAs := j.Attempt // what a letter would be named after
	if err := stop(&j, now); err != nil || j.Attempts() != 1 || j.Attempt == failedAs {
		t.Errorf("Stop = %v: %d attempts counted, number %d; want 1 and a new number", err, j.Attempts(), j.Attempt)
	}
	if j.Reason != ReasonStopped || j.Detail != "it fills the disk" || j.Mail != MailPending || !j.LeaseUntil.IsZero() {
		t.Errorf("stopped: reason %q, detail %q, mail %q, lease until %v", j.Reason, j.Detail, j.Mail, j.LeaseUntil)
	}
}

func TestAJobWhoseWorkersAllVanishedFailsAtTheNextClaim(t *testing.T) {
	j, now := after(t, arrive)
	for range rules.Attempts {
		if err := claim(&j, now); err != nil {
			t.Fatal(err)
		}
		now = now.Add(rules.Lease)
	}
	if err := claim(&j, now); err != nil || j.State != Failed || j.Reason != ReasonCrashed {
		t.Errorf("claim number %d: %v, state %s, reason %s", rules.Attempts+1, err, j.State, j.Reason)
	}
}

func TestGarbageIsWhatNoLiveAttemptCanClaim(t *testing.T) {
	for name, tt := range map[string]struct {
		steps  []step
		videos []string
		mp3s   []string
		due    bool // is the sweeper told
	}{
		"one attempt at work":       {[]step{arrive, claim}, nil, nil, false},
		"one attempt that made it":  {[]step{arrive, claim, commit1}, nil, nil, false},
		"one that failed":           {[]step{arrive, claim, fail1}, nil, []string{mp3.ID}, true},
		"one that was stopped":      {[]step{arrive, claim, stop}, nil, []string{mp3.ID}, true},
		"the second is at work":     {[]step{arrive, claim, release, reclaim}, nil, []string{mp3.ID}, false},
		"the second made it":        {[]step{arrive, claim, release, reclaim, commit2}, nil, []string{mp3.ID}, true},
		"deleted while it runs":     {[]step{arrive, claim, remove}, []string{video.ID}, []string{mp3.ID}, true},
		"deleted when it was done":  {[]step{arrive, claim, commit1, post, sent, remove}, []string{video.ID}, []string{mp3.ID}, true},
		"retried after it failed":   {[]step{arrive, claim, fail1, retry}, nil, []string{mp3.ID}, true},
		"an upload that was killed": {[]step{remove}, []string{video.ID}, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			j, now := after(t, tt.steps...)
			videos, mp3s := j.Garbage()
			if diff := cmp.Diff([][]string{tt.videos, tt.mp3s}, [][]string{videos, mp3s}); diff != "" {
				t.Errorf("garbage:\n%s", diff)
			}
			if due := j.CleanDue(now.Add(rules.CleanAfter)); due != tt.due {
				t.Errorf("CleanDue = %v (at %v), want %v", due, j.CleanAt, tt.due)
			}
		})
	}
}

func TestCleaningForgetsOnlyWhatWasRemoved(t *testing.T) {
	j, now := after(t, arrive, claim, fail1, retry, reclaim)
	_, mp3s := j.Garbage()
	now = now.Add(rules.Lease) // while the sweeper removed the first MP3, the second attempt was lost too
	third := "64f0000000000000000000a3"
	if err := j.Claim(now, rules, "w3", third); err != nil {
		t.Fatal(err)
	}
	if last := j.Cleaned(now, rules, nil, mp3s); last {
		t.Error("a living job is to be forgotten")
	}
	if diff := cmp.Diff([]string{other.ID, third}, j.Tried); diff != "" {
		t.Errorf("Tried:\n%s", diff)
	}
	if j.CleanAt.IsZero() {
		t.Error("the second attempt's MP3 will never be removed")
	}
}

func TestADeletedJobIsForgottenAfterTheSecondCleaning(t *testing.T) {
	j, now := after(t, arrive, claim, remove)
	if !j.CleanDue(now) {
		t.Fatal("not due at once")
	}
	if j.Cleaned(now, rules, []string{j.ID}, j.Tried) {
		t.Fatal("forgotten at once: what a sleeping worker writes later would never be found")
	}
	if j.CleanDue(now) || !j.CleanDue(now.Add(rules.CleanAfter)) {
		t.Errorf("second cleaning due at %v", j.CleanAt)
	}
	if videos, mp3s := j.Garbage(); len(videos) != 1 || len(mp3s) != 1 {
		t.Errorf("the second cleaning looks for %v and %v", videos, mp3s)
	}
	if !j.Cleaned(now.Add(rules.CleanAfter), rules, []string{j.ID}, j.Tried) {
		t.Error("not forgotten after the second cleaning")
	}
}

func TestMailScheduleIsTheOneOfTheDesign(t *testing.T) {
	j, now := after(t, arrive, claim, commit1)
	now = now.Add(2 * rules.MailFor) // nobody was there to send it: that is not the mail server's "later"
	began := now
	var waits []time.Duration
	for j.Mail == MailPending {
		if err := post(&j, now); err != nil {
			t.Fatal(err)
		}
		if err := later(&j, now); err != nil {
			t.Fatal(err)
		}
		if j.Mail == MailPending {
			waits = append(waits, j.NotBefore.Sub(now))
			now = j.NotBefore
		}
	}
	want := []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 2 * time.Hour}
	if diff := cmp.Diff(want, waits[:7]); diff != "" {
		t.Errorf("first waits:\n%s", diff)
	}
	if took := now.Sub(began); took < rules.MailFor || took > rules.MailFor+2*time.Hour {
		t.Errorf("gave up after %v, want %v", took, rules.MailFor)
	}
	if j.State != Done || j.Mail != MailFailed || j.MailError == "" {
		t.Errorf("at last: state %s, mail %s (%s), want done and failed", j.State, j.Mail, j.MailError)
	}
}

func TestAnEndIsToldOnce(t *testing.T) {
	for name, tt := range map[string]struct {
		steps []step
		owes  bool
	}{
		"queued":               {[]step{arrive}, false},
		"converted":            {[]step{arrive, claim, commit1}, true},
		"failed":               {[]step{arrive, claim, fail1}, true},
		"stopped":              {[]step{arrive, stop}, true},
		"adopted":              {[]step{adopt}, true},
		"its mail sent":        {[]step{arrive, claim, commit1, post, sent}, true},
		"retried":              {[]step{arrive, claim, fail1, retry}, false},
		"deleted":              {[]step{arrive, claim, fail1, remove}, false},
		"retried, then failed": {[]step{arrive, claim, fail1, retry, stop}, true},
	} {
		t.Run(name, func(t *testing.T) {
			j, _ := after(t, tt.steps...)
			if !j.TellAt.IsZero() != tt.owes {
				t.Fatalf("TellAt = %v", j.TellAt)
			}
			if !tt.owes {
				return
			}
			if got := j.TellAt.Sub(j.Ended); got != rules.RingAfter {
				t.Errorf("looked for %v after the end, want %v", got, rules.RingAfter)
			}
			if err := j.Told(j.Ended.Add(-time.Second)); !errors.Is(err, ErrState) {
				t.Errorf("Told of another end = %v", err)
			}
			orphan := j
			orphan.Orphaned(j.Ended)
			if !orphan.TellAt.Equal(j.Ended) {
				t.Errorf("of an orphan TellAt = %v, want %v", orphan.TellAt, j.Ended)
			}
			if err := j.Told(j.Ended); err != nil || !j.TellAt.IsZero() {
				t.Errorf("Told = %v, TellAt = %v", err, j.TellAt)
			}
			if err := j.Told(j.Ended); !errors.Is(err, ErrState) {
				t.Errorf("Told twice = %v", err)
			}
		})
	}
}
