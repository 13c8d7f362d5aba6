package stories

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"mp3converter/internal/testsuite"

	"github.com/google/go-cmp/cmp"

	"mp3converter/internal/testmedia"
	"mp3converter/internal/testserver"
)

// toldOfServers are the stories in which the original's programs, and its administrator, talk to the same servers as ours.
var toldOfServers = map[string]func(t *testing.T, s *testsuite.Services){
	"PyMongo reads the video and the MP3":                       pyMongoReads,
	"a video and a message of the original's gateway":           theOriginalsUpload,
	"an MP3 and a message of the original's converter":          theOriginalsMP3Message,
	"a message that is none is buried, and hurts nobody":        thePoison,
	"the queues are there, durable and of the type that is set": theQueues,
	"init.sql runs again, and auth user looks after the table":  theAdministrator,
	"who guesses waits, whichever replica they ask":             theGuesser,
	"a logout is heard of by the other replicas":                theReplicas,
}

// original runs one command of the original's side.
func original(t testing.TB, args ...string) string {
	t.Helper()
	cmd := exec.Command("/usr/bin/python3", append([]string{"testdata/original.py"}, args...)...)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("original.py %s: %v (apt-get install python3-pika python3-pymongo python3-gridfs, if they are missing): %s", args[0], err, &complaints)
	}
	return string(out)
}

// message is what pika sees of one.
type message struct {
	Body    string
	Mode    int `json:"delivery_mode"`
	Headers map[string]string
}

// taken waits for a message in the queue and takes it.
func taken(t testing.TB, url, queue string) message {
	t.Helper()
	return testsuite.Awaited(t, "a message in "+queue, func() (message, bool) {
		var m *message
		if err := json.Unmarshal([]byte(original(t, "get", url, queue)), &m); err != nil {
			t.Fatal(err)
		}
		if m == nil {
			return message{}, false
		}
		return *m, true
	})
}

func pyMongoReads(t *testing.T, s *testsuite.Services) {
	p := s.Someone(t)
	video := testmedia.Clip(t, testmedia.Spec{Seconds: 5, Size: "640x480"}) // of more than one chunk
	id := p.Upload(t, video, "vid_1.mp4")
	fid := testsuite.OrEmpty(p.Reaches(t, id, "done").MP3)
	for _, f := range []struct{ db, id, content string }{
		{"videos", id, testsuite.Read(t, video)}, {"mp3s", fid, testsuite.Read(t, p.Download(t, fid))},
	} {
		want := fmt.Sprintf("%x %d 261120\n", sha256.Sum256([]byte(f.content)), len(f.content))
		if got := original(t, "read", s.At.MongoDB, f.db, f.id); got != want {
			t.Errorf("GridFS(%s).get = %s, want %s", f.db, got, want)
		}
	}
}

func theOriginalsUpload(t *testing.T, s *testsuite.Services) {
	p := s.Someone(t)
	video := original(t, "put", s.At.MongoDB, "videos", testsuite.Clip(t))
	original(t, "publish", s.Broker, "video", video, "-", p.Email)

	mail := p.Mailed(t, 1)[0]
	j := p.Reaches(t, video, "done")
	fid := testsuite.OrEmpty(j.MP3)
	if want := "mp3 file_id: " + fid + " is now ready!\n"; mail.Subject != "MP3 Download" || !strings.HasPrefix(mail.Body, want) {
		t.Errorf("the mail: %+v, want %q", mail, want)
	}
	testsuite.Lasts(t, p.Download(t, fid), testmedia.Duration(t, testsuite.Clip(t)))
}

func theOriginalsMP3Message(t *testing.T, s *testsuite.Services) {
	p := s.Someone(t)
	file := testmedia.Clip(t, testmedia.Spec{Ext: "mp3"})
	video := original(t, "put", s.At.MongoDB, "videos", testsuite.Clip(t))
	fid := original(t, "put", s.At.MongoDB, "mp3s", file)
	original(t, "publish", s.Broker, "mp3", video, fid, p.Email)

	mail := p.Mailed(t, 1)[0]
	saysWhere(t, mail, "video", fid)
	if got := testsuite.Read(t, p.Download(t, fid)); got != testsuite.Read(t, file) {
		t.Errorf("the download has %d bytes and is not what PyMongo stored", len(got))
	}
}

func thePoison(t *testing.T, s *testsuite.Services) {
	for _, tt := range []struct{ queue, body, reason string }{
		{"video", "no JSON", "not a JSON object"},
		{"video", `{"video_fid": "x", "mp3_fid": null, "username": "sid@gmail.com"}`, "video_fid"},
		{"video", `{"video_fid": "` + unknown + `", "mp3_fid": null, "username": "sid@gmail.com"}`, "unknown video"},
		{"mp3", `{"video_fid": "` + unknown + `", "mp3_fid": 1, "username": "sid@gmail.com"}`, "mp3_fid"},
		{"mp3", `{"video_fid": "` + unknown + `", "mp3_fid": "` + unknown + `", "username": "sid@gmail.com"}`, "unknown mp3_fid"},
	} {
		original(t, "raw", s.Broker, tt.queue, tt.body)
		m := taken(t, s.Broker, tt.queue+".dead")
		if m.Body != tt.body || m.Mode != 2 || !strings.Contains(m.Headers["x-reason"], tt.reason) {
			t.Errorf("%s in %s was buried as %+v, want the reason %q", tt.body, tt.queue, m, tt.reason)
		}
	}
	discardByHand(t, s)
	p := s.Someone(t) // everybody is alive
	p.Upload(t, testsuite.Clip(t), "vid_1.mp4")
	p.Mailed(t, 1)
}

func theQueues(t *testing.T, s *testsuite.Services) {
	list := s.Ctl(t, "list_queues", "--no-table-headers", "name", "type", "durable")
	got := strings.Split(strings.TrimSpace(list), "\n")
	slices.Sort(got)
	want := []string{"mp3\tquorum\ttrue", "mp3.dead\tquorum\ttrue", "video\tquorum\ttrue", "video.dead\tquorum\ttrue"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the queues:\n%s", diff)
	}
}

func theAdministrator(t *testing.T, s *testsuite.Services) {
	db := testserver.MySQL(t)
	script, err := testserver.InitSQL()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := db.SQL(script); err != nil {
		t.Fatalf("init.sql: %v: %s", err, out)
	}
	sid(t, s.Suite).Login(t)

	p := &testsuite.Person{Suite: s.Suite, Email: testsuite.NewAddress(), Password: testsuite.Password}
	if got := admin(t, s, testsuite.Password, "user", "add", p.Email); got != "added "+p.Email+"\n" {
		t.Errorf("auth user add printed %q", got)
	}
	p.Login(t)
	// The original's own query.
	row, err := db.SQL("SELECT email, password FROM auth.user WHERE email='" + p.Email + "'")
	if email, hash, _ := strings.Cut(strings.TrimSpace(row), "\t"); err != nil || email != p.Email || !strings.HasPrefix(hash, "$argon2id$") {
		t.Errorf("the row: %q, %v", row, err)
	}
	before := *p
	p.Password = "another " + testsuite.Password
	admin(t, s, p.Password, "user", "passwd", p.Email)
	ends(t, &before)
	p.Login(t)
	p.Get(t, "/jobs").Is(t, 200, `{"jobs":[],"next":null}`)
	if got := admin(t, s, "", "user", "list"); !strings.Contains(got, p.Email) || strings.Contains(got, "$argon2") {
		t.Errorf("auth user list printed:\n%s", got)
	}
	admin(t, s, "", "user", "delete", p.Email)
	testsuite.Send(t, testsuite.Request{Base: p.URL, Method: "POST", Path: "/login", Auth: testsuite.Basic(p.Email, p.Password)}).Is(t, 401, "invalid credentials")
	ends(t, p)
	again := *p
	admin(t, s, again.Password, "user", "add", again.Email)
	again.Login(t)
	for _, old := range []*testsuite.Person{p, &before} {
		old.Get(t, "/jobs").Is(t, 403, "not authorized")
	}
	again.Get(t, "/jobs").Is(t, 200, `{"jobs":[],"next":null}`)
}

// admin runs a sub-command of auth with a password on its standard input.
func admin(t *testing.T, s *testsuite.Services, in string, args ...string) string {
	t.Helper()
	cmd := exec.Command(testsuite.Release.Path(t, "auth"), args...)
	cmd.Stdin, cmd.Env = strings.NewReader(in), append(s.Database(), testsuite.QuickEnd)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("auth %s: %v: %s", strings.Join(args, " "), err, &complaints)
	}
	return string(out)
}

// onTheWire fails the test unless the message is persistent and its body the JSON object.
func (m message) onTheWire(t *testing.T, want string) {
	t.Helper()
	var got, wanted map[string]any
	if err := json.Unmarshal([]byte(m.Body), &got); err != nil {
		t.Fatalf("%q: %v", m.Body, err)
	}
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wanted, got); diff != "" || m.Mode != 2 {
		t.Errorf("the message, with delivery mode %d:\n%s", m.Mode, diff)
	}
}
