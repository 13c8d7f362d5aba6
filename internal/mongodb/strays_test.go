package mongodb

import (
	"context"
	"errors"
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

	want := []Stray{{stray, 3}, {another, 1}}
	slices.SortFunc(want, func(a, b Stray) int { return strings.Compare(a.ID, b.ID) })
	before := time.Now().Add(-24 * time.Hour)
	for _, look := range []look{s.Strays, s.RemoveStrays} {
		got, err := look(t.Context(), before, c.Jobs().Named)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("strays: %v\n%s", err, diff)
		}
	}
	if got, err := s.Strays(t.Context(), before, c.Jobs().Named); len(got) != 0 || err != nil {
		t.Errorf("left: %v, %v", got, err)
	}
	if n := pieces(t, s, whole.ID); n != 2 {
		t.Errorf("%d pieces of a file are left, want 2", n)
	}
	if n, err := s.chunks.CountDocuments(t.Context(), bson.D{}); n != 8 || err != nil {
		t.Errorf("%d chunks left, %v; want 8", n, err)
	}
}

// look is Strays or RemoveStrays.
type look = func(context.Context, time.Time, Named) ([]Stray, error)

// An upload that nobody names may end, or go on, while the ledger is asked.
func TestWhatIsNoStrayByNowIsNotRemoved(t *testing.T) {
	s := open(t).Videos()
	long := time.Now().Add(-48 * time.Hour)
	ends, goesOn := chunks(t, s, long, 2), chunks(t, s, long, 2)
	got, err := s.RemoveStrays(t.Context(), time.Now().Add(-24*time.Hour), func(ctx context.Context, ids []string) (map[string]bool, error) {
		end, _ := bson.ObjectIDFromHex(ends)
		on, _ := bson.ObjectIDFromHex(goesOn)
		_, err := s.files.InsertOne(ctx, filesDoc{ID: end, Length: 2, Chunk: 1})
		_, err2 := s.chunks.InsertOne(ctx, chunkDoc{ID: bson.NewObjectID(), File: on, N: 2})
		return nil, errors.Join(err, err2)
	})
	if len(got) != 0 || err != nil || pieces(t, s, ends) != 3 || pieces(t, s, goesOn) != 3 {
		t.Errorf("removed %v, %v; %d and %d pieces are left, want 3 each", got, err, pieces(t, s, ends), pieces(t, s, goesOn))
	}
}

// many stores two chunks each of more files than are asked after at once. A file's chunks are apart.
func many(t *testing.T, s *Files, at time.Time) int {
	t.Helper()
	const many = scanBatch + 10
	docs := make([]chunkDoc, 0, 2*many)
	for n := range 2 {
		for i := range many {
			file, chunk := oldest(at), oldest(at)
			file[11], file[10], chunk[11], chunk[10], chunk[9] = byte(i), byte(i>>8), byte(i), byte(i>>8), byte(n)
			docs = append(docs, chunkDoc{ID: chunk, File: file, N: int32(n)})
		}
	}
	if _, err := s.chunks.InsertMany(t.Context(), docs); err != nil {
		t.Fatal(err)
	}
	return many
}

func TestStraysAreFoundInAnyNumberOfBatches(t *testing.T) {
	s := open(t).MP3s()
	long := time.Now().Add(-48 * time.Hour)
	many := many(t, s, long)
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

// What was judged in one batch must not wait for the others: they may take an hour.
func TestABatchOfStraysIsGoneBeforeTheNextIsJudged(t *testing.T) {
	s := open(t).MP3s()
	many := many(t, s, time.Now().Add(-48*time.Hour))
	asked := map[string]bool{}
	got, err := s.RemoveStrays(t.Context(), time.Now(), func(_ context.Context, ids []string) (map[string]bool, error) {
		for id := range asked {
			if n := pieces(t, s, id); n != 0 {
				t.Fatalf("%d pieces of a stray judged before are left", n)
			}
		}
		for _, id := range ids {
			asked[id] = true
		}
		return nil, nil
	})
	if err != nil || len(got) != many || len(asked) != many {
		t.Errorf("removed %d of %d asked after, %v; want %d", len(got), len(asked), err, many)
	}
	if n, err := s.chunks.CountDocuments(t.Context(), bson.D{}); n != 0 || err != nil {
		t.Errorf("%d chunks left, %v", n, err)
	}
}

func TestAfterAFailureStraysAreNotLookedForOnceMore(t *testing.T) {
	s := open(t).MP3s()
	many(t, s, time.Now().Add(-48*time.Hour))
	away, asked := errors.New("the ledger is away"), 0
	_, err := s.RemoveStrays(t.Context(), time.Now(), func(context.Context, []string) (map[string]bool, error) { asked++; return nil, away })
	if asked != 1 || !errors.Is(err, away) || strings.Count(err.Error(), away.Error()) != 1 {
		t.Errorf("asked %d times: %v", asked, err)
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
