package notification

import (
	"fmt"
	"strings"
	"unicode"

	"mp3converter/internal/job"
)

// letter writes the mail that the finished job owes. The same job makes the same letter every time; a job that failed,
// was retried and failed again makes another one.
func (s *Service) letter(j job.Job) job.Letter {
	l := job.Letter{From: s.cfg.From, To: j.Owner, Date: j.Ended}
	if j.State == job.Failed {
		l.Subject, l.Body = "MP3 conversion failed", s.failed(j)
		l.MessageID = fmt.Sprintf("%s.failed.%d@%s", j.ID, j.Attempt, s.cfg.Host)
		return l
	}
	l.Subject, l.Body = "MP3 Download", s.done(j)
	l.MessageID = fmt.Sprintf("%s.done@%s", j.ID, s.cfg.Host)
	return l
}

// done is the contract's body. Programs look for its first line.
func (s *Service) done(j job.Job) string {
	body := fmt.Sprintf("mp3 file_id: %s is now ready!\n", j.MP3)
	if s.cfg.BaseURL != "" {
		body += fmt.Sprintf("%s/download?fid=%s\n", s.cfg.BaseURL, j.MP3)
	}
	return body
}

func (s *Service) failed(j job.Job) string {
	reason := j.Reason.Text()
	if detail := oneLine(j.Detail); detail != "" {
		reason += ": " + detail
	}
	body := fmt.Sprintf("Your file \"%s\" could not be converted to an MP3.\n\nReason: %s.\nWhat you can do: %s\n",
		job.CleanName(j.Name), strings.TrimSuffix(reason, "."), advise(j.Reason))
	if s.cfg.BaseURL != "" {
		body += fmt.Sprintf("\nThe job: %s/jobs/%s\n", s.cfg.BaseURL, j.ID)
	}
	return body
}

// advice says what an owner can do about a reason.
var advice = map[job.Reason]string{
	job.ReasonEmpty:       "check that the file on your side has content, and upload it again.",
	job.ReasonUnsupported: "upload it as MP4, MOV, MKV, WebM, AVI, FLV or MPEG-TS.",
	job.ReasonUnreadable:  "check that it plays on your side, and upload it again.",
	job.ReasonNoAudio:     "upload a file with sound.",
	job.ReasonTruncated:   "check that it plays to its end on your side, and upload it again.",
	job.ReasonTooLong:     "cut it into shorter parts and upload these.",
	job.ReasonTooLarge:    "cut it into shorter parts, or choose a profile with a lower bit rate.",
	job.ReasonTooSlow:     "retry the job when there is less to do, or cut the file into shorter parts.",
	job.ReasonNoVideo:     "upload it again.",
	job.ReasonCrashed:     "retry the job; if it fails again, convert the file to another format first.",
	job.ReasonStopped:     "ask whoever runs the service, or retry the job.",
}

func advise(r job.Reason) string {
	if text, ok := advice[r]; ok {
		return text
	}
	return "upload it again."
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
