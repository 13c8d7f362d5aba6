package faults

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"golang.org/x/sys/unix"

	"mp3converter/internal/checker"
	"mp3converter/internal/failpoint"
	"mp3converter/internal/testserver"
	"mp3converter/internal/testsuite"
)

// storeGround has a store that the rows may break.
type storeGround struct{ *ground }

// storeFaults are the rows of the matrix about the store.
func storeFaults(t *testing.T) []fault {
	s := storeGround{newGround(t, testsuite.NewVhost(t))}
	return []fault{
		{name: "killed in the middle of an upload", expected: "503 or nothing, and nothing is left", tell: s.on(s.killedUnderUpload)},
		{name: "killed before an upload's file is whole", expected: "503 or nothing, and nothing is left", slow: true, tell: s.on(s.killedAt(failpoint.FileWhole))},
		{name: "killed before an upload becomes a job", expected: "503 and no job, or no answer", tell: s.on(s.killedAt(failpoint.FileStored))},
		{name: "killed in the middle of a conversion", expected: "done, one MP3, one mail", tell: s.on(s.killedUnderConversion)},
		{name: "away when an MP3 is to be stored", expected: "the MP3 is kept until it is back: one attempt", tell: s.on(s.awayAtTheStoring)},
		{name: "killed in the middle of a download", expected: "a broken connection, no short file", slow: true, tell: s.on(s.killedUnderDownload)},
		{name: "frozen for longer than leases", expected: "all done, one MP3 and one mail each", tell: s.on(s.frozen)},
		{name: "far away and narrow", expected: "slower, no worse", slow: true, tell: s.on(s.narrow)},
		{name: "its disk is full", expected: "503; what is stored can be had; well again once there is space", slow: true, tell: diskFull},
	}
}

// away kills the store, has something happen meanwhile, and starts it again.
func (s storeGround) away(t *testing.T, meanwhile func()) {
	t.Helper()
	s.Mongo.Kill()
	defer func() { // also if meanwhile ends the test: the next row finds a store
		if err := s.Mongo.Restart(); err != nil {
			t.Error(err)
		}
	}()
	meanwhile()
}

func (s storeGround) killedUnderUpload(t *testing.T) string {
	s.guest("gateway", shortUploads, shortStore)
	client := s.sender(t, talk(t))
	client.upTo(client.percent(90))
	testsuite.Eventually(t, "some of it is stored", func() bool { return s.chunks(t) > 0 })
	var told checker.Upload
	s.away(t, func() {
		client.upTo(len(client.form))
		a, err := client.answer()
		told = s.told(s.person, client.v, "", a, err)
	})
	if told.Status != 0 && told.Status != http.StatusServiceUnavailable {
		t.Errorf("the upload was answered %d", told.Status)
	}
	s.check(t, checker.Allowed{})
	s.upload(talk(t), "", idle)
	s.check(t, checker.Allowed{})
	return fmt.Sprintf("%d, nothing left; then 200", told.Status)
}

// chunks is how many of videos are stored.
func (s storeGround) chunks(t *testing.T) int64 {
	t.Helper()
	n, err := s.db.Database("videos").Collection("fs.chunks").CountDocuments(t.Context(), bson.D{})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// killedAt kills the store while an upload stands at the point.
func (s storeGround) killedAt(point failpoint.Point) func(*testing.T) string {
	return func(t *testing.T) string {
		fired, settings := hits(t, point, "freeze", 1)
		gateway := s.guest("gateway", append(settings, shortUploads, shortStore)...)
		defer gateway.Signal(syscall.SIGCONT)
		told := s.trying(t, talk(t))
		standsAt(t, gateway, fired)
		var u checker.Upload
		s.away(t, func() {
			gateway.Signal(syscall.SIGCONT) // not before, however long the kill has taken
			u = <-told
		})
		if u.Status != 0 && u.Status != http.StatusServiceUnavailable {
			t.Errorf("the upload was answered %d", u.Status)
		}
		s.check(t, checker.Allowed{}) // a 503 with a job would be I7
		return fmt.Sprintf("%d", u.Status)
	}
}

func (s storeGround) killedUnderConversion(t *testing.T) string {
	settings, letGo := held(t, "talk.mov")
	defer letGo()
	s.out(t, "converter")
	converter := s.guest("converter", append(settings, shortStore, "LOG_LEVEL=debug")...)
	u := s.takes(t, talk(t))[0]
	worker{Process: converter}.ffmpeg(t, "talk.mov")
	s.away(t, func() {
		testsuite.Eventually(t, "a renewal of the lease fails", func() bool { return converter.Wrote("lease not renewed") })
	})
	letGo()
	s.check(t, checker.Allowed{})
	return fmt.Sprintf("done at attempt %d", s.record(t, u.Job).Attempt)
}

func (s storeGround) awayAtTheStoring(t *testing.T) string {
	fired, settings := hits(t, failpoint.VideoEncoded, "freeze", 1)
	s.out(t, "converter")
	converter := s.guest("converter", append(settings, "LEASE_SECONDS=60", shortStore)...)
	defer converter.Signal(syscall.SIGCONT)
	u := s.takes(t, talk(t))[0]
	standsAt(t, converter, fired)
	s.away(t, func() {
		converter.Signal(syscall.SIGCONT) // not before, however long the kill has taken
		testsuite.Eventually(t, "a try to store fails", func() bool { return converter.Wrote("mp3 not stored yet") })
	})
	s.check(t, checker.Allowed{})
	if j := s.record(t, u.Job); j.Attempt != 1 {
		t.Errorf("%d attempts, the MP3 was there after the first", j.Attempt)
	}
	return "one attempt"
}

// long is a video whose MP3 is of several batches of chunks.
func long(t testing.TB) testsuite.Video { return clip(t, "long.mp4", 300) }

func (s storeGround) killedUnderDownload(t *testing.T) string {
	u := s.takes(t, long(t))[0]
	s.check(t, checker.Allowed{})
	way := testserver.NewProxy(t, s.Mongo.Addr)
	s.guest("gateway", "MONGODB_URI=mongodb://"+way.Addr+"/?directConnection=true")
	s.upload(clip(t, "short.mp4", 1), "", idle) // the guest is up
	s.check(t, checker.Allowed{})
	way.Poison(testserver.Toxic{Type: "bandwidth", Attributes: map[string]any{"rate": 300}})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Gates[0]+"/download?fid="+u.Job, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.person.Token)
	resp, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.CopyN(io.Discard, resp.Body, 100<<10); err != nil {
		t.Fatal(err)
	}
	var n int64
	s.away(t, func() { n, err = io.Copy(io.Discard, resp.Body) })
	s.hung(err)
	if err == nil {
		t.Errorf("the download ended as if it were whole, after %d bytes of %d", 100<<10+n, resp.ContentLength)
	}
	s.check(t, checker.Allowed{})
	return fmt.Sprintf("broken off after %d of %d KiB", 100+n>>10, resp.ContentLength>>10)
}

// frozen has a job under way at the freeze and others waiting, and no mail that could have been sent and not noted.
func (s storeGround) frozen(t *testing.T) string {
	const leases = 2 * 2 * time.Second // see quick
	settings, letGo := held(t, "under way.mp4")
	defer letGo()
	s.out(t, "converter")
	converter := s.guest("converter", append(settings, shortStore)...)
	s.is(t, s.takes(t, clip(t, "under way.mp4", 1))[0], "converting")
	s.takes(t, clips(t, 3)...)
	thaw, end := s.Mongo.Freeze(t), time.Now().Add(leases)
	if metrics(t, converter)["mp3_conversions_running"] != 1 {
		t.Error("no job was under way")
	}
	testsuite.Eventually(t, "all leases have run out", func() bool { return time.Now().After(end) })
	thaw()
	s.in(t, "converter") // somebody who may take the job now
	letGo()
	s.check(t, checker.Allowed{})
	return fmt.Sprintf("4 done, %d mails", len(s.letters(t)))
}

func (s storeGround) narrow(t *testing.T) string {
	way := testserver.NewProxy(t, s.Mongo.Addr)
	uri, lease := "MONGODB_URI=mongodb://"+way.Addr+"/?directConnection=true", "LEASE_SECONDS=20"
	s.out(t, "converter", "notification")
	s.guest("gateway", uri, lease, "UPLOAD_LEASE_SECONDS=20", "MONGODB_TIMEOUT_SECONDS=20")
	s.guest("converter", uri, lease, "MONGODB_TIMEOUT_SECONDS=20")
	s.guest("notification", uri, lease, "MONGODB_TIMEOUT_SECONDS=20")
	s.upload(clip(t, "before.mp4", 1), "", idle)
	for _, upstream := range []bool{true, false} {
		way.Poison(testserver.Toxic{Type: "latency", Upstream: upstream, Attributes: map[string]any{"latency": 150}})
		way.Poison(testserver.Toxic{Type: "bandwidth", Upstream: upstream, Attributes: map[string]any{"rate": 500}})
	}
	s.upload(talk(t), "", idle)
	s.check(t, checker.Allowed{})
	return "300 ms and 500 KB/s away: done"
}

// diskFull has a store of its own, on a small disk.
func diskFull(t *testing.T) string {
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=40m"); err != nil {
		t.Fatalf("mount a small disk (needs root): %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(disk, unix.MNT_DETACH) })
	ferret, err := testserver.StartFerretDBIn(disk)
	if err != nil {
		t.Fatal(err)
	}
	r := newRigOn(t, ferret, testsuite.NewVhost(t), "WORKERS=1", shortUploads).whole()
	old := r.history.Uploads()[0].Job
	var space unix.Statfs_t
	if err := unix.Statfs(disk, &space); err != nil {
		t.Fatal(err)
	}
	ballast := filepath.Join(disk, "ballast")
	if err := os.WriteFile(ballast, make([]byte, int64(space.Bavail)*space.Bsize-64<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	refused := r.try(talk(t), "", 0)
	if refused.Status != http.StatusServiceUnavailable && refused.Status != 0 {
		t.Errorf("an upload to a full disk was answered %d", refused.Status)
	}
	a := testsuite.Send(t, testsuite.Request{Base: r.Gates[0], Path: "/download?fid=" + old, Auth: "Bearer " + r.person.Token})
	if a.Status != http.StatusOK {
		t.Errorf("an old MP3 was answered %d", a.Status)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	r.upload(talk(t), "", idle)
	r.check(t, checker.Allowed{})
	return fmt.Sprintf("%d; old MP3 200; then 200", refused.Status)
}
