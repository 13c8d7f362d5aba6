package mongodb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"mp3converter/internal/job"
	"mp3converter/internal/partial"
	"mp3converter/internal/slots"
	"mp3converter/internal/trail"
)

// database is what OpenTelemetry calls us in spans.
var database = trail.String("db.system.name", "mongodb")

// ChunkSize is GridFS's default, in bytes. What others stored may have another.
const ChunkSize = 261120

// bulk is how many inserts of chunks may be under way at once in a database, and how many fetches of chunks. It keeps any
// disk busy: 16 inserts are 12 MB, 16 fetches 20. More would only wait within the server, past their deadlines, with copies
// in memory and connections that the ledger needs.
const bulk = 16

// Files is the GridFS bucket "fs" of one database. The layout is the specification's, so every GridFS client reads what
// we store, and we what they do; the driver's own bucket is not used, since it corrupts uploads that run in parallel,
// leaves chunks behind when it is cancelled, holds 16 MiB for each and cannot seek.
type Files struct {
	client  *Client
	files   *mongo.Collection
	chunks  *mongo.Collection
	buffers sync.Pool // of *[ChunkSize]byte
	inserts *slots.Slots
	fetches *slots.Slots
	putting string // name of the span
}

func newFiles(c *Client, name Database) *Files {
	db := c.database(name)
	return &Files{
		client: c, files: db.Collection("fs.files"), chunks: db.Collection("fs.chunks"),
		putting: "put into " + string(name),
		buffers: sync.Pool{New: func() any { return new([ChunkSize]byte) }},
		// Patience is longer than a turn, lest slow ones that all end well make others fail.
		inserts: slots.New(bulk, c.insertTime()+c.timeout), fetches: slots.New(bulk, c.fetchTime()+c.timeout),
	}
}

// Put stores what r yields until io.EOF under f.ID, and returns f with Bytes, SHA256 and Stored filled in; fs.ErrExist
// if the id is taken, be it by pieces that somebody's dead Put left. On an error it removes what it stored, and says so
// in the error if that failed too: Delete then removes the rest.
func (s *Files) Put(ctx context.Context, f job.File, r io.Reader) (_ job.File, err error) {
	ctx, span := trail.Start(ctx, trail.Client, s.putting, database)
	defer func() { span.End(err) }()
	u, err := newUpload(s, f.ID)
	if err == nil {
		f, err = u.run(ctx, f, r)
	}
	if err != nil {
		return job.File{}, fmt.Errorf("store file %s: %w", f.ID, err)
	}
	return f, nil
}

// Open returns a file and its bytes from the start; fs.ErrNotExist if there is none. ctx rules the reading too.
func (s *Files) Open(ctx context.Context, id string) (job.File, io.ReadSeekCloser, error) {
	f, where, err := s.find(ctx, id)
	if err != nil {
		return job.File{}, nil, fmt.Errorf("open file %s: %w", id, err)
	}
	return f, &reader{ctx: ctx, from: s, file: f, where: where}, nil
}

// Delete removes the file and every piece that a dead Put left under the id. Absence is nil. Whoever reads the file
// meanwhile gets an error.
func (s *Files) Delete(ctx context.Context, id string) error {
	oid, err := objectID(id)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nothing is stored under what is no id
	}
	ctx, cancel := context.WithTimeout(ctx, longTimeout)
	defer cancel()
	// The description goes first: then nobody finds a file whose chunks are gone.
	if _, err := s.files.DeleteOne(ctx, by("_id", oid)); err != nil {
		return fmt.Errorf("delete file %s: %w", id, err)
	}
	if _, err := s.chunks.DeleteMany(ctx, by("files_id", oid)); err != nil {
		return fmt.Errorf("delete chunks of file %s: %w", id, err)
	}
	return nil
}

// find returns a file's description and where its chunks are.
func (s *Files) find(ctx context.Context, id string) (job.File, layout, error) {
	oid, err := objectID(id)
	if err != nil {
		return job.File{}, layout{}, err
	}
	ctx, cancel := s.client.bound(ctx)
	defer cancel()
	doc, err := s.files.FindOne(ctx, by("_id", oid)).Raw()
	if err != nil {
		return job.File{}, layout{}, known(err)
	}
	return describe(oid, doc)
}

// objectID parses an id before it goes anywhere near a query.
func objectID(id string) (bson.ObjectID, error) {
	if !job.IsID(id) {
		return bson.ObjectID{}, fmt.Errorf("%w: not 24 hex digits", fs.ErrNotExist)
	}
	return bson.ObjectIDFromHex(id)
}

// filesDoc is the document that makes chunks a file, as we write it.
type filesDoc struct {
	ID       bson.ObjectID `bson:"_id"`
	Length   int64         `bson:"length"`
	Chunk    int32         `bson:"chunkSize"`
	Uploaded time.Time     `bson:"uploadDate"`
	Name     string        `bson:"filename"`
	Metadata metadata      `bson:"metadata"`
}

type metadata struct {
	Job    string        `bson:"job"`
	Owner  string        `bson:"owner"`
	Type   string        `bson:"contentType"` // where the specification wants it
	SHA256 string        `bson:"sha256"`
	First  bson.ObjectID `bson:"firstChunk"`     // its id: tells two Puts under one file id apart, and leads to the others'
	Runs   runs          `bson:"runs,omitempty"` // of a file that has arrived in parts
	Sums   partial.Sums  `bson:"crc32c,omitempty"`
}

// layout says how a file is cut into chunks.
type layout struct {
	file      bson.ObjectID
	length    int64
	chunkSize int64
	first     bson.ObjectID // chunk 0's id, as in metadata, if there are sums
	runs      runs          // instead of it, of a file that has arrived in parts
	sums      partial.Sums  // of our own files only
}

// chunk returns the id of a chunk.
func (l layout) chunk(n int64) bson.ObjectID {
	if len(l.runs) == 0 {
		return chunkID(l.first, n)
	}
	return chunkID(l.runs.of(n), n)
}

// maxDocument is MongoDB's limit in bytes, and so a chunk's.
const maxDocument = 16 << 20

// describe reads a document of fs.files, whoever wrote it: all but the length and the chunk size may be missing, and a
// number have any of BSON's types.
func describe(id bson.ObjectID, doc bson.Raw) (job.File, layout, error) {
	length, haveLength := number(doc, "length")
	chunkSize, haveChunk := number(doc, "chunkSize")
	if !haveLength || length < 0 || length > 0 && (!haveChunk || chunkSize <= 0 || chunkSize > maxDocument) {
		return job.File{}, layout{}, errors.New("its GridFS document has no valid length and chunkSize")
	}
	where := layout{file: id, length: length, chunkSize: chunkSize}
	if first, ok := doc.Lookup("metadata", "firstChunk").ObjectIDOK(); ok && chunkSize == ChunkSize {
		_, where.sums, _ = doc.Lookup("metadata", "crc32c").BinaryOK()
		where.first = first
		_, where.runs, _ = doc.Lookup("metadata", "runs").BinaryOK()
	}
	uploaded, _ := doc.Lookup("uploadDate").TimeOK()
	return job.File{
		ID:     id.Hex(),
		Job:    text(doc, "metadata", "job"),
		Owner:  text(doc, "metadata", "owner"),
		Name:   text(doc, "filename"),
		Type:   cmp.Or(text(doc, "metadata", "contentType"), text(doc, "contentType")), // the latter is PyMongo's
		Bytes:  length,
		SHA256: text(doc, "metadata", "sha256"),
		Stored: uploaded.UTC(),
	}, where, nil
}

// text returns a string of the document, "" if there is none.
func text(doc bson.Raw, path ...string) string {
	s, _ := doc.Lookup(path...).StringValueOK()
	return s
}

// number returns an integer of the document, which may be stored as a double too.
func number(doc bson.Raw, path ...string) (int64, bool) {
	return doc.Lookup(path...).AsInt64OK()
}
