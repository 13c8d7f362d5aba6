package embedded_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"mp3converter/internal/embedded"
	"mp3converter/internal/job"
	"mp3converter/internal/porttest"
)

func TestFiles(t *testing.T) {
	porttest.TestFiles(t, func(t *testing.T) porttest.Files {
		dir := t.TempDir()
		return counted{openFiles(t, dir), dir}
	})
}

func TestArrivals(t *testing.T) {
	porttest.TestArrivals(t, func(t *testing.T) porttest.Arrivals {
		dir := t.TempDir()
		return counted{openFiles(t, dir), dir}
	})
}

// counted is a store that the suite can ask what lies under an id.
type counted struct {
	*embedded.Files
	dir string
}

func (c counted) Pieces(t *testing.T, id string) int {
	t.Helper()
	return len(find(t, c.dir, id+"*")) + len(find(t, c.dir, "parts/"+id+"*")) + len(find(t, c.dir, "arriving/"+id+"*"))
}

// openFiles opens the store in dir until the end of the test.
func openFiles(t *testing.T, dir string) *embedded.Files {
	t.Helper()
	files, err := embedded.OpenFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := files.Close(); err != nil {
			t.Error(err)
		}
	})
	return files
}

func find(t *testing.T, dir, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestAKilledProcessLeavesWholeFilesOnly(t *testing.T) {
	dir := t.TempDir()
	isHalf := func(lines []string) bool { return strings.HasPrefix(lines[len(lines)-1], "half ") }
	lines := killChild(t, "put files", dir, isHalf)
	whole, half := lines[:len(lines)-1], strings.TrimPrefix(lines[len(lines)-1], "half ")
	if len(find(t, dir, "parts/"+half+".*/data")) != 1 {
		t.Fatalf("the child was to leave half of %s, parts has %q", half, find(t, dir, "parts/*"))
	}
	files := openFiles(t, dir)
	if left := find(t, dir, "parts/*"); len(left) != 0 {
		t.Errorf("left of the dead process: %q", left)
	}
	for _, id := range whole {
		wantText(t, files, id, wholeFile)
	}
	if _, _, err := files.Open(t.Context(), half); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open of the half file: %v, want fs.ErrNotExist", err)
	}
	if _, err := files.Put(t.Context(), job.File{ID: half}, strings.NewReader("again")); err != nil {
		t.Errorf("the id of the half file is not free: %v", err)
	}
}

func TestWhatHasArrivedOutlivesAKilledProcess(t *testing.T) {
	dir := t.TempDir()
	lines := killChild(t, "append", dir, func(lines []string) bool { return len(lines) == 5 })
	var at job.Arrival
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &at); err != nil {
		t.Fatal(err)
	}
	files := openFiles(t, dir)
	f := job.File{ID: arrivingID, Bytes: int64(len(arrivingFile))}
	at.Writer++
	err := files.Append(t.Context(), f, at, bytes.NewReader(arrivingFile[at.Offset:]), func(_ context.Context, a job.Arrival) error {
		at = a
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := files.Complete(t.Context(), f, at); err != nil {
		t.Fatal(err)
	}
	wantText(t, files, arrivingID, string(arrivingFile))
}

func TestFilesSurviveRestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "if need be")
	files, err := embedded.OpenFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	f, err := files.Put(t.Context(), porttest.NewFile("a.mp4"), strings.NewReader("abc"))
	if err := errors.Join(err, files.Close()); err != nil {
		t.Fatal(err)
	}
	wantText(t, openFiles(t, dir), f.ID, "abc")
}

func wantText(t *testing.T, files *embedded.Files, id, want string) {
	t.Helper()
	_, r, err := files.Open(t.Context(), id)
	if err != nil {
		t.Error(err)
		return
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || string(got) != want {
		t.Errorf("file %s has %q (%v), want %q", id, got, err, want)
	}
}

func TestAFolderHasOneUser(t *testing.T) {
	dir := t.TempDir()
	first, err := embedded.OpenFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, open := range map[string]func(string) (io.Closer, error){
		"Lock":      embedded.Lock,
		"OpenFiles": func(dir string) (io.Closer, error) { return embedded.OpenFiles(dir) },
	} {
		second, err := open(dir)
		if err == nil {
			t.Fatal(errors.Join(errors.New(name+" of a folder in use succeeded"), second.Close()))
		}
		if !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "in use by another process (pid ") {
			t.Errorf("%s of a folder in use: %q, want its name and who uses it", name, err)
		}
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	openFiles(t, dir)
}

func TestNoIDLeavesTheFolder(t *testing.T) {
	top := t.TempDir()
	files := openFiles(t, filepath.Join(top, "files"))
	secret := filepath.Join(top, "data")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	// A folder whose name is an id, but which lies elsewhere.
	id := porttest.NewFile("").ID
	if err := os.Symlink(top, filepath.Join(top, "files", id)); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"..", "../files", ".", "parts", "arriving", "lock", "", "../" + strings.Repeat("a", 21), id} {
		if _, _, err := files.Open(t.Context(), id); err == nil {
			t.Errorf("Open(%q) succeeded", id)
		}
		if _, err := files.Put(t.Context(), job.File{ID: id}, strings.NewReader("x")); err == nil {
			t.Errorf("Put(%q) succeeded", id)
		}
		if err := files.Delete(t.Context(), id); err != nil {
			t.Errorf("Delete(%q): %v, want nil", id, err)
		}
	}
	if got, err := os.ReadFile(secret); err != nil || string(got) != "secret" {
		t.Errorf("the file beside the folder has %q, %v", got, err)
	}
	if len(find(t, top, "*")) != 2 || len(find(t, top, "files/*")) != 3 { // parts, arriving and the lock
		t.Errorf("the folders have %q, want what was there", append(find(t, top, "*"), find(t, top, "files/*")...))
	}
}

func TestACutFileIsNeverACleanEnd(t *testing.T) {
	dir := t.TempDir()
	files := openFiles(t, dir)
	f, err := files.Put(t.Context(), porttest.NewFile("a.mp4"), strings.NewReader(strings.Repeat("x", 1000)))
	if err != nil {
		t.Fatal(err)
	}
	_, r, err := files.Open(t.Context(), f.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := os.Truncate(filepath.Join(dir, f.ID, "data"), 400); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); !errors.Is(err, io.ErrUnexpectedEOF) || len(got) != 400 {
		t.Errorf("a file cut while open gave %d bytes and %v, want 400 and io.ErrUnexpectedEOF", len(got), err)
	}
	if _, _, err := files.Open(t.Context(), f.ID); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open of a cut file: %v, want an error that is not absence", err)
	}
}

func TestATakenIDIsRefusedBeforeAByteIsRead(t *testing.T) {
	files := openFiles(t, t.TempDir())
	f, err := files.Put(t.Context(), porttest.NewFile("a.mp4"), strings.NewReader("abc"))
	if err != nil {
		t.Fatal(err)
	}
	gigabytes := readerFunc(func([]byte) (int, error) { return 0, errors.New("read in vain") })
	if _, err := files.Put(t.Context(), f, gigabytes); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Put = %v, want fs.ErrExist", err)
	}
}

func TestDeletingBesideAPutIsNoError(t *testing.T) {
	files := openFiles(t, t.TempDir())
	for range 150 {
		f := porttest.NewFile("a.mp4")
		var put sync.WaitGroup
		put.Go(func() { _, _ = files.Put(t.Context(), f, strings.NewReader("video")) })
		for range 5 {
			if err := files.Delete(t.Context(), f.ID); err != nil {
				t.Error(err)
			}
		}
		put.Wait()
	}
}

func TestDeleteEndsARunningPut(t *testing.T) {
	dir := t.TempDir()
	files := openFiles(t, dir)
	f := porttest.NewFile("a.mp4")
	deleteAtEnd := readerFunc(func([]byte) (int, error) {
		if err := files.Delete(t.Context(), f.ID); err != nil {
			return 0, err
		}
		return 0, io.EOF
	})
	_, err := files.Put(t.Context(), f, io.MultiReader(strings.NewReader("abc"), deleteAtEnd))
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Put = %v, want an error that is not absence", err)
	}
	if n := (counted{files, dir}).Pieces(t, f.ID); n != 0 {
		t.Errorf("%d pieces left", n)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// BenchmarkPut compares with what no store can do without: write the bytes once and bring them to the disk.
func BenchmarkPut(b *testing.B) {
	const size = 64 << 20
	zeros, err := os.Open("/dev/zero")
	if err != nil {
		b.Fatal(err)
	}
	defer zeros.Close()
	video := func() io.Reader { return readerFunc(io.LimitReader(zeros, size).Read) } // no short cuts within the kernel
	b.Run("store", func(b *testing.B) {
		files, err := embedded.OpenFiles(b.TempDir())
		if err != nil {
			b.Fatal(err)
		}
		defer files.Close()
		measure(b, size, func(id string) error {
			_, err := files.Put(b.Context(), job.File{ID: id}, video())
			return errors.Join(err, files.Delete(context.Background(), id))
		})
	})
	b.Run("plain copy and fsync", func(b *testing.B) {
		dir := b.TempDir()
		measure(b, size, func(id string) error {
			f, err := os.Create(filepath.Join(dir, id))
			if err != nil {
				return err
			}
			_, err = io.Copy(f, video())
			return errors.Join(err, f.Sync(), f.Close(), os.Remove(f.Name()))
		})
	})
}

func measure(b *testing.B, size int64, write func(id string) error) {
	b.SetBytes(size)
	for b.Loop() {
		if err := write(porttest.NewFile("").ID); err != nil {
			b.Fatal(err)
		}
	}
}
