package mongodb

import (
	"context"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.uber.org/goleak"

	"mp3converter/internal/job"
	"mp3converter/internal/porttest"
	"mp3converter/internal/testserver"
)

func TestMain(m *testing.M) { testserver.Main(m) }

func TestFiles(t *testing.T) {
	porttest.TestFiles(t, func(t *testing.T) porttest.Files {
		return counted{open(t).Videos()}
	})
}

func TestArrivals(t *testing.T) {
	porttest.TestArrivals(t, func(t *testing.T) porttest.Arrivals { return counted{open(t).Videos()} })
}

func TestLedger(t *testing.T) {
	porttest.TestLedger(t, func(t *testing.T) porttest.Ledger { return open(t).Jobs() })
}

func TestHooks(t *testing.T) {
	porttest.TestHooks(t, func(t *testing.T) porttest.Hooks { return open(t).Hooks() })
}

func TestDeliveries(t *testing.T) {
	porttest.TestDeliveries(t, func(t *testing.T) porttest.Deliveries { return open(t).Deliveries() })
}

// open returns a client with databases of its own on the shared server.
func open(tb testing.TB) *Client {
	tb.Helper()
	return openAt(tb, testserver.MongoDB(tb))
}

// openAt is open on any server.
func openAt(tb testing.TB, uri string) *Client {
	tb.Helper()
	c := connect(tb, uri)
	tb.Cleanup(func() {
		for _, db := range []Database{Videos, MP3s, Jobs, Hooks} {
			if err := c.database(db).Drop(context.WithoutCancel(tb.Context())); err != nil {
				tb.Error(err)
			}
		}
	})
	for range 2 { // as every start does
		if err := c.EnsureIndexes(tb.Context(), Videos, MP3s, Jobs, Hooks); err != nil {
			tb.Fatal(err)
		}
	}
	return c
}

// connect returns a client that, with all its goroutines, ends with the test.
func connect(tb testing.TB, uri string) *Client {
	tb.Helper()
	before := []goleak.Option{
		goleak.IgnoreCurrent(),
		goleak.IgnoreAnyFunction("mp3converter/internal/testserver.(*Server).run.func1"), // a server restarted by the test
	}
	c, err := Connect(uri, "test", Prefix("t"+job.NewID(time.Now())+"_"))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := c.Close(context.WithoutCancel(tb.Context())); err != nil {
			tb.Error(err)
		}
		goleak.VerifyNone(tb, before...)
	})
	return c
}

// counted is Files that the suite can ask for what lies under an id.
type counted struct{ *Files }

func (c counted) Pieces(t *testing.T, id string) int {
	t.Helper()
	return pieces(t, c.Files, id)
}

// pieces counts the chunks and descriptions under an id.
func pieces(tb testing.TB, s *Files, id string) int {
	tb.Helper()
	oid, err := bson.ObjectIDFromHex(id)
	if err != nil {
		tb.Fatal(err)
	}
	chunks, err := s.chunks.CountDocuments(tb.Context(), by("files_id", oid))
	if err != nil {
		tb.Fatal(err)
	}
	files, err := s.files.CountDocuments(tb.Context(), by("_id", oid))
	if err != nil {
		tb.Fatal(err)
	}
	return int(chunks + files)
}

func TestPing(t *testing.T) {
	if err := open(t).Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestConnectNeverQuotesThePassword(t *testing.T) {
	const secret = "s3cr3t"
	for _, uri := range []string{
		"mongodb://user:" + secret + "@@host/",
		"mongodb://user:" + secret + "%zz@host/",
		"mongodb://user:" + secret + "/x@host/",
		"mongodb://user:" + secret + ":y@host/",
		"mongodb://user:" + secret + "@host:" + secret + "/",
		"mongodb://user:" + secret + "@host/?authMechanism=" + secret,
		"mongodb://user:" + secret + "@host/?tlsCertificateKeyFilePassword=" + secret + "&tls=maybe",
		"mongodb://user:" + secret + "@host/?authMechanismProperties=" + secret,
		"mongodb://user:" + secret + "@host/?ssl=" + secret,
		"mongodb://user:" + secret + "@host/?replicaSet",
		"mongodb+srv://user:" + secret + "@host:1/",
		"mongodb+srv://user:" + secret + "@" + secret + "/",
		"http://user:" + secret + "@host/",
		secret,
		"",
	} {
		c, err := Connect(uri, "test")
		if err == nil {
			_ = c.Close(t.Context())
			t.Errorf("Connect(%q) succeeded", uri)
		} else if strings.Contains(err.Error(), secret) {
			t.Errorf("Connect(%q): %v", uri, err)
		}
	}
}
