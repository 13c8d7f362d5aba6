package job

import "time"

// How long the files of a job are kept is decided when it ends, and told to its owner: later rules are for later jobs, but for
// the one that nothing goes. Nothing is taken from a job that may still need it, or still owes the mail about it.

// Expire notes that what was kept long enough is garbage from now on; ErrState if nothing was. It comes before anything is
// removed: a crash between leaves files that the ledger names, and nobody is promised what is not there. Where the rules have
// become to keep it for ever, its date is dropped instead.
func (j *Job) Expire(now time.Time, rules Rules) error {
	if !j.ExpireDue(now) {
		return ErrState
	}
	keepVideo := rules.KeepVideo
	if j.State == Failed {
		keepVideo = rules.KeepMP3
	}
	if over(j.VideoUntil, now) && !j.VideoGone {
		j.loseVideo(keepVideo == 0)
	}
	if over(j.MP3Until, now) && !j.MP3Gone {
		j.loseMP3(rules.KeepMP3 == 0)
	}
	j.CleanAt = j.expiry()
	if j.hasGarbage() {
		j.cleanBy(stamp(now))
	}
	return nil
}

func (j *Job) loseVideo(never bool) {
	if never {
		j.VideoUntil = time.Time{}
		return
	}
	j.VideoGone, j.VideoLeft = true, true
	j.VideoWas, j.VideoBytes = j.VideoBytes, 0 // it takes nothing of its owner's quota
}

func (j *Job) loseMP3(never bool) {
	if never {
		j.MP3Until = time.Time{}
		return
	}
	j.MP3Gone = true
	j.MP3Was, j.MP3Bytes = j.MP3Bytes, 0
}

// ExpireDue reports whether the sweeper must Expire the job.
func (j Job) ExpireDue(now time.Time) bool { return over(j.expiry(), now) }

// MP3Over reports whether the job's MP3 was kept long enough, be it removed by now or not.
func (j Job) MP3Over(now time.Time) bool {
	return j.MP3Gone || j.State == Done && over(j.MP3Until, now)
}

// notice is what owners have at least when an older version's job gets its dates: to see them, or for operators to set
// others.
const notice = 7 * 24 * time.Hour

// Date gives a job that an older version has ended its dates: those that it would have, but none within the notice.
func (j *Job) Date(now time.Time, rules Rules) error {
	if j.State != Done && j.State != Failed || j.Dated {
		return ErrState
	}
	j.date(j.Ended, rules)
	soonest := stamp(now).Add(notice)
	for _, until := range []*time.Time{&j.VideoUntil, &j.MP3Until} {
		if !until.IsZero() && until.Before(soonest) {
			*until = soonest
		}
	}
	j.cleanBy(j.expiry())
	return nil
}

// date decides how long the files of a job that ended at a time are kept. A failed one has no MP3, and keeps its video for a
// retry for as long as an MP3 is kept.
func (j *Job) date(ended time.Time, rules Rules) {
	j.Dated = true
	if j.State == Failed {
		j.VideoUntil, j.MP3Until = keptTo(ended, rules.KeepMP3), time.Time{}
	} else {
		j.VideoUntil, j.MP3Until = keptTo(ended, rules.KeepVideo), keptTo(ended, rules.KeepMP3)
	}
}

// undate takes the dates from a job that goes on.
func (j *Job) undate() {
	j.Dated, j.VideoUntil, j.MP3Until = false, time.Time{}, time.Time{}
	if !j.hasGarbage() {
		j.CleanAt = time.Time{}
	}
}

// expiry is when the job is next to Expire; zero is never. Until its mail is settled, a converted job is not done.
func (j Job) expiry() (at time.Time) {
	if j.State != Done && j.State != Failed {
		return time.Time{}
	}
	if !j.VideoGone {
		at = j.VideoUntil
	}
	if !j.MP3Gone {
		at = earlier(at, j.MP3Until)
	}
	return at
}

func (j Job) hasGarbage() bool {
	videos, mp3s := j.Garbage()
	return len(videos)+len(mp3s) > 0
}

// cleanBy has the sweeper look at the job's files at that time at the latest, if it is one.
func (j *Job) cleanBy(t time.Time) { j.CleanAt = earlier(j.CleanAt, t) }

// earlier is the earlier of two times, of which zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// keptTo is the end of what is kept from a time on; zero is never.
func keptTo(from time.Time, keep time.Duration) time.Time {
	if keep == 0 {
		return time.Time{}
	}
	return stamp(from).Add(keep)
}

// over reports whether a time has come; zero never has.
func over(t, now time.Time) bool { return !t.IsZero() && !now.Before(t) }
