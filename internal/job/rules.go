package job

import "time"

// Rules are the times and counts by which jobs pass their states. Every service of one installation must run with the
// same; the commands read them from the environment.
type Rules struct {
	UploadLease time.Duration // an upload silent in the ledger for this long is dead
	ResumeFor   time.Duration // a resumable upload of which nothing more has come for this long is dead
	Lease       time.Duration // a converter or mailer silent in the ledger for this long is dead
	Skew        time.Duration // how far the clocks of two processes may differ
	Attempts    int           // conversions that may crash before the job fails
	RetryDelay  time.Duration // before the second attempt; six times as long before each further one

	RingAfter time.Duration // a bell that should have been rung and was not confirmed is rung again after this
	Remind    time.Duration // a bell that was confirmed is rung again after this, then after twice as long, and so on:
	RemindMax time.Duration // up to this. It finds jobs whose messages a broker has lost.

	MailSteps  []time.Duration // waits after each "later" of the mail server; the last one repeats
	MailFor    time.Duration   // after this long the mail has failed
	KeepVideo  time.Duration   // the video of a job that has ended well; 0 is for ever
	KeepMP3    time.Duration   // the MP3, and the video of a job that has failed; 0 is for ever
	CleanAfter time.Duration   // files of dead attempts and deleted jobs are removed once more after this: a process that slept may have gone on writing
}

// DefaultRules are the rules that README states.
func DefaultRules() Rules {
	return Rules{
		UploadLease: 90 * time.Second,
		ResumeFor:   24 * time.Hour,
		Lease:       90 * time.Second,
		Skew:        5 * time.Second,
		Attempts:    3,
		RetryDelay:  10 * time.Second,
		RingAfter:   30 * time.Second,
		Remind:      10 * time.Minute,
		RemindMax:   2 * time.Hour,
		// RFC 5321, 4.5.4.1: two tries in the first hour, then slower; greylisters accept after a few minutes.
		MailSteps:  []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour},
		MailFor:    3 * 24 * time.Hour,
		KeepVideo:  24 * time.Hour,
		KeepMP3:    30 * 24 * time.Hour,
		CleanAfter: time.Hour,
	}
}

// retryAfter is the back-off after the n-th counted attempt, n from 1.
func (r Rules) retryAfter(n int) time.Duration {
	d := r.RetryDelay
	for ; n > 1 && d < time.Hour; n-- {
		d *= 6
	}
	return d
}

// mailAfter is the wait after the n-th "later", n from 1.
func (r Rules) mailAfter(n int) time.Duration {
	return r.MailSteps[min(n, len(r.MailSteps))-1]
}

// remindAfter is the wait after the n-th ring, n from 1.
func (r Rules) remindAfter(n int) time.Duration {
	d := r.Remind
	for ; n > 1 && d < r.RemindMax; n-- {
		d *= 2
	}
	return min(d, r.RemindMax)
}
