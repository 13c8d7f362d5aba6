package job

import (
	"fmt"
	"time"
)

// Arrival is how far a resumable upload has come: what is durable of it, and what whoever goes on needs to end with the same
// file as if it had come at once. The store writes it, the ledger keeps it.
//
// The bytes of the last piece that is not full yet are in it, Tail, so that they change together with the offset. A stored
// piece is therefore never replaced once it counts, and a death between two writes can take nothing that was told.
type Arrival struct {
	Writer int    `bson:"writer" json:"writer"`                     // claims so far. Only grows: it is the fence that stale writers fail at
	Offset int64  `bson:"offset" json:"offset"`                     // bytes that are durable
	Hash   []byte `bson:"hash,omitempty" json:"hash,omitempty"`     // state of SHA-256 after so many; empty at 0
	Sums   []byte `bson:"crc32c,omitempty" json:"crc32c,omitempty"` // of the full pieces, as partial.Sums
	Runs   []byte `bson:"runs,omitempty" json:"runs,omitempty"`     // where the pieces are, in the store's own words
	Tail   []byte `bson:"tail,omitempty" json:"tail,omitempty"`     // the bytes after the full pieces
}

// String is for operators: the rest means nothing to people.
func (a *Arrival) String() string {
	return fmt.Sprintf("%d bytes are here, by writer %d", a.Offset, a.Writer)
}

// Resumable makes a new job's upload one that may arrive in parts, at any gateway: it is dead only when for
// rules.ResumeFor nothing more has come. The job's VideoBytes are its size, and it becomes queued when all have arrived.
func (j *Job) Resumable(now time.Time, rules Rules, name string, profile Profile) {
	j.Name, j.Profile = CleanName(name), profile
	j.Arrival = &Arrival{}
	j.await(now, rules)
}

// Admit has an upload that its key can find be one, from before anybody is told of it: whoever makes it claims it first. It is
// ErrState if a request has done so already, ErrLost if there is no such upload any more.
func (j *Job) Admit() error {
	switch {
	case j.State != Uploading || j.Arrival == nil:
		return ErrLost
	case j.Admitted():
		return ErrState
	}
	claimed := *j.Arrival
	claimed.Writer++
	j.Arrival = &claimed
	return nil
}

// Admitted reports whether a job that its key has found is there to stay, as far as its owner's quota goes.
func (j Job) Admitted() bool { return j.State != Uploading || j.Arrival == nil || j.Arrival.Writer > 0 }

// ClaimArrival gives the upload to a writer that goes on at the given offset, and takes it from whoever else writes. It is
// ErrLost if there is no such upload any more, ErrState if it is not as far, or farther.
func (j *Job) ClaimArrival(now time.Time, rules Rules, offset int64) error {
	switch {
	case j.State != Uploading || j.Arrival == nil:
		return ErrLost
	case j.Arrival.Offset != offset || j.Whole():
		return ErrState
	}
	claimed := *j.Arrival
	claimed.Writer++
	j.Arrival = &claimed
	j.await(now, rules)
	return nil
}

// Advance notes how far the upload has come by the writer that a names.
func (j *Job) Advance(now time.Time, rules Rules, a Arrival) error {
	switch {
	case j.State != Uploading || j.Arrival == nil || j.Arrival.Writer != a.Writer:
		return ErrLost
	case a.Offset < j.Arrival.Offset || a.Offset > j.VideoBytes:
		return ErrState
	}
	j.Arrival = &a
	j.await(now, rules)
	return nil
}

// await says when an upload is dead if nothing more comes.
func (j *Job) await(now time.Time, rules Rules) { j.CleanAt = stamp(now).Add(rules.ResumeFor) }

// Whole reports whether all bytes of a resumable upload are durable, and it is not queued yet: whoever meets it finishes it.
func (j Job) Whole() bool {
	return j.State == Uploading && j.Arrival != nil && j.Arrival.Offset == j.VideoBytes
}
