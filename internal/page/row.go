package page

import (
	"time"

	"mp3converter/internal/job"
)

// row is a job in the list.
type row struct{ job.Job }

// Title is what the job is called.
func (r row) Title() string {
	if r.Name == "" {
		return "Unnamed video"
	}
	return r.Name
}

// FileName is what the MP3 is called when it is downloaded.
func (r row) FileName() string { return job.MP3Name(r.Name) }

// Ready reports whether there is an MP3.
func (r row) Ready() bool { return r.MP3 != "" && r.ended() && !r.over() }

// ended reports whether the job has ended well.
func (r row) ended() bool { return r.State == job.Converted || r.State == job.Done }

// over reports whether there was an MP3, and it was kept long enough.
func (r row) over() bool { return r.MP3Over(time.Now()) }

// Failed reports whether there will be none.
func (r row) Failed() bool { return r.State == job.Failed }

// Converting reports whether it is on its way.
func (r row) Converting() bool { return r.State == job.Converting }

// Retryable reports whether trying again can help: not without the video.
func (r row) Retryable() bool {
	return r.Failed() && !r.VideoGone && r.Reason != job.ReasonNoVideo && r.Reason != job.ReasonEmpty
}

// Status says where the job stands, a sentence or a word.
func (r row) Status() string {
	switch r.State {
	case job.Queued:
		if r.Detail != "" {
			return "Waiting for another try"
		}
		return "Waiting to be converted"
	case job.Converting:
		return "Converting"
	case job.Failed:
		return Sentence(r.why())
	case job.Done:
		if r.over() {
			return "The MP3 was kept until " + day(r.MP3Until)
		}
		if r.Mail == job.MailFailed {
			return "Ready, but no mail could be sent to you"
		}
	}
	return "Ready"
}

// why a failed job failed. The detail, where there is one, is about this very file.
func (r row) why() string {
	if r.Detail != "" {
		return r.Detail
	}
	return r.Reason.Text()
}

// Advice says what to do.
func (r row) Advice() string {
	if r.VideoGone {
		return advice[job.ReasonNoVideo]
	}
	return advice[r.Reason]
}

// Facts are what there is to know of the files, for one line.
func (r row) Facts() []string {
	var facts []string
	if r.Ready() {
		if r.Duration > 0 {
			facts = append(facts, length(r.Duration))
		}
		if r.MP3Bytes > 0 {
			facts = append(facts, size(r.MP3Bytes)+" MP3")
		}
	}
	facts = append(facts, size(r.VideoBytes+r.VideoWas)+" video", profileName(r.Profile)) // one of two is 0
	switch {
	case r.Ready() && !r.MP3Until.IsZero():
		facts = append(facts, "kept until "+day(r.MP3Until))
	case r.Retryable() && !r.VideoUntil.IsZero():
		facts = append(facts, "can be tried again until "+day(r.VideoUntil))
	}
	return facts
}

// day is a day as people write it.
func day(t time.Time) string { return t.UTC().Format("2 January 2006") }

// When is a time as the page shows it until a script makes it local.
func (r row) When() string { return r.Created.UTC().Format("2 January 2006, 15:04 MST") }

// Stamp is the same for scripts.
func (r row) Stamp() string { return r.Created.UTC().Format(time.RFC3339) }
