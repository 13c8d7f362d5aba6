package checker

import (
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
	for _, u := range l.uploads {
		if u.Status != 200 {
			continue
		}
		if _, there := l.job(u.Job); !there {
			l.say("I1", "job %s of %s was accepted and is gone", u.Job, u.Owner)
		}
	}
	for _, j := range l.Jobs {
		u, known := l.sent(j)
		switch {
		case hidden(j): // I7's affair
		case j.State != done && j.State != failed:
			l.say("I1", "job %s of %s is still %s", j.ID, j.Owner, j.State)
		case j.State == failed && j.Reason == "":
			l.say("I1", "job %s has failed without a reason", j.ID)
		case known && j.State == failed && u.Sound > 0 && !l.allowed.MayFail:
			l.say("I1", "job %s has failed (%s) although its video is good", j.ID, j.Reason)
		case known && j.State == done && u.Sound == 0:
			l.say("I1", "job %s is done although its video is bad", j.ID)
		case known && j.Profile != u.Profile:
			l.say("I1", "job %s has profile %q, asked for was %q", j.ID, j.Profile, u.Profile)
		case j.Mail != "sent":
			l.say("I1", "job %s has ended and its mail is %q", j.ID, j.Mail)
		}
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
		if wrong != "" {
			l.say("I2", "mp3 %s of job %s: %s", j.MP3, j.ID, wrong)
			continue
		}
		sound, heard := l.sounds[sum]
		if !heard {
			sound = decode(l.MP3s.Data[j.MP3])
			l.sounds[sum] = sound
		}
		if sound.Wrong != "" {
			l.say("I2", "mp3 %s of job %s does not decode: %s", j.MP3, j.ID, sound.Wrong)
		}
		u, known := l.sent(j)
		if !known {
			continue
		}
		if off := (sound.Duration - u.Sound).Abs(); off >= tolerance {
			l.say("I2", "mp3 %s of job %s sounds for %v, its video for %v", j.MP3, j.ID, sound.Duration, u.Sound)
		}
		source := strings.Join([]string{u.Video, u.Name, u.Profile}, "\x00")
		if before, made := l.made[source]; made && before != sum {
			l.say("I2", "mp3 %s of job %s is not the one that the same video became before", j.MP3, j.ID)
		} else if sound.Wrong == "" {
			l.made[source] = sum
		}
	}
}

// referenced is I3.
func (l *look) referenced() {
	mp3s, videos := map[string]string{}, map[string]bool{}
	for _, j := range l.Jobs {
		videos[j.ID] = true
		if _, there := l.Videos.file(j.ID); !there && !hidden(j) {
			l.say("I3", "the video of job %s is gone", j.ID)
		}
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
		if _, there := l.MP3s.file(j.MP3); !there {
			l.say("I3", "mp3 %s of job %s is gone", j.MP3, j.ID)
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

// about returns the job that a mail is about.
func (l *look) about(m Mail) (Job, bool) {
	for _, j := range l.Jobs {
		if strings.Contains(m.MessageID, j.ID) {
			return j, true
		}
	}
	return Job{}, false
}

// mailed is I4.
func (l *look) mailed() {
	for _, j := range l.Jobs {
		if j.State != done && j.State != failed {
			continue
		}
		var mails []Mail
		for _, m := range l.Mails {
			if of, ok := l.about(m); ok && of.ID == j.ID {
				mails = append(mails, m)
			}
		}
		switch {
		case len(mails) == 0:
			l.say("I4", "job %s of %s is %s and nobody was told", j.ID, j.Owner, j.State)
			continue
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
			if j.State == failed && !strings.Contains(m.Subject, "failed") {
				l.say("I4", "the mail about the failed job %s has subject %q", j.ID, m.Subject)
			}
		}
	}
}

// expected is I5.
func (l *look) expected() {
	for _, j := range l.Jobs {
		if _, known := l.sent(j); !known && !hidden(j) && !l.wasRefused(j) {
			l.say("I5", "job %s of %s comes from nothing that was sent", j.ID, j.Owner)
		}
	}
	for _, m := range l.Mails {
		if _, known := l.about(m); !known {
			l.say("I5", "mail %s to %s is about no job", m.MessageID, m.To)
		}
	}
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

// wasRefused reports whether the job can only come from a try whose client was told that it failed.
func (l *look) wasRefused(j Job) bool {
	if _, known := l.sent(j); known {
		return false
	}
	return slices.ContainsFunc(l.uploads, func(u Upload) bool {
		return u.Status != 200 && u.Status != 0 && u.Owner == j.Owner && u.Name == j.Name && u.Video == j.VideoSHA256
	})
}

// refused is I7.
func (l *look) refused() {
	type ownKey struct{ owner, key string }
	named := map[ownKey]string{}
	for _, u := range l.uploads {
		if u.Key == "" || u.Status != 200 {
			continue
		}
		k := ownKey{u.Owner, u.Key}
		if id := named[k]; id != "" && id != u.Job {
			l.say("I7", "key %q of %s has the jobs %s and %s", u.Key, u.Owner, id, u.Job)
		}
		named[k] = u.Job
	}
	keys := map[string]string{}
	for _, j := range l.Jobs {
		if hidden(j) {
			l.say("I7", "job %s of %s is still %s", j.ID, j.Owner, j.State)
		}
		if l.wasRefused(j) {
			l.say("I7", "job %s of %s is there although its upload was refused", j.ID, j.Owner)
		}
		if other := keys[j.Key]; other != "" {
			l.say("I7", "jobs %s and %s have one key", other, j.ID)
		}
		keys[j.Key] = j.ID
	}
	// Of the tries under one key that got an id, all others that were told nothing must be the same job.
	for k, id := range named {
		for _, j := range l.Jobs {
			if u, known := l.sent(j); known && u.Owner == k.owner && u.Key == k.key && j.ID != id && !hidden(j) {
				l.say("I7", "key %q of %s has the jobs %s and %s", k.key, k.owner, id, j.ID)
			}
		}
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
		f, there := l.Videos.file(j.ID)
		u, known := l.sent(j)
		if !there || !known {
			continue
		}
		switch sum, wrong := l.Videos.whole(f); {
		case wrong != "":
			l.say("I10", "video %s: %s", j.ID, wrong)
		case sum != u.Video || f.Length != u.Bytes:
			l.say("I10", "video %s is not what was sent", j.ID)
		}
	}
	for _, b := range []Bucket{l.Videos, l.MP3s} {
		for _, c := range b.Chunks {
			held[owners[c.File.Hex()]] += c.Bytes
		}
	}
	for owner, bytes := range said {
		if held[owner] != bytes {
			l.say("I10", "the jobs of %s name %d bytes, the stores hold %d", owner, bytes, held[owner])
		}
	}
	if bytes := held[""]; bytes != 0 {
		l.say("I10", "the stores hold %d bytes that are nobody's", bytes)
	}
}
