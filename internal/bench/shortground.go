package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"mp3converter/internal/converter"
	"mp3converter/internal/doorbell"
	"mp3converter/internal/embedded"
	encode "mp3converter/internal/ffmpeg"
	"mp3converter/internal/ffmpeg/container"
	"mp3converter/internal/job"
	"mp3converter/internal/mongodb"
	"mp3converter/internal/rabbit"
	"mp3converter/internal/sandbox"
	"mp3converter/internal/spool"
	"mp3converter/internal/testserver"
)

// shortGround is a converter on one kind of stores and queue, and what its jobs' clocks have shown.
type shortGround struct {
	name         string
	videos, mp3s shortFiles
	ledger       shortLedger
	publish      func(ctx context.Context, queue string, m job.Message) error
	consume      func(ctx context.Context, queue string, workers int, handle func(context.Context, job.Message) error) error

	raw      *mongo.Client // nil: the store is no server
	rawStore samples       // milliseconds

	jobs    []*clock
	now     *clock
	handled chan error
	cleanUp []func()
}

type shortFiles interface {
	converter.Videos
	converter.MP3s
}

type shortLedger interface {
	converter.Ledger
	Get(ctx context.Context, id string) (job.Job, error)
	Remove(ctx context.Context, id string) error
}

// newShortServers is a converter as in a cluster: on the real broker and FerretDB.
func newShortServers(ctx context.Context, b *bench, program string) (*shortGround, error) {
	g := &shortGround{name: "RabbitMQ, FerretDB", handled: make(chan error, 1)}
	broker, err := testserver.StartRabbitMQ()
	if err != nil {
		return nil, err
	}
	g.later(func() { remove(broker.Server) })
	store, err := testserver.StartFerretDB()
	if err != nil {
		g.close()
		return nil, err
	}
	g.later(func() { remove(store.Server) })
	client, err := mongodb.Connect(store.URI(), "bench")
	if err == nil {
		err = client.EnsureIndexes(ctx, mongodb.Videos, mongodb.MP3s, mongodb.Jobs)
	}
	if err != nil {
		g.close()
		return nil, err
	}
	g.later(func() { _ = client.Close(context.WithoutCancel(ctx)) })
	if g.raw, err = mongo.Connect(options.Client().ApplyURI(store.URI())); err != nil {
		g.close()
		return nil, err
	}
	g.later(func() { _ = g.raw.Disconnect(context.WithoutCancel(ctx)) })
	bus := rabbit.New(rabbit.Config{URL: broker.URL(), Name: "bench", QueueType: "quorum"})
	g.later(bus.Close)
	g.videos, g.mp3s, g.ledger = client.Videos(), client.MP3s(), client.Jobs()
	g.publish, g.consume = bus.Publish, bus.Consume
	g.serve(ctx, b, program)
	return g, nil
}

// newShortFolder is a converter as in mp3converter: on a folder, SQLite and a channel.
func newShortFolder(b *bench, program string) (*shortGround, error) {
	g := &shortGround{name: "embedded", handled: make(chan error, 1)}
	dir := filepath.Join(b.dir, "short")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	db, err := embedded.OpenDB(filepath.Join(dir, "mp3converter.db"))
	if err != nil {
		return nil, err
	}
	g.later(func() { db.Close() })
	videos, err := embedded.OpenFiles(filepath.Join(dir, "videos"))
	if err == nil {
		g.later(func() { videos.Close() })
		var mp3s *embedded.Files
		mp3s, err = embedded.OpenFiles(filepath.Join(dir, "mp3s"))
		g.videos, g.mp3s = videos, mp3s
	}
	if err != nil {
		g.close()
		return nil, err
	}
	g.later(func() { g.mp3s.(*embedded.Files).Close() })
	queue := embedded.NewQueue(embedded.QueueConfig{})
	g.ledger, g.publish, g.consume = db.Jobs(), queue.Publish, queue.Consume
	g.serve(context.Background(), b, program)
	return g, nil
}

func (g *shortGround) later(do func()) { g.cleanUp = append(g.cleanUp, do) }

func (g *shortGround) close() {
	for len(g.cleanUp) > 0 {
		last := len(g.cleanUp) - 1
		g.cleanUp[last]()
		g.cleanUp = g.cleanUp[:last]
	}
}

// serve runs the converter until the ground is closed.
func (g *shortGround) serve(ctx context.Context, b *bench, program string) {
	rules := job.DefaultRules()
	spares := new(sandbox.Spares)
	g.later(spares.Wait)
	cores := runtime.GOMAXPROCS(0)
	runner := encode.Runner{Path: program, Scratch: b.dir, Spares: spares, Sandbox: sandbox.Available(), Cores: encode.NewCores(cores)} // as cmd/internal/encoder
	bell := doorbell.Doorbell{Ledger: g.ledger, Rules: rules, Publish: func(ctx context.Context, to job.Bell, m job.Message) error {
		return g.publish(ctx, string(to), m)
	}}
	service := converter.New(converter.Config{
		Ledger: timedLedger{g.ledger, g}, Videos: g.videos, MP3s: timedMP3s{g.mp3s, g}, Ring: bell.Ring, Temp: runner.Temp, Hire: spares.Hire, Needed: container.Sound, Rules: rules,
		Convert: func(ctx context.Context, in, out *os.File, title string, p job.Profile, progress func(int)) (time.Duration, error) {
			return g.encoded(func() (encode.Result, error) {
				return runner.Convert(ctx, in, out, encode.Options{Title: title, Profile: p, Progress: progress})
			})
		},
		Early: func(ctx context.Context, in *spool.File, out *os.File, title string, p job.Profile, progress func(int)) (time.Duration, error) {
			return g.encoded(func() (encode.Result, error) {
				return runner.Early(ctx, in, out, encode.Options{Title: title, Profile: p, Progress: progress})
			})
		},
	})
	ctx, cancel := context.WithCancel(ctx)
	over := make(chan struct{})
	go func() {
		defer close(over)
		_ = g.consume(ctx, string(job.ForConverter), cores, func(ctx context.Context, m job.Message) error {
			g.now.read(delivered)
			err := service.Handle(ctx, m)
			g.now.read(handled)
			g.handled <- err
			return err
		})
	}()
	g.later(func() { cancel(); <-over })
}

// encoded reads the clock around a run of ffmpeg.
func (g *shortGround) encoded(run func() (encode.Result, error)) (time.Duration, error) {
	g.now.read(spooled)
	result, err := run()
	g.now.read(judged)
	g.now[began], g.now[ended] = result.Began, result.Ended
	return result.Duration, err
}

// timedLedger reads the clock after each change: the first is the claim, the next the commit, unless the lease is renewed
// between them, as it is not within a second.
type timedLedger struct {
	shortLedger
	g *shortGround
}

func (l timedLedger) Update(ctx context.Context, id string, change func(*job.Job) error) (job.Job, error) {
	j, err := l.shortLedger.Update(ctx, id, change)
	if l.g.now[claimed].IsZero() {
		l.g.now.read(claimed)
	} else {
		l.g.now.read(committed)
	}
	return j, err
}

type timedMP3s struct {
	shortFiles
	g *shortGround
}

func (s timedMP3s) Put(ctx context.Context, f job.File, r io.Reader) (job.File, error) {
	f, err := s.shortFiles.Put(ctx, f, r)
	s.g.now.read(stored)
	return f, err
}

// convert has one clip converted, from a fresh job on, and removes all of it: FerretDB reads everything that it holds.
func (g *shortGround) convert(ctx context.Context, clip string) error {
	f, err := os.Open(clip)
	if err != nil {
		return err
	}
	defer f.Close()
	now, rules := time.Now(), job.DefaultRules()
	video, err := g.videos.Put(ctx, job.File{ID: job.NewID(now), Owner: userName, Name: "short.mp4"}, f)
	if err != nil {
		return err
	}
	m := job.Message{Video: video.ID, Username: userName}
	if err := g.ledger.Insert(ctx, job.Adopt(now, rules, m, video)); err != nil {
		return err
	}
	if err := g.rawWork(ctx, video.ID); err != nil {
		return err
	}
	g.now = &clock{}
	g.jobs = append(g.jobs, g.now)
	g.now.read(published)
	if err := g.publish(ctx, string(job.ForConverter), m); err != nil {
		return err
	}
	select {
	case err = <-g.handled:
	case <-time.After(time.Minute):
		err = errors.New("not converted after a minute")
	}
	if err != nil {
		return err
	}
	return g.forget(ctx, video.ID)
}

// rawWork does with the bare driver what a conversion cannot do without: read the video, store an MP3.
func (g *shortGround) rawWork(ctx context.Context, id string) error {
	if g.raw == nil {
		return nil
	}
	video, err := bson.ObjectIDFromHex(id)
	if err != nil {
		return err
	}
	const ten = 160_000 // bytes of ten seconds, about
	chunk := bson.D{{Key: "_id", Value: bson.NewObjectID()}, {Key: "files_id", Value: bson.NewObjectID()}, {Key: "n", Value: 0}, {Key: "data", Value: make([]byte, ten)}}
	file := bson.D{{Key: "_id", Value: bson.NewObjectID()}, {Key: "length", Value: ten}, {Key: "chunkSize", Value: mongodb.ChunkSize}}
	mp3s := g.raw.Database("mp3s")
	start := time.Now()
	found, err := g.raw.Database("videos").Collection("fs.chunks").Find(ctx, bson.D{{Key: "files_id", Value: video}}, options.Find().SetSort(bson.D{{Key: "n", Value: 1}}))
	if err != nil {
		return err
	}
	var chunks []bson.Raw
	if err := found.All(ctx, &chunks); err != nil {
		return err
	}
	_, err = mp3s.Collection("fs.chunks").InsertOne(ctx, chunk)
	if err == nil {
		_, err = mp3s.Collection("fs.files").InsertOne(ctx, file)
	}
	if err != nil {
		return err
	}
	g.rawStore = append(g.rawStore, time.Since(start).Seconds()*1000)
	_, err = mp3s.Collection("fs.chunks").DeleteOne(ctx, chunk[:1])
	if err == nil {
		_, err = mp3s.Collection("fs.files").DeleteOne(ctx, file[:1])
	}
	return err
}

func (g *shortGround) forget(ctx context.Context, id string) error {
	j, err := g.ledger.Get(ctx, id)
	if err != nil {
		return err
	}
	if j.State != job.Converted || (j.Duration-10*time.Second).Abs() > 200*time.Millisecond {
		return fmt.Errorf("the job is %s, its MP3 lasts %v: %s", j.State, j.Duration, j.Detail)
	}
	return errors.Join(g.videos.Delete(ctx, id), g.mp3s.Delete(ctx, j.MP3), g.ledger.Remove(ctx, id))
}
