package faults

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"mp3converter/internal/checker"
	"mp3converter/internal/testsuite"
)

// messageFaults are about messages that somebody else publishes.
func (b *brokerGround) messageFaults() []fault {
	return []fault{
		{"each message five times, shuffled, in the original's form", "one MP3 and one mail each", false, b.on(b.shuffled), nil},
		{"bodies that are no message", "each in the dead letters with its reason, the workers go on", false, b.on(b.garbage), nil},
		{"a body of 10 MB", "in the dead letters with its reason, cut; the worker goes on", false, b.on(b.huge), nil},
		{"fields that nobody knows", "kept in the message that is passed on", false, b.on(b.extraFields), nil},
	}
}

// shuffled has two converters, then two notifications, at the messages of uploads and of videos that the original stored.
func (b *brokerGround) shuffled(t *testing.T) string {
	const copies = 5
	b.out(t, "converter", "notification")
	jobs := append(b.takes(t, clips(t, 2)...), b.original(t, clip(t, "theirs.mp4", 1)), b.original(t, clip(t, "theirs too.mp4", 2)))
	send := func(queue string) {
		var bodies []string
		for _, u := range jobs {
			for range copies {
				bodies = append(bodies, b.message(t, u))
			}
		}
		rand.Shuffle(len(bodies), func(i, k int) { bodies[i], bodies[k] = bodies[k], bodies[i] })
		publish(t, b.Broker, queue, bodies...)
	}
	send("video")
	b.guest("converter")
	b.in(t, "converter")
	for _, u := range jobs {
		testsuite.Eventually(t, "there is a job of "+u.Name, func() bool { return b.person.Get(t, "/jobs/"+u.Job).Status == 200 })
		b.is(t, u, "converted")
	}
	send("mp3")
	b.guest("notification", longLease)
	b.in(t, "notification")
	b.check(t, checker.Allowed{})
	return fmt.Sprintf("%d jobs, %d messages each: %d MP3s, %d mails", len(jobs), 2*copies, len(jobs), len(jobs))
}

// original stores a video as the original's gateway does: without a job, an owner or a hash.
func (b *brokerGround) original(t *testing.T, v testsuite.Video) checker.Upload {
	t.Helper()
	id, err := b.db.Database("videos").GridFSBucket().UploadFromStream(t.Context(), v.Name, bytes.NewReader(v.Data))
	if err != nil {
		t.Fatal(err)
	}
	u := v.Sent(b.person.Email, "")
	u.Status, u.Job = 200, id.Hex()
	b.history.Told(u)
	return u
}

func (b *brokerGround) garbage(t *testing.T) string {
	unknown, long := bson.NewObjectID().Hex(), strings.Repeat("x", 300)
	message := func(video, mp3, username string) string {
		return fmt.Sprintf(`{"video_fid": %s, "mp3_fid": %s, "username": %s}`, video, mp3, username)
	}
	id, me := `"`+unknown+`"`, `"`+b.person.Email+`"`
	poison := map[string]map[string]string{ // by queue and body: the reason
		"video": {
			"this is no JSON":               "not a JSON object: invalid character",
			"":                              "not a JSON object: unexpected end",
			"null":                          "not a JSON object: null",
			`["` + unknown + `"]`:           "not a JSON object: json: cannot unmarshal array",
			message("7", "null", me):        "video_fid: json: cannot unmarshal number",
			message(id, "{}", me):           "mp3_fid: json: cannot unmarshal object",
			message(id, "null", "[]"):       "username: json: cannot unmarshal array",
			message(`"7"`, "null", me):      "video_fid \"7\" is not 24 hex digits",
			message(id, `"7"`, me):          "mp3_fid \"7\" is neither null nor 24 hex digits",
			message(id, "null", me):         "unknown video " + unknown,
			message(id, "null", `"nobody"`): `username "nobody" is no e-mail address`,
			message(id, "null", `"`+long+`@example.com"`): "is no e-mail address",
		},
		"mp3": {
			"this is no JSON, either":     "not a JSON object: invalid character",
			message(id, "null", me) + " ": "no mp3_fid, and video_fid " + unknown + " is no job",
			message(id, id, me):           "unknown mp3_fid " + unknown,
		},
	}
	var bodies []string
	reasons := map[string]string{}
	for queue, reasoned := range poison {
		for body, reason := range reasoned {
			publish(t, b.Broker, queue, body)
			bodies, reasons[body] = append(bodies, body), reason
		}
	}
	b.takes(t, clip(t, "good.mp4", 1))
	b.check(t, checker.Allowed{Poison: bodies})
	for queue := range poison {
		b.buriedFor(t, queue, func(body string) string { return reasons[body] })
	}
	return fmt.Sprintf("%d dead letters with their reasons, the good one done", len(bodies))
}

// buriedFor empties the queue's dead letters and fails the test if a reason does not contain the wanted one.
func (b *brokerGround) buriedFor(t *testing.T, queue string, want func(body string) string) {
	t.Helper()
	for _, d := range take(t, b.Broker, queue+".dead", -1) {
		if reason, _ := d.Headers["x-reason"].(string); !strings.Contains(reason, want(string(d.Body))) {
			t.Errorf("%.100q lies in %s.dead for %q, want %q", d.Body, queue, reason, want(string(d.Body)))
		}
	}
}

// huge goes to a guest: what it leaves lying for Go's collector is more than the checker allows to a resident.
func (b *brokerGround) huge(t *testing.T) string {
	b.out(t, "converter")
	b.guest("converter")
	body := `{"username": "` + strings.Repeat("x", 10<<20)
	publish(t, b.Broker, "video", body)
	b.takes(t, clip(t, "good.mp4", 1))
	b.check(t, checker.Allowed{Poison: []string{body[:64<<10]}})
	b.buriedFor(t, "video", func(string) string { return fmt.Sprint(len(body), " bytes, more than 65536") })
	return "64 kB of it among the dead letters, the good one done"
}

func (b *brokerGround) extraFields(t *testing.T) string {
	b.out(t, "notification")
	u := b.original(t, clip(t, "traced.mp4", 1))
	const extra = `{"trace": {"ids": [1, 2]}, "priority": 7}`
	publish(t, b.Broker, "video", strings.TrimSuffix(b.message(t, u), "}")+", "+strings.TrimPrefix(extra, "{"))
	testsuite.Eventually(t, "a message is passed on", func() bool { return b.depth(t, "mp3") > 0 })
	passed := take(t, b.Broker, "mp3", 1)[0] // the ledger remembers
	got, want := fields(t, string(passed.Body)), fields(t, b.message(t, u))
	maps.Copy(want, fields(t, extra))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("passed on: %s", diff)
	}
	b.in(t, "notification")
	b.check(t, checker.Allowed{})
	return "kept"
}

func fields(t *testing.T, body string) (all map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), &all); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return all
}
