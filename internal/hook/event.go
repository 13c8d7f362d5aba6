package hook

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"mp3converter/internal/job"
)

// Event is what a delivery tells of.
type Event string

// The events. There is one for each way in which a job ends, and one for the owner to try a hook with.
const (
	JobDone   Event = "job.done" // the MP3 can be downloaded; the mail may follow
	JobFailed Event = "job.failed"
	Ping      Event = "ping"
)

// Events are those that every hook is told of.
var Events = []Event{JobDone, JobFailed}

// message is the body of a delivery, in the form that Standard Webhooks suggests.
type message struct {
	Type      Event     `json:"type"`
	Timestamp time.Time `json:"timestamp"` // when it happened
	Data      any       `json:"data"`
}

// OfJob returns the delivery to the hook of how the job has ended; false if it has not. The same end makes the same ID; a job
// that failed, was retried and failed again has another.
func (h Hook) OfJob(now time.Time, j job.Job) (Delivery, bool) {
	var event Event
	switch j.State {
	case job.Converted, job.Done:
		event = JobDone
	case job.Failed:
		event = JobFailed
	default:
		return Delivery{}, false
	}
	d := h.delivery(now, id(j.Ended, h.ID, j.ID, string(event), strconv.Itoa(j.Attempt)), message{event, j.Ended, j.View()})
	d.Job = j.ID
	return d, true
}

// Ping returns the delivery of a test. Those of a minute have one ID: the log is not for filling.
func (h Hook) Ping(now time.Time) Delivery {
	now = stamp(now)
	return h.delivery(now, id(now.Truncate(time.Minute), h.ID, string(Ping)), message{Ping, now, map[string]string{"webhook": h.ID}})
}

func (h Hook) delivery(now time.Time, id string, m message) Delivery {
	body, err := json.Marshal(m)
	if err != nil {
		panic(fmt.Sprintf("hook: %s does not marshal: %v", m.Type, err)) // structs of strings, numbers and times
	}
	now = stamp(now)
	return Delivery{ID: id, Hook: h.ID, Event: m.Type, Body: string(body), State: Pending, DueAt: now, Created: now, Changed: now}
}

// id is an id as a job's, of which the random part follows from what it is of.
func id(at time.Time, of ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(of, "\x00")))
	const seconds = 12 // hex digits, and their fraction
	return job.NewID(at)[:seconds] + hex.EncodeToString(sum[:6])
}
