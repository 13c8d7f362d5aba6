package mongodb

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"mp3converter/internal/job"
	"mp3converter/internal/porttest"
	"mp3converter/internal/testserver"
)

// impatient makes a dead server known soon; below half a second the driver does not look again. A busy one that is alive may
// be taken for dead, so it is waited for wherever it must be there, see found.
const impatient = "&serverSelectionTimeoutMS=1000"

// mortal starts a server that the test may kill, and connects with the given options.
func mortal(t *testing.T, options string) (*testserver.FerretDB, *Client) {
	t.Helper()
	server, err := testserver.StartFerretDB()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Kill)
	c := connect(t, server.URI()+options)
	found(t, c)
	if err := c.EnsureIndexes(t.Context(), Videos, MP3s, Jobs); err != nil {
		t.Fatal(err)
	}
	return server, c
}

// restart starts the server again, and waits until the client has seen it.
func restart(t *testing.T, server *testserver.FerretDB, c *Client) {
	t.Helper()
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	found(t, c)
}

// found waits until the server answers the client.
func found(t *testing.T, c *Client) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		err := c.Ping(t.Context())
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the client does not see its server: %v", err)
		}
	}
}

// trap yields zeros for ever and calls at once, when so many bytes are left.
type trap struct {
	left int
	at   func()
}

func (z *trap) Read(p []byte) (int, error) {
	clear(p)
	if z.left -= len(p); z.left <= 0 && z.at != nil {
		z.at()
		z.at = nil
	}
	return len(p), nil
}

func TestServerDiesDuringPut(t *testing.T) {
	server, c := mortal(t, impatient)
	s := c.Videos()
	kept, f := put(t, s, []byte("kept")), porttest.NewFile("a.mp4")
	if _, err := s.Put(t.Context(), f, &trap{left: 30 * ChunkSize, at: server.Kill}); !errors.Is(err, job.ErrUnsettled) || errors.Is(err, fs.ErrExist) {
		t.Errorf("Put over a dead server: %v, want job.ErrUnsettled", err)
	}
	restart(t, server, c)
	if _, _, err := s.Open(t.Context(), f.ID); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open of what was being put: %v, want fs.ErrNotExist", err)
	}
	if n := pieces(t, s, f.ID); n == 0 {
		t.Error("the dead Put left nothing: it should have, for Delete to be tested")
	}
	if err := s.Delete(t.Context(), f.ID); err != nil {
		t.Error(err)
	}
	if n := pieces(t, s, f.ID); n != 0 {
		t.Errorf("%d pieces left after Delete", n)
	}
	if _, got := read(t, s, kept.ID); string(got) != "kept" {
		t.Errorf("the file stored before came back as %q", got)
	}
}

func TestServerDiesDuringRead(t *testing.T) {
	server, c := mortal(t, impatient)
	content := porttest.Bytes(1, 40*ChunkSize)
	f := put(t, c.Videos(), content)
	_, r, err := c.Videos().Open(t.Context(), f.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := io.ReadFull(r, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	server.Kill()
	if got, err := io.ReadAll(r); err == nil {
		t.Errorf("a clean end after %d of %d bytes", 10+len(got), len(content))
	}
	restart(t, server, c)
	if _, got := read(t, c.Videos(), f.ID); !bytes.Equal(got, content) {
		t.Error("the file is not the same after the restart")
	}
}

// The reader itself has to find the server again, however long that takes.
func TestServerRestartsDuringRead(t *testing.T) {
	server, c := mortal(t, "")
	content := porttest.Bytes(1, 40*ChunkSize)
	_, r, err := c.Videos().Open(t.Context(), put(t, c.Videos(), content).ID)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got := make([]byte, 10)
	if _, err := io.ReadFull(r, got); err != nil {
		t.Fatal(err)
	}
	server.Kill()
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(slices.Concat(got, rest), content) {
		t.Errorf("%d bytes after the restart, error %v", len(rest), err)
	}
}

func TestLedgerOutlivesItsServer(t *testing.T) {
	server, c := mortal(t, impatient)
	id := insertJob(t, c.Jobs())
	server.Kill()
	fail := func(what string, err error) {
		if err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist) {
			t.Errorf("%s over a dead server: %v", what, err)
		}
	}
	_, err := c.Jobs().Get(t.Context(), id)
	fail("Get", err)
	_, err = c.Jobs().Update(t.Context(), id, increment)
	fail("Update", err)
	fail("Ping", c.Ping(t.Context()))
	restart(t, server, c)
	j, err := c.Jobs().Update(t.Context(), id, increment)
	if err != nil || j.Version != 2 {
		t.Errorf("Update after the restart: version %d, %v", j.Version, err)
	}
}

func TestUnreachableServerNeverQuotesThePassword(t *testing.T) {
	addr, err := testserver.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	c := connect(t, "mongodb://user:s3cr3t@"+addr+"/?directConnection=true&serverSelectionTimeoutMS=100")
	_, _, open := c.Videos().Open(t.Context(), job.NewID(noon))
	for _, err := range []error{c.Ping(t.Context()), open, c.Jobs().Insert(t.Context(), job.Job{})} {
		if err == nil || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("error of an unreachable server: %v", err)
		}
	}
}
