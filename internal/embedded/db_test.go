package embedded_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mp3converter/internal/embedded"
	"mp3converter/internal/job"
	"mp3converter/internal/porttest"
	"mp3converter/internal/user"
)

func TestLedger(t *testing.T) {
	porttest.TestLedger(t, func(t *testing.T) porttest.Ledger { return openDB(t, t.TempDir()).Jobs() })
}

func TestHooks(t *testing.T) {
	porttest.TestHooks(t, func(t *testing.T) porttest.Hooks { return openDB(t, t.TempDir()).Hooks() })
}

func TestDeliveries(t *testing.T) {
	porttest.TestDeliveries(t, func(t *testing.T) porttest.Deliveries { return openDB(t, t.TempDir()).Deliveries() })
}

func TestUsers(t *testing.T) {
	porttest.TestUsers(t, func(t *testing.T) porttest.Users { return openDB(t, t.TempDir()).Users() })
}

func TestTokens(t *testing.T) {
	porttest.TestTokens(t, func(t *testing.T) porttest.Tokens { return openDB(t, t.TempDir()).Users() })
}

func TestFailures(t *testing.T) {
	porttest.TestFailures(t, func(t *testing.T) porttest.Failures { return openDB(t, t.TempDir()).Users() })
}

// openDB opens the database in dir until the end of the test.
func openDB(t *testing.T, dir string) *embedded.DB {
	t.Helper()
	db, err := embedded.OpenDB(filepath.Join(dir, "db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func TestWhatIsConfirmedSurvivesKill(t *testing.T) {
	dir := t.TempDir()
	const rounds, each = 3, 20
	confirmed := map[string]bool{}
	for range rounds { // each over what the last has left
		for _, id := range killChild(t, "insert jobs", dir, func(lines []string) bool { return len(lines) >= each }) {
			confirmed[id] = job.IsID(id)
		}
	}
	if len(confirmed) < rounds*each {
		t.Fatalf("%d jobs were confirmed, want at least %d", len(confirmed), rounds*each)
	}
	db := openDB(t, dir)
	for id := range confirmed {
		j, err := db.Jobs().Get(t.Context(), id)
		if err != nil || j.State != job.Queued || j.Version != 2 {
			t.Errorf("job %q is %s, version %d, %v; want queued, version 2", id, j.State, j.Version, err)
		}
	}
}

func TestWhatIsConfirmedSurvivesRestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "with space, 100% #1? yes") // SQLite takes paths as URIs
	lock, err := embedded.Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	path := filepath.Join(dir, "db")
	db, err := embedded.OpenDB(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Users().Add(t.Context(), user.User{Email: "a@b.c"}), db.Close()); err != nil {
		t.Fatal(err)
	}
	if found, _ := filepath.Glob(filepath.Join(dir, "*")); len(found) != 2 {
		t.Errorf("after Close the folder has %q, want the database and the lock", found)
	}
	if _, err := openDB(t, dir).Users().Find(t.Context(), "a@b.c"); err != nil {
		t.Error(err)
	}
}

func TestUpdateRunsUserCodeWithoutALock(t *testing.T) {
	l := openDB(t, t.TempDir()).Jobs()
	j := newJob()
	if err := l.Insert(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	runs := 0
	got, err := l.Update(t.Context(), j.ID, func(outer *job.Job) error {
		if runs++; runs == 1 { // somebody is faster, once
			_, err := l.Update(t.Context(), j.ID, func(inner *job.Job) error { inner.Detail = "inner"; return nil })
			if err != nil {
				return err
			}
		}
		outer.Percent = 7
		return nil
	})
	if err != nil || runs != 2 || got.Version != 3 || got.Detail != "inner" || got.Percent != 7 {
		t.Errorf("Update = %+v, %v after %d runs; want version 3 with both changes after 2", got, err, runs)
	}
}

func TestOpenDBRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		prepare func(t *testing.T, path string)
		want    string
	}{
		"a newer program's database": {func(t *testing.T, path string) {
			execute(t, path, "PRAGMA user_version = 99")
		}, "newer program"},
		"somebody else's database": {func(t *testing.T, path string) {
			execute(t, path, "CREATE TABLE users (name TEXT)")
		}, "already exists"},
		"a folder that is not there": {func(*testing.T, string) {}, "no-such-folder"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "db")
			if strings.Contains(tt.want, "folder") {
				path = filepath.Join(t.TempDir(), tt.want, "db")
			}
			tt.prepare(t, path)
			db, err := embedded.OpenDB(path)
			if err == nil {
				t.Fatal(errors.Join(errors.New("OpenDB succeeded"), db.Close()))
			}
			if !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("error %q, want the path and %q in it", err, tt.want)
			}
		})
	}
}

func TestADatabaseOfTheFirstVersionGoesOn(t *testing.T) {
	dir := t.TempDir()
	first, err := os.ReadFile("schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	execute(t, filepath.Join(dir, "db"), string(first)+`; PRAGMA user_version = 1; INSERT INTO users VALUES ('a@b.c', 'p', 1);
		INSERT INTO jobs VALUES ('1', 1, 'a@b.c', 'k1', 1, NULL, NULL, '{"state": "done", "video_bytes": 7, "mp3_bytes": 2}');
		INSERT INTO jobs VALUES ('2', 1, 'a@b.c', 'k2', 1, NULL, NULL, '{"state": "queued", "video_bytes": 3}')`)
	for range 2 {
		if u, err := openDB(t, dir).Jobs().Usage(t.Context(), "a@b.c"); err != nil || u != (job.Usage{Stored: 12, Waiting: 1}) {
			t.Errorf("Usage = %+v, %v", u, err)
		}
		if old, err := openDB(t, dir).Jobs().Undated(t.Context(), 10); err != nil || len(old) != 1 || old[0].State != job.Done {
			t.Errorf("jobs without dates: %+v, %v, want the one that is done", old, err)
		}
		users := openDB(t, dir).Users()
		if u, err := users.Find(t.Context(), "a@b.c"); err != nil || u.Password != "p" {
			t.Errorf("Find = %+v, %v", u, err)
		}
		if _, err := users.RevokeAll(t.Context(), "a@b.c"); err != nil {
			t.Error(err)
		}
	}
}

// execute runs a statement as a stranger would.
func execute(t *testing.T, path, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.ExecContext(t.Context(), statement)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestAClosedDatabaseIsNobodysFault(t *testing.T) {
	db, err := embedded.OpenDB(filepath.Join(t.TempDir(), "db"))
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	_, getErr := db.Jobs().Get(ctx, "x")
	_, listErr := db.Jobs().List(ctx, "x", "", 1)
	_, usersErr := db.Users().List(ctx)
	for name, err := range map[string]error{
		"Get": getErr, "List": listErr, "users": usersErr,
		"Insert": db.Jobs().Insert(ctx, newJob()), "Add": db.Users().Add(ctx, user.User{Email: "a@b.c"}),
	} {
		if err == nil || strings.Contains(err.Error(), "exist") {
			t.Errorf("%s on a closed database: %v, want an error that is neither absence nor presence", name, err)
		}
	}
}

func newJob() job.Job {
	return job.New(time.Now(), job.DefaultRules(), job.NewID(time.Now()), "sid@gmail.com")
}
