package mongodb

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"mp3converter/internal/job"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func insertJob(t *testing.T, l *Ledger) string {
	t.Helper()
	j := job.New(noon, job.DefaultRules(), job.NewID(noon), "sid@gmail.com")
	if err := l.Insert(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	return j.ID
}

func increment(j *job.Job) error {
	j.Percent++
	return nil
}

// engines runs the test on a ledger that takes turns, as on FerretDB, and on one that does not, as on MongoDB. The latter
// is atomic here only while nobody else is about.
func engines(t *testing.T, test func(t *testing.T, l *Ledger)) {
	for name, needed := range map[string]bool{"with turns": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			l := open(t).Jobs()
			l.records.turns.needed = &needed
			test(t, l)
		})
	}
}

func TestUpdateStartsOverWhenTheJobHasChanged(t *testing.T) {
	engines(t, func(t *testing.T, l *Ledger) {
		id := insertJob(t, l)
		runs := 0
		j, err := l.Update(t.Context(), id, func(j *job.Job) error {
			if runs++; runs == 1 {
				if _, err := l.Update(t.Context(), id, increment); err != nil { // somebody else, just now
					t.Error(err)
				}
			}
			return increment(j)
		})
		if err != nil || runs != 2 || j.Percent != 2 || j.Version != 3 {
			t.Errorf("Update = percent %d, version %d, %v after %d runs, want 2, 3 and nil after 2", j.Percent, j.Version, err, runs)
		}
	})
}

func TestUpdateGivesUpInACrowd(t *testing.T) {
	engines(t, func(t *testing.T, l *Ledger) {
		id := insertJob(t, l)
		_, err := l.Update(t.Context(), id, func(*job.Job) error {
			_, err := l.Update(t.Context(), id, increment)
			return err
		})
		if !errors.Is(err, errCrowded) {
			t.Errorf("Update = %v, want errCrowded", err)
		}
	})
}

func TestUpdateLeavesNoTurns(t *testing.T) {
	l := open(t).Jobs()
	id := insertJob(t, l)
	for range 3 {
		if _, err := l.Update(t.Context(), id, increment); err != nil {
			t.Error(err)
		}
	}
	if n, err := l.records.turns.taken.CountDocuments(t.Context(), bson.D{}); n != 0 || err != nil {
		t.Errorf("%d turns left, %v", n, err)
	}
}

func TestTurnsOfTheLivingAreRespectedAndOfTheDeadPassedOn(t *testing.T) {
	l := open(t).Jobs()
	id := insertJob(t, l)
	name := id + "/1"
	if err := l.records.turns.insert(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Update(t.Context(), id, increment); !errors.Is(err, errCrowded) {
		t.Errorf("Update in somebody's turn: %v, want errCrowded", err)
	}
	long := bson.D{{Key: "$set", Value: bson.D{{Key: "at", Value: time.Now().Add(-time.Hour)}}}}
	for _, dead := range []string{name, name + "+"} { // the second died while it took over from the first
		_ = l.records.turns.insert(t.Context(), dead)
		if _, err := l.records.turns.taken.UpdateOne(t.Context(), by("_id", dead), long); err != nil {
			t.Fatal(err)
		}
	}
	if j, err := l.Update(t.Context(), id, increment); err != nil || j.Version != 2 {
		t.Errorf("Update after somebody died: version %d, %v", j.Version, err)
	}
	if n, err := l.records.turns.taken.CountDocuments(t.Context(), bson.D{}); n != 0 || err != nil {
		t.Errorf("%d turns left, %v", n, err)
	}
}

func TestTimesThatNeverComeAreNotStored(t *testing.T) {
	l := open(t).Jobs()
	raw, err := l.jobs.FindOne(t.Context(), by("_id", insertJob(t, l))).Raw()
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{"ring_at", "lease_until", "not_before", "started", "ended"} {
		if _, err := raw.LookupErr(field); err == nil {
			t.Errorf("%s is stored, though zero", field)
		}
	}
	if at, ok := raw.Lookup("clean_at").TimeOK(); !ok || !at.Equal(noon.Add(job.DefaultRules().UploadLease)) {
		t.Errorf("clean_at is stored as %v", raw.Lookup("clean_at"))
	}
}

func TestIndexes(t *testing.T) {
	c := open(t)
	gridfs := []string{"filename_1_uploadDate_1"}
	chunks := []string{"files_id_1_n_1 unique"}
	for _, tt := range []struct {
		in   *mongo.Collection
		want []string
	}{
		{c.Videos().files, gridfs}, {c.Videos().chunks, chunks},
		{c.MP3s().files, gridfs}, {c.MP3s().chunks, chunks},
		{c.Jobs().jobs, []string{"clean_at_1", "key_1 unique", "mp3_1", "owner_1__id_1", "owner_1_changed_1", "owner_1_state_1__id_1", "owner_1_state_1_video_bytes_1_mp3_bytes_1", "ring_at_1", "since_1", "state_1__id_1", "state_1_dated_1", "tell_at_1", "tried_1"}},
		{c.hooks.records.in, []string{"next_at_1", "owner_1_slot_1 unique"}},
		{c.deliveries.records.in, []string{"changed_1", "hook_1__id_1", "hook_1_due_at_1"}},
	} {
		specs, err := tt.in.Indexes().ListSpecifications(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range specs {
			if s.Unique != nil && *s.Unique {
				s.Name += " unique"
			}
			if s.Name != "_id_" {
				got = append(got, s.Name)
			}
		}
		slices.Sort(got)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("indexes of %s (-want +got):\n%s", tt.in.Name(), diff)
		}
	}
}
