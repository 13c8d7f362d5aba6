package job

import (
	"errors"
	"slices"
	"time"
)

// Why a transition is refused. The job is then unchanged.
var (
	ErrBusy   = errors.New("somebody else is at work on the job") // a live lease: step aside
	ErrNotYet = errors.New("the job is not due yet")              // a back-off runs: the sweeper will ring
	ErrLost   = errors.New("the job is no longer ours")           // lease lost, job deleted, ended or retried: throw the work away
	ErrState  = errors.New("the job's state does not allow this")
	ErrGone   = errors.New("the job's video is not kept any more")
)

// StillUploading tells the ledger that the upload lives.
func (j *Job) StillUploading(now time.Time, rules Rules) error {
	if j.State != Uploading {
		return ErrLost
	}
	j.CleanAt = stamp(now).Add(rules.UploadLease)
	return nil
}

// Arrived makes the job real: the video is durable. It is the moment behind a 200 on /upload.
func (j *Job) Arrived(now time.Time, rules Rules, video File) error {
	switch {
	case j.State != Uploading:
		return ErrLost
	case j.Arrival != nil && !j.Whole():
		return ErrState
	}
	j.arrived(now, rules, video)
	return nil
}

func (j *Job) arrived(now time.Time, rules Rules, video File) {
	j.State, j.CleanAt, j.Arrival = Queued, time.Time{}, nil
	j.VideoBytes, j.VideoSHA256 = video.Bytes, video.SHA256
	if j.Name == "" {
		j.Name = CleanName(video.Name)
	}
	j.wanted(now, rules)
}

// Claim gives the job to a worker, which is to store its MP3 under the fresh id mp3 and to Renew before the lease runs
// out. A job whose attempts are used up is failed instead: look at State.
func (j *Job) Claim(now time.Time, rules Rules, worker, mp3 string) error {
	now = stamp(now)
	switch {
	case j.State != Queued && j.State != Converting:
		return ErrState
	case j.State == Converting && now.Before(j.LeaseUntil):
		return ErrBusy
	case now.Before(j.NotBefore):
		return ErrNotYet
	case j.Attempts() >= rules.Attempts:
		j.fail(now, rules, ReasonCrashed, "") // Detail may be that of an attempt long excused
		return nil
	}
	j.Waited, j.Free = j.free(now), time.Time{}
	j.State, j.Attempt, j.Percent, j.Started, j.Worker = Converting, j.Attempt+1, 0, now, worker
	j.NotBefore = time.Time{}
	j.Tried = append(j.Tried, mp3)
	j.lease(now, rules)
	return nil
}

// Renew prolongs the lease of the given attempt and notes its progress.
func (j *Job) Renew(now time.Time, rules Rules, attempt, percent int) error {
	if !j.convertedBy(attempt) {
		return ErrLost
	}
	j.Percent = min(max(percent, j.Percent), 100)
	j.lease(stamp(now), rules)
	return nil
}

// Commit ends the given attempt well: its MP3, already durable, is the job's.
func (j *Job) Commit(now time.Time, rules Rules, attempt int, mp3 File, duration time.Duration) error {
	if !j.convertedBy(attempt) || !slices.Contains(j.Tried, mp3.ID) {
		return ErrLost
	}
	j.MP3, j.MP3Bytes, j.Duration = mp3.ID, mp3.Bytes, duration
	j.converted(now, rules)
	return nil
}

// Release gives the job back after an attempt that failed through no fault of the video: the store or broker is away,
// the scratch folder is full, the process is told to stop. It does not count. The worker has removed what it stored.
// With delay 0 the caller sees to it that the bell rings at once.
func (j *Job) Release(now time.Time, rules Rules, attempt int, delay time.Duration, why string) error {
	if !j.convertedBy(attempt) {
		return ErrLost
	}
	j.Excused++
	j.requeue(now, rules, delay, why)
	return nil
}

// Crashed gives the job back after an attempt that failed for a reason nobody knows. The last one fails the job: look
// at State.
func (j *Job) Crashed(now time.Time, rules Rules, attempt int, why string) error {
	if !j.convertedBy(attempt) {
		return ErrLost
	}
	if j.Attempts() >= rules.Attempts {
		j.fail(now, rules, ReasonCrashed, why)
		return nil
	}
	j.requeue(now, rules, rules.retryAfter(j.Attempts()), why)
	return nil
}

// Fail ends the given attempt and the job, for a permanent reason that its owner is told.
func (j *Job) Fail(now time.Time, rules Rules, attempt int, reason Reason, detail string) error {
	if !j.convertedBy(attempt) {
		return ErrLost
	}
	j.fail(now, rules, reason, detail)
	return nil
}

// Stop ends a job that waits or is being converted, because an operator says so; why, if anything, is for the owner.
// Whoever is at work on it has lost it, as if an attempt more had been claimed: so this failure's letter has an id of its
// own too, when the job has failed and was retried before.
func (j *Job) Stop(now time.Time, rules Rules, why string) error {
	if j.State != Queued && j.State != Converting {
		return ErrState
	}
	j.Attempt, j.Excused = j.Attempt+1, j.Excused+1
	j.fail(now, rules, ReasonStopped, why)
	return nil
}

// ClaimMail gives the mail that the job owes to a mailer, until the lease runs out.
func (j *Job) ClaimMail(now time.Time, rules Rules, worker string) error {
	now = stamp(now)
	switch {
	case j.Mail != MailPending || j.State == Deleted:
		return ErrState
	case now.Before(j.LeaseUntil):
		return ErrBusy
	case now.Before(j.NotBefore):
		return ErrNotYet
	}
	j.MailAttempt, j.Worker, j.NotBefore = j.MailAttempt+1, worker, time.Time{}
	if j.MailSince.IsZero() {
		j.MailSince = now
	}
	j.lease(now, rules)
	return nil
}

// MailAccepted notes that the mail server has taken the mail: a converted job is done.
func (j *Job) MailAccepted(attempt int) error {
	return j.mailEnds(attempt, MailSent, "")
}

// MailRefused notes that the mail server will never take the mail. A converted job is done all the same: its MP3 can be
// downloaded.
func (j *Job) MailRefused(attempt int, why string) error {
	return j.mailEnds(attempt, MailFailed, why)
}

// MailLater notes that the mail server did not take the mail now; after rules.MailFor of trying the mail has failed.
func (j *Job) MailLater(now time.Time, rules Rules, attempt int, why string) error {
	if !j.mailedBy(attempt) {
		return ErrLost
	}
	now = stamp(now)
	j.MailTries++
	if now.Sub(j.MailSince) >= rules.MailFor {
		return j.mailEnds(attempt, MailFailed, why)
	}
	j.MailError = why
	j.LeaseUntil, j.Worker = time.Time{}, ""
	j.NotBefore = now.Add(rules.mailAfter(j.MailTries))
	j.ringFrom(j.NotBefore.Add(rules.Skew))
	return nil
}

// ReleaseMail gives the mail back untried: the process is told to stop. The caller sees to it that the bell rings.
func (j *Job) ReleaseMail(now time.Time, rules Rules, attempt int) error {
	if !j.mailedBy(attempt) {
		return ErrLost
	}
	j.LeaseUntil, j.Worker = time.Time{}, ""
	j.ringFrom(stamp(now).Add(rules.RingAfter))
	return nil
}

// Retry starts a failed job anew, with all its attempts; ErrGone if its video is.
func (j *Job) Retry(now time.Time, rules Rules) error {
	switch {
	case j.State != Failed:
		return ErrState
	case j.VideoGone:
		return ErrGone
	}
	j.State, j.Excused, j.Percent = Queued, j.Attempt, 0
	j.Reason, j.Detail, j.Ended = "", "", time.Time{}
	j.Mail, j.MailTries, j.MailError, j.MailSince = "", 0, "", time.Time{}
	j.LeaseUntil, j.NotBefore, j.Worker = time.Time{}, time.Time{}, ""
	j.TellAt = time.Time{} // whoever retries knows
	j.undate()
	j.wanted(now, rules)
	return nil
}

// Delete hides the job, frees its key, takes it from whoever works on it and leaves its files to the sweeper.
func (j *Job) Delete(now time.Time) error {
	if j.State == Deleted {
		return ErrState
	}
	j.State, j.Key, j.Arrival = Deleted, OwnKey(j.ID), nil
	j.Since, j.Free = time.Time{}, time.Time{}
	j.RingAt, j.TellAt, j.CleanAt = time.Time{}, time.Time{}, stamp(now)
	return nil
}

// Told notes that whatever the owner's webhooks are to be told of the end at the given time is stored: a job that has been
// retried since, or was told already, is ErrState.
func (j *Job) Told(ended time.Time) error {
	if j.TellAt.IsZero() || !j.Ended.Equal(ended) {
		return ErrState
	}
	j.TellAt = time.Time{}
	return nil
}

// Rung notes a confirmed ring made while the job was in the given state, and when to remind. A live lease keeps its own
// time for the bell.
func (j *Job) Rung(now time.Time, rules Rules, state State) error {
	if j.State != state || j.RingAt.IsZero() || stamp(now).Before(j.LeaseUntil) {
		return ErrState
	}
	j.Rings++
	j.RingAt = stamp(now).Add(rules.remindAfter(j.Rings))
	return nil
}

// Unrung notes that ringing failed, and when to try again: others' turn comes first.
func (j *Job) Unrung(now time.Time, rules Rules) error {
	if !j.RingDue(now) {
		return ErrState
	}
	j.RingAt = stamp(now).Add(rules.RingAfter)
	return nil
}

// Uncleaned is the same for cleaning.
func (j *Job) Uncleaned(now time.Time, rules Rules) error {
	if !j.CleanDue(now) {
		return ErrState
	}
	j.CleanAt = stamp(now).Add(rules.RingAfter)
	return nil
}

// Orphaned notes that every process that worked on the job or was rung for it is known to be dead, as when a suite in one
// process starts: no lease counts, and whoever sweeps rings and cleans without waiting for what will not come. A resumable
// upload has its client, who may yet come back.
func (j *Job) Orphaned(now time.Time) {
	now = stamp(now)
	if now.Before(j.LeaseUntil) {
		j.LeaseUntil = now
	}
	if j.State == Uploading && j.Arrival == nil {
		j.CleanAt = now
	}
	if !j.RingAt.IsZero() {
		j.RingAt = now
		if now.Before(j.NotBefore) {
			j.RingAt = j.NotBefore
		}
	}
	if !j.TellAt.IsZero() {
		j.TellAt = now
	}
}

// RingDue reports whether the sweeper must ring for the job.
func (j Job) RingDue(now time.Time) bool { return !j.RingAt.IsZero() && !now.Before(j.RingAt) }

// CleanDue reports whether the sweeper must remove the job's Garbage. An upload that has died is due too: Delete it first.
func (j Job) CleanDue(now time.Time) bool { return !j.CleanAt.IsZero() && !now.Before(j.CleanAt) }

// Cleaned notes that the given files are removed. Of a deleted job last reports that the record itself can go now: the first
// time its files go at once, the second time whatever a sleeping process has written since.
func (j *Job) Cleaned(now time.Time, rules Rules, videos, mp3s []string) (last bool) {
	if j.State == Deleted {
		last = j.Cleanings > 0
		j.Cleanings++
		j.CleanAt = stamp(now).Add(rules.CleanAfter)
		return last
	}
	j.Tried = slices.DeleteFunc(j.Tried, func(id string) bool { return slices.Contains(mp3s, id) && !j.keeps(id) })
	j.VideoLeft = j.VideoLeft && !slices.Contains(videos, j.ID)
	j.CleanAt = j.expiry()
	if j.hasGarbage() {
		j.cleanBy(stamp(now).Add(rules.CleanAfter))
	}
	return false
}

func (j *Job) convertedBy(attempt int) bool { return j.State == Converting && j.Attempt == attempt }

func (j *Job) mailedBy(attempt int) bool {
	return j.Mail == MailPending && j.MailAttempt == attempt && (j.State == Converted || j.State == Failed)
}

func (j *Job) lease(now time.Time, rules Rules) {
	j.LeaseUntil = now.Add(rules.Lease)
	j.RingAt = j.LeaseUntil.Add(rules.Skew) // a dead worker's job is rung for when everybody's clock lets it be claimed
}

func (j *Job) converted(now time.Time, rules Rules) {
	j.State, j.Percent, j.Detail = Converted, 100, ""
	j.end(now, rules)
}

func (j *Job) fail(now time.Time, rules Rules, reason Reason, detail string) {
	j.State, j.Reason, j.Detail = Failed, reason, detail
	j.end(now, rules)
}

// wanted has the owner wait for an MP3 from now on.
func (j *Job) wanted(now time.Time, rules Rules) {
	j.Since = stamp(now)
	j.Free = j.Since
	j.ringFrom(j.Since.Add(rules.RingAfter))
}

// free is for how long the job could have been claimed: if nobody gave it back its worker is dead, and it is since the lease
// ran out.
func (j *Job) free(now time.Time) time.Duration {
	since := j.Free
	if j.State == Converting {
		since = j.LeaseUntil
	}
	if since.IsZero() { // queued by an older version
		return 0
	}
	return max(0, now.Sub(since))
}

// end is what converted and failed jobs have in common: a mail is owed, webhooks are, and lost attempts may have left files.
// The mailer sees to the webhooks while it has the job in its hands anyway, and notes both in one.
func (j *Job) end(now time.Time, rules Rules) {
	now = stamp(now)
	j.Ended, j.Mail, j.TellAt = now, MailPending, now.Add(rules.RingAfter)
	j.Since, j.Free = time.Time{}, time.Time{}
	j.LeaseUntil, j.NotBefore, j.Worker = time.Time{}, time.Time{}, ""
	if j.hasGarbage() {
		j.CleanAt = now.Add(rules.CleanAfter)
	}
	j.date(now, rules)
	j.cleanBy(j.expiry())
	j.ringFrom(now.Add(rules.RingAfter))
}

func (j *Job) requeue(now time.Time, rules Rules, delay time.Duration, why string) {
	now = stamp(now)
	j.State, j.Percent, j.Detail = Queued, 0, why
	j.LeaseUntil, j.NotBefore, j.Worker = time.Time{}, time.Time{}, ""
	j.Free = now.Add(delay)
	ring := now.Add(rules.RingAfter)
	if delay > 0 {
		j.NotBefore = j.Free
		ring = j.NotBefore.Add(rules.Skew)
	}
	j.ringFrom(ring)
}

func (j *Job) mailEnds(attempt int, how Mail, why string) error {
	if !j.mailedBy(attempt) {
		return ErrLost
	}
	j.Mail, j.MailError = how, why
	if j.State == Converted {
		j.State = Done
		j.cleanBy(j.expiry())
	}
	j.LeaseUntil, j.NotBefore, j.RingAt, j.Worker = time.Time{}, time.Time{}, time.Time{}, ""
	return nil
}

func (j *Job) ringFrom(t time.Time) { j.RingAt, j.Rings = t, 0 }
