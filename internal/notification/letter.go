package notification

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"mp3converter/internal/job"
)

// letter writes the mail that the finished job owes. The same job makes the same letter every time; a job that failed,
// was retried and failed again makes another one.
func (s *Service) letter(j job.Job) (job.Letter, error) {
	l := job.Letter{From: s.cfg.From, To: j.Owner, Date: j.Ended}
	if j.State == job.Failed {
		l.Subject = "MP3 conversion failed"
		l.MessageID = fmt.Sprintf("%s.failed.%d@%s", j.ID, j.Attempt, s.cfg.Host)
		return write(l, "failed", s.failed(j))
	}
	l.Subject = "MP3 Download"
	l.MessageID = fmt.Sprintf("%s.done@%s", j.ID, s.cfg.Host)
	return write(l, "done", s.done(j))
}

// done is what the letter about an MP3 says. The first line of its text is the contract's: programs look for it.
type done struct {
	FID       string
	Facts     []fact
	Address   string // "" if the gateway's is not known
	Link      string // to the MP3 without a login; "" if there is none
	LinkUntil string // when that ends
	KeptUntil string // when the MP3 is deleted; "" is never
}

// fact is a line about the MP3.
type fact struct{ Name, Value string }

func (s *Service) done(j job.Job) done {
	d := done{FID: j.MP3, Facts: []fact{{"File", job.CleanName(j.Name)}}}
	if j.Duration > 0 { // it is not known of an MP3 that the original system has made, nor is the size
		d.Facts = append(d.Facts, fact{"Length", length(j.Duration)})
	}
	if j.MP3Bytes > 0 {
		d.Facts = append(d.Facts, fact{"Size", size(j.MP3Bytes)})
	}
	if !j.MP3Until.IsZero() {
		d.KeptUntil = moment(j.MP3Until)
	}
	if s.cfg.BaseURL == "" {
		return d
	}
	d.Address = fmt.Sprintf("%s/download?fid=%s", s.cfg.BaseURL, j.MP3)
	if !s.cfg.Links.IsZero() {
		until := s.linkUntil(j)
		d.Link = s.cfg.BaseURL + "/download?" + s.cfg.Links.Query(j.MP3, j.Owner, until)
		d.LinkUntil = moment(until)
	}
	return d
}

// linkUntil is when the letter's link ends. It counts from the first try to send the letter, so that a letter sent again is
// the same; if by now less than half of its time is left, because the mail server has said later for so long, it has the
// time once more.
func (s *Service) linkUntil(j job.Job) time.Time {
	until, now := j.MailSince.Add(s.cfg.LinkFor), time.Now()
	for until.Sub(now) < s.cfg.LinkFor/2 {
		until = until.Add(s.cfg.LinkFor)
	}
	if !j.MP3Until.IsZero() && j.MP3Until.Before(until) {
		until = j.MP3Until
	}
	return until.Truncate(time.Minute)
}

// failed is what the letter about a failure says.
type failed struct {
	File         string
	Reason       string // a clause without a full stop
	Advice       string // one or more sentences
	Page         string // for people; "" if the gateway's address is not known
	Address      string // for programs, likewise
	RetryAddress string // "" also if nobody can retry the job
	RetryUntil   string // "" is for ever
}

func (s *Service) failed(j job.Job) failed {
	f := failed{File: job.CleanName(j.Name), Reason: j.Reason.Text(), Advice: advise(j.Reason)}
	if detail := oneLine(j.Detail); detail != "" {
		f.Reason += ": " + detail
	}
	f.Reason = strings.TrimSuffix(f.Reason, ".")
	if s.cfg.BaseURL != "" {
		f.Page = fmt.Sprintf("%s/?job=%s", s.cfg.BaseURL, j.ID)
		f.Address = fmt.Sprintf("%s/jobs/%s", s.cfg.BaseURL, j.ID)
	}
	if f.Address != "" && j.Reason != job.ReasonNoVideo {
		f.RetryAddress = f.Address + "/retry"
		if !j.VideoUntil.IsZero() {
			f.RetryUntil = moment(j.VideoUntil)
		}
	}
	return f
}

// advice says what an owner can do about a reason.
var advice = map[job.Reason]string{
	job.ReasonEmpty:       "Check that the file on your side has content, and upload it again.",
	job.ReasonUnsupported: "Upload it as MP4, MOV, MKV, WebM, AVI, FLV or MPEG-TS.",
	job.ReasonUnreadable:  "Check that it plays on your side, and upload it again.",
	job.ReasonNoAudio:     "Record it with sound, or export it once more with its sound track, and upload that.",
	job.ReasonTruncated:   "Check that it plays to its end on your side, and upload it again.",
	job.ReasonTooLong:     "Cut it into shorter parts and upload these.",
	job.ReasonTooLarge:    "Cut it into shorter parts, or choose a profile with a lower bit rate: voice or standard.",
	job.ReasonTooSlow:     "Retry the job when there is less to do, or cut the file into shorter parts.",
	job.ReasonNoVideo:     "Upload it again.",
	job.ReasonCrashed:     "Retry the job; if it fails again, convert the file to another format first.",
	job.ReasonStopped:     "Ask whoever runs the service, or retry the job.",
}

func advise(r job.Reason) string {
	if text, ok := advice[r]; ok {
		return text
	}
	return "Upload it again."
}

// oneLine keeps a text from looking like more of the mail than it is.
func oneLine(text string) string {
	return strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, ""))), " ")
}
