package mongodb

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"mp3converter/internal/job"
	"mp3converter/internal/porttest"
)

// chunks stores n chunks under an id of the given time, as an upload that has described nothing yet has.
func chunks(t *testing.T, s *Files, at time.Time, n int) (id string) {
	t.Helper()
	id = job.NewID(at)
	oid, _ := bson.ObjectIDFromHex(id)
	for i := range n {
		chunk, _ := bson.ObjectIDFromHex(job.NewID(at))
		if _, err := s.chunks.InsertOne(t.Context(), chunkDoc{ID: chunk, File: oid, N: int32(i), Data: []byte("x")}); err != nil {
			t.Fatal(err)
		}
	}
	return id
}

func TestOnlyOldChunksThatNobodyKnowsOfAreStrays(t *testing.T) {
	c := open(t)
	s := c.Videos()
	long, lately := time.Now().Add(-48*time.Hour), time.Now()

	stray, another := chunks(t, s, long, 3), chunks(t, s, long, 1)
	chunks(t, s, lately, 1) // somebody's upload, under way
	growing := chunks(t, s, long, 1)
	oid, _ := bson.ObjectIDFromHex(growing)
	if _, err := s.chunks.InsertOne(t.Context(), chunkDoc{ID: bson.NewObjectID(), File: oid, N: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.chunks.InsertOne(t.Context(), bson.D{{Key: "files_id", Value: "somebody's own id"}, {Key: "n", Value: 0}}); err != nil {
		t.Fatal(err)
	}
	whole := porttest.NewFile("the original's, that no job names")
	whole.ID = job.NewID(long)
	if _, err := s.Put(t.Context(), whole, strings.NewReader("video")); err != nil {
		t.Fatal(err)
	}
	for _, j := range []job.Job{
		{ID: chunks(t, s, long, 1), State: job.Uploading},
		{ID: job.NewID(long), State: job.Converting, Tried: []string{job.NewID(long), chunks(t, s, long, 1)}},
		{ID: job.NewID(long), State: job.Done, MP3: chunks(t, s, long, 1)},
	} {
		j.Key = job.OwnKey(j.ID)
		if err := c.Jobs().Insert(t.Context(), j); err != nil {
			t.Fatal(err)
		}
	}

	strays := func() []Stray {
		t.Helper()
		got, err := s.Strays(t.Context(), time.Now().Add(-24*time.Hour), c.Jobs().Named)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	want := []Stray{{stray, 3}, {another, 1}}
	slices.SortFunc(want, func(a, b Stray) int { return strings.Compare(a.ID, b.ID) })
	if diff := cmp.Diff(want, strays()); diff != "" {
		t.Errorf("strays:\n%s", diff)
	}
	for _, found := range want {
		if err := s.DeleteStray(t.Context(), found.ID); err != nil {
			t.Error(err)
		}
	}
	if got := strays(); len(got) != 0 {
		t.Errorf("left: %v", got)
	}
	if err := s.DeleteStray(t.Context(), whole.ID); !errors.Is(err, fs.ErrExist) || pieces(t, s, whole.ID) != 2 {
		t.Errorf("DeleteStray of a file: %v, %d pieces left", err, pieces(t, s, whole.ID))
	}
	if n, err := s.chunks.CountDocuments(t.Context(), bson.D{}); n != 8 || err != nil {
		t.Errorf("%d chunks left, %v; want 8", n, err)
	}
}

func TestStraysAreFoundInAnyNumberOfBatches(t *testing.T) {
	s := open(t).MP3s()
	long := time.Now().Add(-48 * time.Hour)
	const many = scanBatch + 10
	docs := make([]chunkDoc, 0, 2*many)
	for n := range 2 { // a file's chunks are apart
		for i := range many {
			var file, chunk bson.ObjectID
			file, chunk = oldest(long), oldest(long)
			file[11], file[10], chunk[11], chunk[10], chunk[9] = byte(i), byte(i>>8), byte(i), byte(i>>8), byte(n)
			docs = append(docs, chunkDoc{ID: chunk, File: file, N: int32(n)})
		}
	}
	if _, err := s.chunks.InsertMany(t.Context(), docs); err != nil {
		t.Fatal(err)
	}
	got, err := s.Strays(t.Context(), time.Now(), open(t).Jobs().Named)
	if err != nil || len(got) != many {
		t.Errorf("%d strays, %v; want %d", len(got), err, many)
	}
	for _, stray := range got {
		if stray.Chunks != 2 {
			t.Errorf("stray %s has %d chunks, want 2", stray.ID, stray.Chunks)
		}
	}
}

func TestWeigh(t *testing.T) {
	s := open(t).Videos()
	f, err := s.Put(t.Context(), porttest.NewFile("a.mp4"), strings.NewReader("video"))
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]struct {
		bytes int64
		whole bool
	}{
		f.ID:                        {5, true},
		chunks(t, s, time.Now(), 3): {3 * ChunkSize, false},
		job.NewID(time.Now()):       {0, true},
		"../../etc/passwd":          {0, true},
	} {
		if bytes, whole, err := s.Weigh(t.Context(), id); bytes != want.bytes || whole != want.whole || err != nil {
			t.Errorf("Weigh(%s) = %d, %v, %v; want %d, %v", id, bytes, whole, err, want.bytes, want.whole)
		}
	}
}

func TestSearch(t *testing.T) {
	l := open(t).Jobs()
	var ids []string // the newest first
	for i, j := range []job.Job{
		{State: job.Uploading, Owner: "sid@gmail.com"}, {State: job.Failed, Owner: "sid@gmail.com"},
		{State: job.Deleted, Owner: "ann@gmail.com"}, {State: job.Failed, Owner: "ann@gmail.com"},
	} {
		j.ID = job.NewID(noon.Add(time.Duration(i) * time.Second))
		j.Key = job.OwnKey(j.ID)
		if err := l.Insert(t.Context(), j); err != nil {
			t.Fatal(err)
		}
		ids = append([]string{j.ID}, ids...)
	}
	for name, tt := range map[string]struct {
		wanted Wanted
		limit  int
		want   []string
	}{
		"everything":      {Wanted{}, 10, ids},
		"two":             {Wanted{}, 2, ids[:2]},
		"none":            {Wanted{}, 0, nil},
		"a state":         {Wanted{State: job.Failed}, 10, []string{ids[0], ids[2]}},
		"an owner":        {Wanted{Owner: "sid@gmail.com"}, 10, ids[2:]},
		"older ones":      {Wanted{Before: ids[1]}, 10, ids[2:]},
		"all of it":       {Wanted{job.Failed, "sid@gmail.com", ids[0]}, 10, []string{ids[2]}},
		"an unknown user": {Wanted{Owner: "$ne"}, 10, nil},
	} {
		jobs, err := l.Search(t.Context(), tt.wanted, tt.limit)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, j := range jobs {
			got = append(got, j.ID)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}
