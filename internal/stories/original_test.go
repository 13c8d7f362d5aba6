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

	"github.com/google/go-cmp/cmp"

	"mp3converter/internal/testmedia"
	"mp3converter/internal/testserver"
)

// toldOfServers are the stories in which the original's programs, and its administrator, talk to the same servers as ours.
var toldOfServers = map[string]func(t *testing.T, s *services){
	"PyMongo reads the video and the MP3":                       pyMongoReads,
	"a video and a message of the original's gateway":           theOriginalsUpload,
	"an MP3 and a message of the original's converter":          theOriginalsMP3Message,
	"a message that is none is buried, and hurts nobody":        thePoison,
	"the queues are there, durable and of the type that is set": theQueues,
	"init.sql runs again, and auth user looks after the table":  theAdministrator,
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
	return awaited(t, "a message in "+queue, func() (message, bool) {
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

func pyMongoReads(t *testing.T, s *services) {
	p := s.someone(t)
	video := testmedia.Clip(t, testmedia.Spec{Seconds: 5, Size: "640x480"}) // of more than one chunk
	id := p.upload(t, video, "vid_1.mp4")
	fid := orEmpty(p.reaches(t, id, "done").MP3)
	for _, f := range []struct{ db, id, content string }{
		{"videos", id, read(t, video)}, {"mp3s", fid, read(t, p.download(t, fid))},
	} {
		want := fmt.Sprintf("%x %d 261120\n", sha256.Sum256([]byte(f.content)), len(f.content))
		if got := original(t, "read", s.at.mongodb, f.db, f.id); got != want {
			t.Errorf("GridFS(%s).get = %s, want %s", f.db, got, want)
		}
	}
}

func theOriginalsUpload(t *testing.T, s *services) {
	p := s.someone(t)
	video := original(t, "put", s.at.mongodb, "videos", clip(t))
	original(t, "publish", s.broker, "video", video, "-", p.email)

	mail := p.mailed(t, 1)[0]
	j := p.reaches(t, video, "done")
	fid := orEmpty(j.MP3)
	if want := "mp3 file_id: " + fid + " is now ready!\n"; mail.Subject != "MP3 Download" || !strings.HasPrefix(mail.Body, want) {
		t.Errorf("the mail: %+v, want %q", mail, want)
	}
	lasts(t, p.download(t, fid), testmedia.Duration(t, clip(t)))
}

func theOriginalsMP3Message(t *testing.T, s *services) {
	p := s.someone(t)
	file := testmedia.Clip(t, testmedia.Spec{Ext: "mp3"})
	video := original(t, "put", s.at.mongodb, "videos", clip(t))
	fid := original(t, "put", s.at.mongodb, "mp3s", file)
	original(t, "publish", s.broker, "mp3", video, fid, p.email)

	mail := p.mailed(t, 1)[0]
	if want := "mp3 file_id: " + fid + " is now ready!\n" + baseURL + "/download?fid=" + fid + "\n"; mail.Body != want {
		t.Errorf("the mail: %q, want %q", mail.Body, want)
	}
	if got := read(t, p.download(t, fid)); got != read(t, file) {
		t.Errorf("the download has %d bytes and is not what PyMongo stored", len(got))
	}
}

func thePoison(t *testing.T, s *services) {
	for _, tt := range []struct{ queue, body, reason string }{
		{"video", "no JSON", "not a JSON object"},
		{"video", `{"video_fid": "x", "mp3_fid": null, "username": "sid@gmail.com"}`, "video_fid"},
		{"video", `{"video_fid": "` + unknown + `", "mp3_fid": null, "username": "sid@gmail.com"}`, "unknown video"},
		{"mp3", `{"video_fid": "` + unknown + `", "mp3_fid": 1, "username": "sid@gmail.com"}`, "mp3_fid"},
		{"mp3", `{"video_fid": "` + unknown + `", "mp3_fid": "` + unknown + `", "username": "sid@gmail.com"}`, "unknown mp3_fid"},
	} {
		original(t, "raw", s.broker, tt.queue, tt.body)
		m := taken(t, s.broker, tt.queue+".dead")
		if m.Body != tt.body || m.Mode != 2 || !strings.Contains(m.Headers["x-reason"], tt.reason) {
			t.Errorf("%s in %s was buried as %+v, want the reason %q", tt.body, tt.queue, m, tt.reason)
		}
	}
	p := s.someone(t) // everybody is alive
	p.upload(t, clip(t), "vid_1.mp4")
	p.mailed(t, 1)
}

func theQueues(t *testing.T, s *services) {
	list := s.ctl(t, "list_queues", "--no-table-headers", "name", "type", "durable")
	got := strings.Split(strings.TrimSpace(list), "\n")
	slices.Sort(got)
	want := []string{"mp3\tquorum\ttrue", "mp3.dead\tquorum\ttrue", "video\tquorum\ttrue", "video.dead\tquorum\ttrue"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the queues:\n%s", diff)
	}
}

func theAdministrator(t *testing.T, s *services) {
	db := testserver.MySQL(t)
	script, err := testserver.InitSQL()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := db.SQL(script); err != nil {
		t.Fatalf("init.sql: %v: %s", err, out)
	}
	s.sid(t).login(t)

	p := &person{suite: s.suite, email: newAddress(), password: password}
	if got := s.admin(t, password, "user", "add", p.email); got != "added "+p.email+"\n" {
		t.Errorf("auth user add printed %q", got)
	}
	p.login(t)
	// The original's own query.
	row, err := db.SQL("SELECT email, password FROM auth.user WHERE email='" + p.email + "'")
	if email, hash, _ := strings.Cut(strings.TrimSpace(row), "\t"); err != nil || email != p.email || !strings.HasPrefix(hash, "$argon2id$") {
		t.Errorf("the row: %q, %v", row, err)
	}
	p.password = "another " + password
	s.admin(t, p.password, "user", "passwd", p.email)
	p.login(t)
	if got := s.admin(t, "", "user", "list"); !strings.Contains(got, p.email) || strings.Contains(got, "$argon2") {
		t.Errorf("auth user list printed:\n%s", got)
	}
	s.admin(t, "", "user", "delete", p.email)
	send(t, request{base: p.URL, method: "POST", path: "/login", auth: basic(p.email, p.password)}).is(t, 401, "invalid credentials")
}

// admin runs a sub-command of auth with a password on its standard input.
func (s *services) admin(t *testing.T, in string, args ...string) string {
	t.Helper()
	cmd := exec.Command(program(t, "auth"), args...)
	cmd.Stdin, cmd.Env = strings.NewReader(in), append(s.database(), quickEnd)
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
