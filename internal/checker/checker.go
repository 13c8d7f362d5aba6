// Package checker says whether an installation has kept its promise. It is independent: it knows what clients were told,
// the mails that arrived and the bare contents of stores and queues, and imports nothing of the programs that it judges.
// It only looks: when to look, and what to break before, is for the tests that use it.
//
// Its rules are the ten invariants of our guide to reliability:
//
//	I1   nothing that was accepted is lost: it ends well, or in a failure with a reason
//	I2   an MP3 decodes, sounds as long as its video, and is the same whichever attempt made it
//	I3   a done job has one MP3, and no file is there that no job names
//	I4   a job that has ended is mailed about: once, unless the process died between the mail's end and its note
//	I5   there is no job and no mail for anything that nobody sent
//	I6   there are no chunks without a file
//	I7   what was refused has left no job, and an Idempotency-Key has one at most
//	I8   queues are empty, dead letters are those that were planted
//	I9   no process dies, grows or collects goroutines
//	I10  the stores hold as many bytes as the jobs say, and those that were sent
package checker

import (
	"fmt"
	"sync"
	"time"
)

// Upload is what one client knows of one try to upload.
type Upload struct {
	Owner   string        // e-mail address
	Key     string        // Idempotency-Key; empty without
	Name    string        // of the file
	Profile string        // as the job must have it
	Video   string        // SHA-256 of what was sent, in hex
	Bytes   int64         // of it
	Sound   time.Duration // how long it sounds; 0 if the job must fail
	Reason  string        // for which the job must fail; empty if any will do
	Status  int           // of the answer; 0 if none came: then it may have become a job
	Job     string        // the id that a 200 named
}

// Mail is one that the mail server has taken.
type Mail struct {
	To, Subject, MessageID, Body string
	Date                         time.Time
}

// Queue is one of the broker's, in messages.
type Queue struct {
	Name           string
	Ready, Unacked int
}

// DeadLetter is a message that was buried.
type DeadLetter struct{ Queue, Body string }

// Process is one that no fault was aimed at, or that was started again as often as Expected says.
type Process struct {
	Name                       string
	Starts, Expected           int
	Goroutines, BaseGoroutines int
	RSS, BaseRSS               int64 // bytes
	Working                    int64 // bytes that it takes for a moment and gives up again, by design
}

// State is one look at everything.
type State struct {
	Stores
	Mails     []Mail
	Queues    []Queue
	Dead      []DeadLetter
	Processes []Process
}

// Allowed is what a run excuses. The zero value excuses nothing.
type Allowed struct {
	DuplicateMails bool            // with the same Message-ID and Date
	MailRefused    map[string]bool // owners whose mails the mail server may refuse for good, if the job says so
	Poison         []string        // bodies of the dead letters that must be there
	MayFail        bool            // a job whose video is good may fail, for a reason that is told
}

// Violation is one breach of a rule.
type Violation struct{ Invariant, What string }

func (v Violation) String() string { return v.Invariant + ": " + v.What }

// History is what all clients were told. It is safe for parallel use.
type History struct {
	mu      sync.Mutex
	uploads []Upload
}

// Told adds the outcome of a try.
func (h *History) Told(u Upload) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.uploads = append(h.uploads, u)
}

// Uploads returns all outcomes so far.
func (h *History) Uploads() []Upload {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]Upload(nil), h.uploads...)
}

// Checker remembers what the same video became before, and what it has decoded already.
type Checker struct {
	mu     sync.Mutex
	made   map[string]string  // by source: the MP3's SHA-256
	sounds map[string]Decoded // by the MP3's SHA-256
}

// New returns a checker that has seen nothing.
func New() *Checker { return &Checker{made: map[string]string{}, sounds: map[string]Decoded{}} }

// Check returns every breach of every rule.
func (c *Checker) Check(uploads []Upload, s State, allowed Allowed) []Violation {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := &look{Checker: c, State: s, uploads: uploads, allowed: allowed}
	l.attribute()
	for _, rule := range []func(*look){
		(*look).accepted, (*look).sounding, (*look).referenced, (*look).mailed, (*look).expected,
		(*look).orphans, (*look).refused, (*look).queued, (*look).processes, (*look).bytes,
	} {
		rule(l)
	}
	return l.found
}

// look is one call of Check.
type look struct {
	*Checker
	State
	uploads []Upload
	allowed Allowed
	found   []Violation

	requests []*request
	from     map[string]Upload // by job id
}

func (l *look) say(invariant, format string, args ...any) {
	l.found = append(l.found, Violation{invariant, fmt.Sprintf(format, args...)})
}

// job returns the job with that id.
func (l *look) job(id string) (Job, bool) {
	for _, j := range l.Jobs {
		if j.ID == id {
			return j, true
		}
	}
	return Job{}, false
}
