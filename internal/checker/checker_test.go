package checker_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"mp3converter/internal/checker"
)

// What is no violation: what a client cannot tell from a fault, and what a run allows.
var excused = map[string]plant{
	"a try without an answer became nothing": {do: func(w *world) { w.told(w.late.upload(ann, "", 0, "")) }},
	"a try without an answer became a job": {do: func(w *world) {
		w.told(w.late.upload(ann, "", 0, ""))
		w.add(w.late, ann)
	}},
	"two tries without an answer became jobs of different profiles": {do: func(w *world) {
		high := w.late
		high.profile, high.mp3 = "high", w.other
		w.told(w.late.upload(ann, "", 0, ""))
		w.told(high.upload(ann, "", 0, ""))
		w.add(high, ann)
		w.addAs(w.late, ann, otherJob, otherMP3)
	}},
	"a try without an answer became a job, and so did the next without a key": {do: func(w *world) {
		w.told(w.late.upload(ann, "", 0, ""))
		w.told(w.late.upload(ann, "", 200, newJob))
		w.add(w.late, ann)
		w.addAs(w.late, ann, otherJob, otherMP3)
	}},
	"a try without an answer and without a key, beside one with a key": {do: func(w *world) {
		w.told(w.keyed.upload(ann, "", 0, ""))
		w.add(w.keyed, ann)
	}},
	"503 and then 200 under one key": {do: func(w *world) {
		w.told(w.late.upload(ann, "again", 503, ""))
		w.told(w.late.upload(ann, "again", 200, newJob))
		w.told(w.late.upload(ann, "again", 200, newJob))
		w.add(w.late, ann)
	}},
	"503 and then no answer under one key": {do: func(w *world) {
		w.told(w.late.upload(ann, "again", 503, ""))
		w.told(w.late.upload(ann, "again", 0, ""))
		w.add(w.late, ann)
	}},
	"two owners have one key": {do: func(w *world) {
		w.told(w.keyed.upload(bob, key, 200, newJob))
		w.add(w.keyed, bob)
	}},
	"the same mail twice": {
		do:    func(w *world) { w.mail(*w.about(oneJob)) },
		allow: checker.Allowed{DuplicateMails: true},
	},
	"a mail refused for good": {
		do:    func(w *world) { w.set(oneJob, bson.M{"mail": "failed"}); w.unmail(oneJob) },
		allow: checker.Allowed{MailRefused: map[string]bool{ann: true}},
	},
	"a mail taken once and refused when it was repeated": {
		do:    func(w *world) { w.set(oneJob, bson.M{"mail": "failed"}) },
		allow: checker.Allowed{MailRefused: map[string]bool{ann: true}, DuplicateMails: true},
	},
	"a good video may fail": {
		do: func(w *world) {
			w.unmake(oneJob, oneMP3, bson.M{"state": "failed", "reason": "crashed"})
			w.about(oneJob).Subject, w.about(oneJob).Body = "MP3 conversion failed", "Your file could not be converted.\n"
		},
		allow: checker.Allowed{MayFail: true},
	},
	"a video that was kept long enough": {do: func(w *world) {
		w.removeFile("videos", oneJob)
		w.set(oneJob, bson.M{"video_gone": true, "video_bytes": 0})
	}},
	"a video and its MP3 that were": {do: func(w *world) {
		w.removeFile("videos", oneJob)
		w.removeFile("mp3s", oneMP3)
		w.set(oneJob, bson.M{"video_gone": true, "video_bytes": 0, "mp3_gone": true, "mp3_bytes": 0})
	}},
	"the same poison twice": {
		do:    func(w *world) { w.seen.Dead = append(w.seen.Dead, w.seen.Dead[0]) },
		allow: checker.Allowed{Poison: []string{poison}},
	},
	"files that somebody else stored have no SHA-256 and no job": {do: func(w *world) {
		_, err := w.collection("mp3s", "fs.files").UpdateMany(w.tb.Context(), bson.M{}, bson.M{"$unset": bson.M{"metadata": ""}})
		if err != nil {
			w.tb.Fatal(err)
		}
	}},
}

// last is the number of the last chunk.
func last(data []byte) int32 { return int32((len(data) - 1) / chunkSize) }

func flipped(data []byte) []byte {
	data = slices.Clone(data)
	data[len(data)/2] ^= 1
	return data
}

// TestChecker has one store for all plants: a server takes longer to start than a plant to be found.
func TestChecker(t *testing.T) {
	w, c := newWorld(t), checker.New()
	t.Run("finds nothing in a correct history", func(t *testing.T) { w.clean(t, c) })
	for invariant, kinds := range plants {
		for name, p := range kinds {
			t.Run("finds a breach of "+invariant+"/"+name, func(t *testing.T) { p.test(t, w.planted(t), c) })
		}
	}
	for name, p := range excused {
		t.Run("finds nothing/"+name, func(t *testing.T) { p.test(t, w.planted(t), c) })
	}
	t.Run("learns nothing from a fault", func(t *testing.T) {
		w := w.planted(t)
		defer w.restore()
		v := w.late
		v.name = "never seen before.mkv"
		w.told(v.upload(ann, "", 200, newJob))
		w.add(v, ann)
		w.remake(newJob, newMP3, w.keyed.mp3)
		if found := w.check(c, checker.Allowed{}); len(found) != 1 || found[0].Invariant != "I2" {
			t.Errorf("an MP3 that is too long: found %v", found)
		}
		w.remake(newJob, newMP3, v.mp3)
		w.clean(t, c)
	})
	t.Run("finds nothing when all plants were undone", func(t *testing.T) { w.clean(t, c) })
	t.Run("cannot look at a store that is gone", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := checker.Look(ctx, w.db); !errors.Is(err, context.Canceled) {
			t.Errorf("Look returned %v", err)
		}
	})
}

func (p plant) test(t *testing.T, w *world, c *checker.Checker) {
	defer w.restore()
	p.do(w)
	found := w.check(c, p.allow)
	for invariant, whom := range p.want {
		if !slices.ContainsFunc(found, func(v checker.Violation) bool { return v.Invariant == invariant && strings.Contains(v.What, whom) }) {
			t.Errorf("no violation of %s names %s; found: %v", invariant, whom, found)
		}
	}
	for _, v := range found {
		if _, wanted := p.want[v.Invariant]; !wanted {
			t.Errorf("false alarm: %v", v)
		}
	}
}

// clean fails the test if the checker finds anything.
func (w *world) clean(t *testing.T, c *checker.Checker) {
	t.Helper()
	w.stores = nil
	for _, v := range w.check(c, checker.Allowed{}) {
		t.Errorf("false alarm: %v", v)
	}
}
