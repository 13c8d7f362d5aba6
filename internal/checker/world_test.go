package checker_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"slices"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"mp3converter/internal/checker"
	"mp3converter/internal/testmedia"
	"mp3converter/internal/testserver"
)

const (
	ann = "ann@example.com"
	bob = "bob@example.com"
)

// The ids of the correct history: jobs, which are their videos' ids too, and MP3s.
const (
	oneJob, oneMP3     = "64f000000000000000000001", "64f000000000000000000011"
	keyedJob, keyedMP3 = "64f000000000000000000002", "64f000000000000000000012"
	voiceJob, voiceMP3 = "64f000000000000000000003", "64f000000000000000000013"
	badJob             = "64f000000000000000000004"

	newJob, newMP3     = "64f000000000000000000005", "64f000000000000000000015" // for plants
	otherJob, otherMP3 = "64f000000000000000000006", "64f000000000000000000016" // the same
)

const key = "a key"

const poison = "{not json"

// world is an installation as the checker sees it: a store of its own, filled by hand, and what else is observed.
type world struct {
	tb   testing.TB
	db   *mongo.Client
	held map[[2]string][]bson.D // what the store holds when nothing is planted

	touched map[[2]string]bool // collections that hold something else now
	stores  *checker.Stores    // the last look, when nothing was touched

	uploads []checker.Upload
	seen    checker.State // all but the stores

	one, keyed, voice, bad video
	late                   video  // that nobody was told 200 for
	other                  []byte // another MP3 of one
}

// video is a file and what becomes of it.
type video struct {
	name, profile string
	data, mp3     []byte
	sound         time.Duration
}

// places are the collections that a plant may touch.
var places = [][2]string{{"jobs", "jobs"}, {"videos", "fs.files"}, {"videos", "fs.chunks"}, {"mp3s", "fs.files"}, {"mp3s", "fs.chunks"}}

// newWorld returns a world with a correct small history: three jobs of two owners are done, one of them uploaded under a
// key after a try without an answer, and one of a bad video has failed.
func newWorld(t *testing.T) *world {
	t.Helper()
	ferret, err := testserver.StartFerretDB()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ferret.Kill)
	db, err := mongo.Connect(options.Client().ApplyURI(ferret.URI()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Disconnect(t.Context()) })
	w := &world{tb: t, db: db, touched: map[[2]string]bool{}}
	short := testmedia.Spec{Ext: "mkv", Seconds: 1}
	w.one, w.other = good(t, "one.mkv", "standard", short), read(t, encode(t, testmedia.Clip(t, short), "96k"))
	w.keyed = good(t, "two.mkv", "standard", testmedia.Spec{Ext: "mkv", Seconds: 2, Pitch: []float64{330}})
	w.voice = good(t, "three.mkv", "voice", testmedia.Spec{Ext: "mkv", Seconds: 3, Pitch: []float64{220}})
	w.bad = video{name: "bad.mkv", profile: "standard", data: []byte("this is no video")}

	w.late = w.one
	w.late.name, w.late.data = "late.mkv", append(slices.Clone(w.one.data), "late"...)

	unanswered := w.keyed.upload(ann, key, 0, "")
	w.uploads = []checker.Upload{
		w.one.upload(ann, "", 200, oneJob),
		unanswered, w.keyed.upload(ann, key, 200, keyedJob),
		w.voice.upload(bob, "", 200, voiceJob),
		w.bad.upload(bob, "", 200, badJob),
		w.late.upload(bob, "", 503, ""), // which is no violation: nothing of it is there
	}
	w.job(w.one, ann, "id:"+oneJob, oneJob, oneMP3)
	w.job(w.keyed, ann, "key:of ann", keyedJob, keyedMP3)
	w.job(w.voice, bob, "id:"+voiceJob, voiceJob, voiceMP3)
	w.job(w.bad, bob, "id:"+badJob, badJob, "")
	w.seen = checker.State{
		Mails: []checker.Mail{
			ready(ann, oneJob, oneMP3), ready(ann, keyedJob, keyedMP3), ready(bob, voiceJob, voiceMP3),
			{
				To: bob, Subject: "MP3 conversion failed", MessageID: "<" + badJob + ".failed.1@example.com>", Date: ended,
				Body: "Your file \"bad.mkv\" could not be converted to an MP3.\n",
			},
		},
		Queues: []checker.Queue{{Name: "video"}, {Name: "mp3"}},
		Dead:   []checker.DeadLetter{{Queue: "video.dead", Body: poison}},
		Processes: []checker.Process{
			{Name: "gateway", Starts: 1, Expected: 1, Goroutines: 20, BaseGoroutines: 15, RSS: 60 << 20, BaseRSS: 50 << 20},
			{Name: "converter", Starts: 3, Expected: 3, Goroutines: 10, BaseGoroutines: 12, RSS: 30 << 20, BaseRSS: 40 << 20},
		},
	}
	w.held = map[[2]string][]bson.D{}
	for _, p := range places {
		w.held[p] = w.all(p)
	}
	clear(w.touched)
	return w
}

// good is a video with sound, and its MP3.
func good(t *testing.T, name, profile string, s testmedia.Spec) video {
	t.Helper()
	clip := testmedia.Clip(t, s)
	return video{name, profile, read(t, clip), read(t, encode(t, clip, "64k")), testmedia.Duration(t, clip)}
}

// encode makes an MP3 of a clip.
func encode(t *testing.T, clip, rate string) string {
	t.Helper()
	return testmedia.Make(t, "mp3", "-i", clip, "-vn", "-c:a", "libmp3lame", "-b:a", rate, "-fflags", "+bitexact")
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// upload is what a client knows of sending the video.
func (v video) upload(owner, key string, status int, job string) checker.Upload {
	u := checker.Upload{
		Owner: owner, Key: key, Name: v.name, Profile: v.profile, Video: sum(v.data), Bytes: int64(len(v.data)), Sound: v.sound, Status: status, Job: job,
	}
	if v.mp3 == nil {
		u.Reason = "unreadable"
	}
	return u
}

var ended = time.Date(2026, 11, 23, 14, 3, 0, 0, time.UTC)

func ready(to, job, mp3 string) checker.Mail {
	return checker.Mail{To: to, Subject: "MP3 Download", MessageID: "<" + job + ".done@example.com>", Date: ended, Body: "mp3 file_id: " + mp3 + " is now ready!\n"}
}

// job stores a job that has ended, and its files: without an mp3 it has failed.
func (w *world) job(v video, owner, key, id, mp3 string) {
	w.tb.Helper()
	doc := bson.M{
		"_id": id, "owner": owner, "key": key, "name": v.name, "profile": v.profile, "video_bytes": int64(len(v.data)),
		"video_sha256": sum(v.data), "mail": "sent", "version": 7, "attempt": 1, "created": ended,
	}
	w.file("videos", id, id, v.data)
	if mp3 == "" {
		doc["state"], doc["reason"] = "failed", "unreadable"
	} else {
		doc["state"], doc["mp3"], doc["mp3_bytes"] = "done", mp3, int64(len(v.mp3))
		w.file("mp3s", mp3, id, v.mp3)
	}
	w.insert("jobs", "jobs", doc)
}

// chunkSize makes each good file one of several chunks.
const chunkSize = 4 << 10

// file stores a file of a job.
func (w *world) file(bucket, id, job string, data []byte) {
	w.tb.Helper()
	w.insert(bucket, "fs.files", bson.M{
		"_id": oid(id), "length": int64(len(data)), "chunkSize": int32(chunkSize), "uploadDate": ended,
		"metadata": bson.M{"job": job, "sha256": sum(data)},
	})
	var chunks []any
	for chunk := range slices.Chunk(data, chunkSize) {
		chunks = append(chunks, chunkDoc(id, int32(len(chunks)), chunk))
	}
	w.insert(bucket, "fs.chunks", chunks...)
}

func (w *world) chunk(bucket, file string, n int32, data []byte) {
	w.tb.Helper()
	w.insert(bucket, "fs.chunks", chunkDoc(file, n, data))
}

func chunkDoc(file string, n int32, data []byte) bson.M {
	return bson.M{"_id": bson.NewObjectID(), "files_id": oid(file), "n": n, "data": data}
}

// replace stores other bytes under the id of a file, as whole as the old.
func (w *world) replace(bucket, id, job string, data []byte) {
	w.tb.Helper()
	w.removeFile(bucket, id)
	w.file(bucket, id, job, data)
}

func (w *world) removeFile(bucket, id string) {
	w.tb.Helper()
	w.remove(bucket, "fs.files", bson.M{"_id": oid(id)})
	w.remove(bucket, "fs.chunks", bson.M{"files_id": oid(id)})
}

// remake gives a job another MP3 under the same id.
func (w *world) remake(id, mp3 string, data []byte) {
	w.tb.Helper()
	w.replace("mp3s", mp3, id, data)
	w.set(id, bson.M{"mp3_bytes": len(data)})
}

// unmake takes the MP3 from a job and changes more fields.
func (w *world) unmake(id, mp3 string, fields bson.M) {
	w.tb.Helper()
	w.removeFile("mp3s", mp3)
	fields["mp3"], fields["mp3_bytes"] = "", 0
	w.set(id, fields)
}

// add stores a job that is done, with its mail.
func (w *world) add(v video, owner string) {
	w.tb.Helper()
	w.addAs(v, owner, newJob, newMP3)
}

func (w *world) addAs(v video, owner, id, mp3 string) {
	w.tb.Helper()
	w.job(v, owner, "id:"+id, id, mp3)
	w.mail(ready(owner, id, mp3))
}

// removeJob removes a job with all that belongs to it but the mail.
func (w *world) removeJob(id, mp3 string) {
	w.tb.Helper()
	w.remove("jobs", "jobs", bson.M{"_id": id})
	w.removeFile("videos", id)
	w.removeFile("mp3s", mp3)
}

// set changes fields of a job.
func (w *world) set(id string, fields bson.M) {
	w.tb.Helper()
	got, err := w.collection("jobs", "jobs").UpdateOne(w.tb.Context(), bson.M{"_id": id}, bson.M{"$set": fields})
	if err != nil || got.MatchedCount != 1 {
		w.tb.Fatalf("set %v of job %s: %v", fields, id, err)
	}
}

// setChunk puts other bytes into a chunk.
func (w *world) setChunk(bucket, file string, n int32, data []byte) {
	w.tb.Helper()
	w.remove(bucket, "fs.chunks", bson.M{"files_id": oid(file), "n": n})
	w.chunk(bucket, file, n, data)
}

// collection is one that is about to be changed.
func (w *world) collection(database, name string) *mongo.Collection {
	w.touched[[2]string{database, name}] = true
	return w.db.Database(database).Collection(name)
}

func (w *world) insert(database, collection string, docs ...any) {
	w.tb.Helper()
	if len(docs) == 0 {
		return // of an empty file
	}
	if _, err := w.collection(database, collection).InsertMany(w.tb.Context(), docs); err != nil {
		w.tb.Fatal(err)
	}
}

func (w *world) remove(database, collection string, which bson.M) {
	w.tb.Helper()
	got, err := w.collection(database, collection).DeleteMany(w.tb.Context(), which)
	if err != nil || got.DeletedCount == 0 {
		w.tb.Fatalf("remove %v from %s of %s: %v, %v", which, collection, database, got, err)
	}
}

func (w *world) all(place [2]string) (docs []bson.D) {
	w.tb.Helper()
	found, err := w.db.Database(place[0]).Collection(place[1]).Find(w.tb.Context(), bson.D{})
	if err == nil {
		err = found.All(w.tb.Context(), &docs)
	}
	if err != nil {
		w.tb.Fatal(err)
	}
	return docs
}

// restore makes the store what it was before the plant.
func (w *world) restore() {
	w.tb.Helper()
	for place := range w.touched {
		c := w.db.Database(place[0]).Collection(place[1])
		_, err := c.DeleteMany(w.tb.Context(), bson.D{})
		if err == nil {
			_, err = c.InsertMany(w.tb.Context(), w.held[place])
		}
		if err != nil {
			w.tb.Fatal(err)
		}
	}
	clear(w.touched)
}

// planted returns a copy of the world for one plant: its observations are its own, its store is shared.
func (w *world) planted(t *testing.T) *world {
	copied := *w
	copied.tb = t
	copied.uploads = slices.Clone(w.uploads)
	copied.seen.Mails = slices.Clone(w.seen.Mails)
	copied.seen.Queues = slices.Clone(w.seen.Queues)
	copied.seen.Dead = slices.Clone(w.seen.Dead)
	copied.seen.Processes = slices.Clone(w.seen.Processes)
	return &copied
}

// check has the checker look at the world, whose one dead letter is planted.
func (w *world) check(c *checker.Checker, allowed checker.Allowed) []checker.Violation {
	w.tb.Helper()
	s := w.seen
	if w.stores != nil && len(w.touched) == 0 {
		s.Stores = *w.stores
	} else {
		var err error
		if s.Stores, err = checker.Look(w.tb.Context(), w.db); err != nil {
			w.tb.Fatal(err)
		}
	}
	if len(w.touched) == 0 {
		w.stores = &s.Stores
	}
	allowed.Poison = append(slices.Clone(allowed.Poison), poison)
	return c.Check(w.uploads, s, allowed)
}

// about returns the mail about a job.
func (w *world) about(job string) *checker.Mail {
	w.tb.Helper()
	i := slices.IndexFunc(w.seen.Mails, func(m checker.Mail) bool { return m.MessageID[1:25] == job })
	if i < 0 {
		w.tb.Fatalf("no mail about %s", job)
	}
	return &w.seen.Mails[i]
}

// unmail removes the mail about a job.
func (w *world) unmail(job string) {
	w.tb.Helper()
	mail := *w.about(job)
	w.seen.Mails = slices.DeleteFunc(w.seen.Mails, func(m checker.Mail) bool { return m == mail })
}

// mail adds a mail.
func (w *world) mail(m checker.Mail) { w.seen.Mails = append(w.seen.Mails, m) }

// told adds the outcome of a try.
func (w *world) told(u checker.Upload) { w.uploads = append(w.uploads, u) }

func oid(id string) bson.ObjectID {
	o, err := bson.ObjectIDFromHex(id)
	if err != nil {
		panic(err)
	}
	return o
}

func sum(data []byte) string {
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}
