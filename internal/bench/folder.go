package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"

	"mp3converter/internal/embedded"
	"mp3converter/internal/testserver"
)

// measureFolder compares the suite in one process, whose store is a folder, with writing and reading plain files: what the
// services cost where the store is not what everybody waits for.
func measureFolder(ctx context.Context, b *bench) (table, error) {
	t := table{Title: "Where the store is a folder (mp3converter), against plain files", Base: "files", Notes: []string{
		"plain files are written with fsync and read from the page cache, with no network and nobody else: no goal can be held against it",
	}}
	for _, measure := range []func(context.Context, int) (row, error){b.intoFolder, b.fromFolder} {
		for _, n := range b.Parallel {
			r, err := measure(ctx, n)
			if err != nil {
				return t, err
			}
			t.Rows = append(t.Rows, r)
		}
	}
	return t, nil
}

// intoFolder measures n uploads at once. Each round has a suite of its own, since a folder is emptied most surely by
// removing it.
func (b *bench) intoFolder(ctx context.Context, n int) (row, error) {
	size := b.MB * mega
	what := fmt.Sprintf("upload, %d at once, %d MB each", n, b.MB)
	raw, ours, err := b.compare(ctx, "folder, "+what,
		func(ctx context.Context) (float64, error) {
			dir, err := b.temp("files")
			if err != nil {
				return 0, err
			}
			defer os.RemoveAll(dir)
			return many(n, size, func(context.Context) error { return writeFile(dir, size) })(ctx)
		},
		func(ctx context.Context) (float64, error) {
			dir, err := b.temp("suite")
			if err != nil {
				return 0, err
			}
			s, err := b.newSuite(ctx, dir)
			if err != nil {
				return 0, err
			}
			defer s.close()
			return many(n, size, func(ctx context.Context) error { return s.user.uploadNoise(ctx, size) })(ctx)
		})
	return compared(what, "MB/s", raw, ours), err
}

// fromFolder measures n downloads at once of one file.
func (b *bench) fromFolder(ctx context.Context, n int) (row, error) {
	size := b.MB * mega
	what := fmt.Sprintf("download, %d at once, %d MB each", n, b.MB)
	dir, err := b.temp("suite")
	if err != nil {
		return row{}, err
	}
	fid, err := seedFolder(ctx, dir, size)
	if err != nil {
		return row{}, err
	}
	s, err := b.newSuite(ctx, dir)
	if err != nil {
		return row{}, err
	}
	defer s.close()
	raw, ours, err := b.compare(ctx, "folder, "+what,
		many(n, size, func(context.Context) error { return readFile(filepath.Join(dir, "mp3s", fid, "data"), size) }),
		many(n, size, func(ctx context.Context) error { return s.user.download(ctx, fid, size) }))
	return compared(what, "MB/s", raw, ours), err
}

// suite is the four services in one process.
type suite struct {
	dir     string
	program *program
	user    *client
}

// demoUser is whom the suite makes at its first start, and says it has.
const demoUser = "demo@example.com"

var demoPassword = regexp.MustCompile(`password (\S+)`)

// newSuite runs the suite on a folder, which goes when it is closed. It converts nothing unless environ says with what.
func (b *bench) newSuite(ctx context.Context, dir string, environ ...string) (*suite, error) {
	addr, err := testserver.FreeAddr()
	if err != nil {
		return nil, err
	}
	s := &suite{dir: dir}
	s.program, err = b.run(ctx, "mp3converter", append([]string{
		"DATA_DIR=" + dir, "LISTEN=" + addr, "INBOX_LISTEN=127.0.0.1:0",
		"FFMPEG=/dev/null", "SCRATCH_DIR=/dev/null", // neither works: conversions of what is uploaded are put off, and use nothing
	}, environ...)...)
	if err != nil {
		return nil, err
	}
	if err := s.login(ctx, "http://"+addr); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// login waits until the suite has said the demo user's password.
func (s *suite) login(ctx context.Context, base string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyTime, errors.New("mp3converter says no password"))
	defer cancel()
	var password string
	err := poll(ctx, often, func() (bool, error) {
		log, err := os.ReadFile(s.program.log)
		if found := demoPassword.FindSubmatch(log); found != nil {
			password = string(found[1])
		}
		return password != "", err
	})
	if err == nil {
		s.user, err = login(ctx, base, demoUser, password)
	}
	return err
}

func (s *suite) close() {
	s.program.stop()
	_ = os.RemoveAll(s.dir)
}

// seedFolder stores an MP3 of the demo user's in a suite that does not run.
func seedFolder(ctx context.Context, dir string, size int64) (fid string, err error) {
	db, err := embedded.OpenDB(filepath.Join(dir, "mp3converter.db"))
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	mp3s, err := embedded.OpenFiles(filepath.Join(dir, "mp3s"))
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, mp3s.Close()) }()
	return seed(ctx, mp3s, db.Jobs(), demoUser, size)
}

// writeFile writes a new file as durably as the suite does.
func writeFile(dir string, size int64) error {
	f, err := os.CreateTemp(dir, "")
	if err != nil {
		return err
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{f}, &noiseReader{size: size}, make([]byte, 256<<10))
	return errors.Join(err, f.Sync(), f.Close())
}

func readFile(path string, size int64) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{f}, make([]byte, 256<<10))
	return errors.Join(err, wantBytes(n, size))
}
