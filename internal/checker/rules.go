package checker

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	done   = "done"
	failed = "failed"
)

// accepted is I1.
func (l *look) accepted() {
	answers := map[string]*request{} // by the id that was told
	for _, r := range l.requests {
		for _, u := range r.tries {
			if u.Status != 200 {
				continue
			}
			if j, there := l.job(u.Job); !there {
				l.say("I1", "job %s of %s was accepted and is gone", u.Job, u.Owner)
			} else if hidden(j) {
				l.say("I1", "job %s of %s was accepted and is %s", u.Job, u.Owner, j.State)
			}
			if other := answers[u.Job]; other != nil && other != r {
				l.say("I1", "job %s is the answer to two uploads, of %s and %s", u.Job, other.tries[0].Owner, u.Owner)
			}
			answers[u.Job] = r
		}
	}
	for _, j := range l.Jobs {
		if !hidden(j) { // else it is I7's affair
			l.ended(j)
		}
	}
}

// ended is I1 for one job: how it must have ended, and whose and what it must be.
func (l *look) ended(j Job) {
	switch {
	case j.State != done && j.State != failed:
		l.say("I1", "job %s of %s is still %s", j.ID, j.Owner, j.State)
	case j.State == failed && j.Reason == "":
		l.say("I1", "job %s has failed without a reason", j.ID)
	case j.Mail != "sent" && !l.mailRefused(j):
		l.say("I1", "job %s has ended and its mail is %q", j.ID, j.Mail)
	}
	u, known := l.sent(j)
	if !known {
		return
	}
	switch {
	case j.State == failed && u.Sound > 0 && !l.allowed.MayFail:
		l.say("I1", "job %s has failed (%s) although its video is good", j.ID, j.Reason)
	case j.State == failed && u.Reason != "" && j.Reason != u.Reason:
		l.say("I1", "job %s has failed for the reason %q, expected was %q", j.ID, j.Reason, u.Reason)
	case j.State == done && u.Sound == 0:
		l.say("I1", "job %s is done although its video is bad", j.ID)
	}
	if j.Profile != u.Profile {
		l.say("I1", "job %s has profile %q, asked for was %q", j.ID, j.Profile, u.Profile)
	}
	if j.Owner != u.Owner {
		l.say("I1", "job %s belongs to %s, sent was it by %s", j.ID, j.Owner, u.Owner)
	}
}

// hidden are jobs that no owner sees.
func hidden(j Job) bool { return j.State == "uploading" || j.State == "deleted" }

// tolerance is what an encoder's padding may add or a container's rounding take.
const tolerance = 50 * time.Millisecond

// sounding is I2.
func (l *look) sounding() {
	for _, j := range l.Jobs {
		f, there := l.MP3s.file(j.MP3)
		if j.State != done || !there {
			continue
		}
		sum, wrong := l.MP3s.whole(f)
		if wrong == "" {
			wrong = l.unlike(j, sum)
		}
		if wrong != "" {
			l.say("I2", "mp3 %s of job %s: %s", j.MP3, j.ID, wrong)
		}
	}
}

// unlike says how the job's MP3 of that SHA-256 differs from what its video must become; empty if it does not.
func (l *look) unlike(j Job, sum string) string {
	sound, heard := l.sounds[sum]
	if !heard {
		sound = decode(l.MP3s.Data[j.MP3])
		l.sounds[sum] = sound
	}
	if sound.Wrong != "" {
		return "it does not decode: " + sound.Wrong
	}
	u, known := l.sent(j)
	if !known || u.Sound == 0 { // that it is done is I5's affair or I1's
		return ""
	}
	if off := (sound.Duration - u.Sound).Abs(); off >= tolerance {
		return fmt.Sprintf("it sounds for %v, its video for %v", sound.Duration, u.Sound)
	}
	source := strings.Join([]string{u.Video, u.Name, u.Profile}, "\x00")
	if before, made := l.made[source]; made && before != sum {
		return "it is not the one that the same video became before"
	}
	l.made[source] = sum
	return ""
}

// referenced is I3.
func (l *look) referenced() {
	mp3s, videos := map[string]string{}, map[string]bool{}
	for _, j := range l.Jobs {
		videos[j.ID] = true
		l.kept(j)
		if j.MP3 == "" {
			if j.State == done {
				l.say("I3", "job %s is done without an mp3", j.ID)
			}
			continue
		}
		if other, taken := mp3s[j.MP3]; taken {
			l.say("I3", "jobs %s and %s name the same mp3 %s", other, j.ID, j.MP3)
		}
		mp3s[j.MP3] = j.ID
		if j.State == failed {
			l.say("I3", "job %s has failed and names mp3 %s", j.ID, j.MP3)
		}
		if f, there := l.MP3s.file(j.MP3); there != !j.MP3Gone {
			l.say("I3", "mp3 %s of job %s: there %v, though noted as gone %v", j.MP3, j.ID, there, j.MP3Gone)
		} else if of := f.Metadata.Job; of != "" && of != j.ID {
			l.say("I3", "mp3 %s of job %s was made for job %s", j.MP3, j.ID, of)
		}
	}
	for _, f := range l.MP3s.Files {
		if mp3s[f.ID.Hex()] == "" {
			l.say("I3", "mp3 %s is there and no job names it", f.ID.Hex())
		}
	}
	for _, f := range l.Videos.Files {
		if !videos[f.ID.Hex()] {
			l.say("I3", "video %s is there and no job names it", f.ID.Hex())
		}
	}
}

// kept is I3 for the job's video: it goes only when the job has ended, and then for good.
func (l *look) kept(j Job) {
	if hidden(j) {
		return
	}
	_, there := l.Videos.file(j.ID)
	switch {
	case !there && !j.VideoGone:
		l.say("I3", "the video of job %s is gone", j.ID)
	case there && j.VideoGone:
		l.say("I3", "the video of job %s is noted as gone, and there", j.ID)
	case j.VideoGone && j.State != done && j.State != failed:
		l.say("I3", "the video of job %s is gone while it is %s", j.ID, j.State)
	}
}

// mailed is I4.
func (l *look) mailed() {
	mails := map[string][]Mail{} // by job
	for _, m := range l.Mails {
		for _, j := range l.Jobs {
			if strings.Contains(m.MessageID, j.ID) {
				mails[j.ID] = append(mails[j.ID], m)
			}
		}
	}
	for _, j := range l.Jobs {
		if j.State == done || j.State == failed {
			l.told(j, mails[j.ID])
		}
	}
}

// told is I4 for one job that has ended.
func (l *look) told(j Job, mails []Mail) {
	switch refused := l.mailRefused(j); {
	case len(mails) == 0 && !refused:
		l.say("I4", "job %s of %s is %s and nobody was told", j.ID, j.Owner, j.State)
	case len(mails) > 0 && refused && !l.allowed.DuplicateMails:
		l.say("I4", "the mail about job %s was taken, and is noted as refused", j.ID)
	case len(mails) > 1 && !l.allowed.DuplicateMails:
		l.say("I4", "%d mails about job %s", len(mails), j.ID)
	}
	for _, m := range mails {
		if m.MessageID != mails[0].MessageID || !m.Date.Equal(mails[0].Date) {
			l.say("I4", "two mails about job %s cannot be told to be one: %s of %v and %s of %v", j.ID, mails[0].MessageID, mails[0].Date, m.MessageID, m.Date)
		}
		if m.To != j.Owner {
			l.say("I4", "the mail about job %s of %s went to %s", j.ID, j.Owner, m.To)
		}
		first, _, _ := strings.Cut(m.Body, "\n")
		if want := "mp3 file_id: " + j.MP3 + " is now ready!"; j.State == done && first != want {
			l.say("I4", "the mail about job %s begins %q, want %q", j.ID, first, want)
		}
		if j.State == failed && (!strings.Contains(m.Subject, "failed") || strings.Contains(first, "is now ready!")) {
			l.say("I4", "the mail about the failed job %s has subject %q and begins %q", j.ID, m.Subject, first)
		}
	}
}

// mailRefused reports whether the run excuses that the mail server would not have the job's mail.
func (l *look) mailRefused(j Job) bool { return j.Mail == "failed" && l.allowed.MailRefused[j.Owner] }

// expected is I5.
func (l *look) expected() {
	for _, j := range l.Jobs {
		_, known := l.sent(j)
		if refused, other := l.surplus(j); !known && !hidden(j) && refused == nil && other == nil {
			l.say("I5", "job %s of %s comes from nothing that was sent", j.ID, j.Owner)
		}
	}
	for _, m := range l.Mails {
		if !l.wanted(m) {
			l.say("I5", "mail %s to %s is about no job", m.MessageID, m.To)
		}
	}
}

// wanted reports whether a mail is about a job that is there, or was accepted and is gone, which is I1's affair.
func (l *look) wanted(m Mail) bool {
	names := func(id string) bool { return id != "" && strings.Contains(m.MessageID, id) }
	return slices.ContainsFunc(l.Jobs, func(j Job) bool { return names(j.ID) }) ||
		slices.ContainsFunc(l.uploads, func(u Upload) bool { return names(u.Job) })
}

// orphans is I6.
func (l *look) orphans() {
	for _, b := range []Bucket{l.Videos, l.MP3s} {
		type place struct {
			file string
			n    int64
		}
		seen, orphans := map[place]bool{}, map[string]int{}
		for _, c := range b.Chunks {
			at := place{c.File.Hex(), c.N}
			if seen[at] {
				l.say("I6", "%s: chunk %d of file %s is there twice", b.Name, at.n, at.file)
			}
			seen[at] = true
			if _, there := b.file(at.file); !there {
				orphans[at.file]++
			}
		}
		for id, n := range orphans {
			l.say("I6", "%s: %d chunks of file %s, which is not there", b.Name, n, id)
		}
	}
}

// refused is I7.
func (l *look) refused() {
	for _, r := range l.requests {
		for _, u := range r.tries {
			if u.Status == 200 && u.Job != r.job {
				l.say("I7", "key %q of %s has the jobs %s and %s", u.Key, u.Owner, r.job, u.Job)
			}
		}
	}
	keys := map[string]string{}
	for _, j := range l.Jobs {
		if hidden(j) {
			l.say("I7", "job %s of %s is still %s", j.ID, j.Owner, j.State)
		}
		if refused, other := l.surplus(j); other != nil {
			l.say("I7", "key %q of %s has the jobs %s and %s", other.tries[0].Key, j.Owner, other.job, j.ID)
		} else if refused != nil {
			l.say("I7", "job %s of %s is there although its upload was refused", j.ID, j.Owner)
		}
		if other := keys[j.Key]; other != "" {
			l.say("I7", "jobs %s and %s have one key", other, j.ID)
		}
		keys[j.Key] = j.ID
	}
}

// queued is I8.
func (l *look) queued() {
	for _, q := range l.Queues {
		if q.Ready != 0 || q.Unacked != 0 {
			l.say("I8", "queue %s holds %d messages, and %d that nobody has settled", q.Name, q.Ready, q.Unacked)
		}
	}
	missing := slices.Clone(l.allowed.Poison)
	for _, d := range l.Dead {
		if i := slices.Index(missing, d.Body); i >= 0 {
			missing = slices.Delete(missing, i, i+1)
			continue
		}
		l.say("I8", "dead letter in %s that nobody planted: %.200q", d.Queue, d.Body)
	}
	for _, body := range missing {
		l.say("I8", "poison is not among the dead letters: %.200q", body)
	}
}

const (
	// moreGoroutines come and go with connections, timers and the very request that asks for their number.
	moreGoroutines = 25
	// moreRSS is what Go's collector leaves lying between two cycles, twice as much under the race detector.
	moreRSS = 96 << 20
)

// processes is I9.
func (l *look) processes() {
	for _, p := range l.Processes {
		switch {
		case p.Starts != p.Expected:
			l.say("I9", "%s was started %d times, expected are %d", p.Name, p.Starts, p.Expected)
		case p.Goroutines > p.BaseGoroutines+moreGoroutines:
			l.say("I9", "%s has %d goroutines, it had %d", p.Name, p.Goroutines, p.BaseGoroutines)
		case p.RSS > p.BaseRSS+moreRSS+p.Working:
			l.say("I9", "%s has %d MiB, it had %d", p.Name, p.RSS>>20, p.BaseRSS>>20)
		}
	}
}

// bytes is I10.
func (l *look) bytes() {
	said := map[string]int64{} // by owner
	held := map[string]int64{}
	owners := map[string]string{} // by file
	for _, j := range l.Jobs {
		if hidden(j) {
			continue
		}
		said[j.Owner] += j.VideoBytes + j.MP3Bytes
		owners[j.ID], owners[j.MP3] = j.Owner, j.Owner
		l.sizes(j)
	}
	for _, b := range []Bucket{l.Videos, l.MP3s} {
		nobodys := map[string]int64{} // by file
		for _, c := range b.Chunks {
			if owner, known := owners[c.File.Hex()]; known {
				held[owner] += c.Bytes
			} else {
				nobodys[c.File.Hex()] += c.Bytes
			}
		}
		for id, bytes := range nobodys {
			l.say("I10", "%s: file %s holds %d bytes that are nobody's", b.Name, id, bytes)
		}
	}
	for owner, bytes := range said {
		if held[owner] != bytes {
			l.say("I10", "the jobs of %s name %d bytes, the stores hold %d", owner, bytes, held[owner])
		}
	}
}

// sizes is I10 for one job: its files are what it says and, the video, what was sent.
func (l *look) sizes(j Job) {
	if f, there := l.MP3s.file(j.MP3); there && f.Length != j.MP3Bytes {
		l.say("I10", "mp3 %s has %d bytes, its job %s says %d", j.MP3, f.Length, j.ID, j.MP3Bytes)
	}
	f, there := l.Videos.file(j.ID)
	if !there {
		return // which is I3's affair
	}
	sum, wrong := l.Videos.whole(f)
	u, known := l.sent(j)
	switch {
	case wrong != "":
		l.say("I10", "video %s: %s", j.ID, wrong)
	case f.Length != j.VideoBytes || j.VideoSHA256 != "" && sum != j.VideoSHA256:
		l.say("I10", "video %s has %d bytes of SHA-256 %s, its job says %d of %s", j.ID, f.Length, sum, j.VideoBytes, j.VideoSHA256)
	case known && (sum != u.Video || f.Length != u.Bytes):
		l.say("I10", "video %s is not what was sent", j.ID)
	}
}
