// Package job is what a job is: the record of one upload on its way to an MP3, the states it passes, the rules of
// passing, and the message that rings for it. It does no I/O: a ledger (package mongodb or embedded) stores a Job under
// its Version, and every transition is a method here that a service applies through the ledger's Update. So the state
// machine is in this package once, and nowhere else.
package job

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"time"
)

// State says where a job stands. The owner sees all but Uploading and Deleted.
type State string

// The states in the order in which a job passes them.
const (
	Uploading  State = "uploading"  // named before its first byte is stored, so that whatever is left of it can be found
	Queued     State = "queued"     // the video is durable; waits for a converter
	Converting State = "converting" // a converter holds the lease
	Converted  State = "converted"  // the MP3 is durable; waits for the mail server
	Done       State = "done"       // the mail server took the mail, or refused it for good (see Mail)
	Failed     State = "failed"     // for the Reason given; the owner may retry
	Deleted    State = "deleted"    // waits for the sweeper to remove its files
)

// States lists all of them, in that order.
var States = []State{Uploading, Queued, Converting, Converted, Done, Failed, Deleted}

// Mail says where the one mail that a finished job owes its owner stands.
type Mail string

// A job that is not finished owes no mail: "".
const (
	MailPending Mail = "pending"
	MailSent    Mail = "sent"
	MailFailed  Mail = "failed" // the mail server will not have it; Job.MailError says why
)

// Job is the record of one upload. The ledger owns Version; everything else changes only by the methods of this package.
// All times are UTC with the ledger's precision, a millisecond; a zero time means never.
type Job struct {
	ID      string  `bson:"_id" json:"id"` // 24 hex digits, the id of the video file too
	Version int64   `bson:"version" json:"version"`
	Owner   string  `bson:"owner" json:"owner"`     // e-mail address
	Key     string  `bson:"key" json:"key"`         // unique: UploadKey of the owner's Idempotency-Key, else of the ID
	Name    string  `bson:"name" json:"name"`       // the upload's file name, cleaned by CleanName; a label, never a path
	Profile Profile `bson:"profile" json:"profile"` // how to encode
	State   State   `bson:"state" json:"state"`

	VideoBytes  int64  `bson:"video_bytes" json:"video_bytes"`                       // while Uploading: reserved, at most as many
	VideoSHA256 string `bson:"video_sha256,omitempty" json:"video_sha256,omitempty"` // hex; empty if somebody else stored the video

	Arrival *Arrival `bson:"arrival,omitempty" json:"arrival,omitempty"` // of a resumable upload while Uploading; never changed in place

	Attempt    int       `bson:"attempt" json:"attempt"` // claims so far. Only grows: it is the fence that stale workers fail at
	Excused    int       `bson:"excused" json:"excused"` // claims that do not count as attempts: shutdown, store down, before a retry
	Percent    int       `bson:"percent" json:"percent"` // of the running conversion, 0 to 100
	Worker     string    `bson:"worker,omitempty" json:"worker,omitempty"`
	LeaseUntil time.Time `bson:"lease_until,omitempty" json:"lease_until,omitzero"` // of the converter or the mailer at work
	NotBefore  time.Time `bson:"not_before,omitempty" json:"not_before,omitzero"`   // no claim before this: back-off

	Tried    []string      `bson:"tried,omitempty" json:"tried,omitempty"` // every id an attempt may have stored an MP3 under
	MP3      string        `bson:"mp3,omitempty" json:"mp3,omitempty"`     // the one that counts
	MP3Bytes int64         `bson:"mp3_bytes,omitempty" json:"mp3_bytes,omitempty"`
	Duration time.Duration `bson:"duration,omitempty" json:"duration,omitempty"` // of the MP3

	Reason Reason `bson:"reason,omitempty" json:"reason,omitempty"` // why Failed
	Detail string `bson:"detail,omitempty" json:"detail,omitempty"` // the same for people; while Queued: why the last attempt ended

	Mail        Mail      `bson:"mail,omitempty" json:"mail,omitempty"`
	MailAttempt int       `bson:"mail_attempt,omitempty" json:"mail_attempt,omitempty"` // claims by a mailer; a fence, as Attempt
	MailTries   int       `bson:"mail_tries,omitempty" json:"mail_tries,omitempty"`     // how often the mail server said later
	MailSince   time.Time `bson:"mail_since,omitempty" json:"mail_since,omitzero"`      // the first claim by a mailer
	MailError   string    `bson:"mail_error,omitempty" json:"mail_error,omitempty"`

	RingAt  time.Time `bson:"ring_at,omitempty" json:"ring_at,omitzero"`   // when the sweeper is to ring for this job
	Rings   int       `bson:"rings,omitempty" json:"rings,omitempty"`      // in this state so far
	CleanAt time.Time `bson:"clean_at,omitempty" json:"clean_at,omitzero"` // when the sweeper is to remove what is garbage by then, or has been kept long enough
	TellAt  time.Time `bson:"tell_at,omitempty" json:"tell_at,omitzero"`   // when a courier is to see to the owner's webhooks, if nobody has by then

	Dated      bool      `bson:"dated,omitempty" json:"dated,omitempty"`            // of a job that has ended: the next two are decided
	VideoUntil time.Time `bson:"video_until,omitempty" json:"video_until,omitzero"` // how long the video is kept; zero is for ever, or as long as it is needed
	MP3Until   time.Time `bson:"mp3_until,omitempty" json:"mp3_until,omitzero"`     // the MP3 likewise
	VideoGone  bool      `bson:"video_gone,omitempty" json:"video_gone,omitempty"`  // it was kept long enough
	VideoLeft  bool      `bson:"video_left,omitempty" json:"video_left,omitempty"`  // it is gone, but what is stored of it is not removed yet
	VideoWas   int64     `bson:"video_was,omitempty" json:"video_was,omitempty"`    // what VideoBytes were before it was gone
	MP3Gone    bool      `bson:"mp3_gone,omitempty" json:"mp3_gone,omitempty"`
	MP3Was     int64     `bson:"mp3_was,omitempty" json:"mp3_was,omitempty"`

	Cleanings int `bson:"cleanings,omitempty" json:"cleanings,omitempty"` // of a deleted job so far

	Created time.Time `bson:"created" json:"created"`
	Started time.Time `bson:"started,omitempty" json:"started,omitzero"` // the last claim
	Ended   time.Time `bson:"ended,omitempty" json:"ended,omitzero"`     // converted or failed; the mail's Date

	Since  time.Time     `bson:"since,omitempty" json:"since,omitzero"`    // while there is an MP3 to wait for: when the owner asked for it
	Free   time.Time     `bson:"free,omitempty" json:"free,omitzero"`      // while Queued: from when on it can be claimed
	Waited time.Duration `bson:"waited,omitempty" json:"waited,omitempty"` // before the last claim, while it was free

	Request     string `bson:"request,omitempty" json:"request,omitempty"` // see Trail
	Traceparent string `bson:"traceparent,omitempty" json:"traceparent,omitempty"`
	Tracestate  string `bson:"tracestate,omitempty" json:"tracestate,omitempty"`

	Extra string `bson:"extra,omitempty" json:"extra,omitempty"` // unknown fields of a foreign message, a JSON object
}

// New returns a job in state Uploading for a video that is about to arrive. Until Arrived the uploader must call
// StillUploading more often than rules.UploadLease, or the sweeper takes the upload for dead.
func New(now time.Time, rules Rules, id, owner string) Job {
	now = stamp(now)
	return Job{
		ID: id, Owner: owner, Key: OwnKey(id), Profile: Standard,
		State: Uploading, Created: now, CleanAt: now.Add(rules.UploadLease),
	}
}

// Adopt returns the job of a message that has none behind it: the original system's, or one published by hand. With an
// MP3 in the message the conversion is behind it and only the mail is owed.
func Adopt(now time.Time, rules Rules, m Message, video File) Job {
	j := New(now, rules, m.Video, m.Username)
	j.Extra = m.extra()
	j.Follow(m.Trail)
	j.arrived(now, rules, video)
	if m.MP3 != "" {
		j.MP3, j.Tried = m.MP3, []string{m.MP3}
		j.converted(now, rules)
	}
	return j
}

// Visible reports whether the owner may know of the job.
func (j Job) Visible() bool { return j.State != Uploading && j.State != Deleted }

// Attempts is how often the conversion was tried and not excused.
func (j Job) Attempts() int { return j.Attempt - j.Excused }

// Message is what rings for the job: at the converter while there is no MP3, at the mailer after.
func (j Job) Message() Message {
	return Message{Video: j.ID, MP3: j.MP3, Username: j.Owner, Extra: decodeExtra(j.Extra), Trail: j.Trail()}
}

// Garbage lists the files that no longer count: of a deleted job all, of any other what lost attempts may have left, and
// what was kept long enough.
func (j Job) Garbage() (videos, mp3s []string) {
	if j.State == Deleted || j.VideoLeft {
		videos = []string{j.ID}
	}
	for _, id := range j.Tried {
		if !j.keeps(id) {
			mp3s = append(mp3s, id)
		}
	}
	return videos, mp3s
}

// keeps reports whether the MP3 id is, or may still become, the job's.
func (j Job) keeps(id string) bool {
	switch j.State {
	case Deleted:
		return false
	case Converting:
		return id == j.Tried[len(j.Tried)-1]
	default:
		return id == j.MP3 && !j.MP3Gone
	}
}

// NewID returns a fresh id for a job or file: an ObjectId's 12 bytes in hex, seconds first and then their fraction, so
// ids sort by age; 48 bits are random, so nobody guesses a neighbour's.
func NewID(now time.Time) string {
	var id [12]byte
	binary.BigEndian.PutUint32(id[:], uint32(now.Unix()))                                      //nolint:gosec // ObjectIds wrap in 2106, as MongoDB's own
	binary.BigEndian.PutUint16(id[4:], uint16(int64(now.Nanosecond())<<16/int64(time.Second))) //nolint:gosec // of a second, in 1/65536
	_, _ = rand.Read(id[6:])                                                                   // never fails: crypto/rand
	return hex.EncodeToString(id[:])
}

// IsID reports whether s has the form of an id: exactly 24 lower-case hex digits.
func IsID(s string) bool {
	if len(s) != 24 {
		return false
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// stamp cuts a time to what every ledger can store.
func stamp(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }
