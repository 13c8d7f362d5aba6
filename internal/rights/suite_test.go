package rights

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	amqp "github.com/rabbitmq/amqp091-go"

	"mp3converter/internal/job"
	"mp3converter/internal/mongodb"
	"mp3converter/internal/testmedia"
	"mp3converter/internal/testserver"
	"mp3converter/internal/testsuite"
)

// installation is the four services, each as its own user at the broker, and each behind a tap of its own at MongoDB.
type installation struct {
	*testsuite.Services
	t    *testing.T
	env  map[string][]string // by service
	taps map[string]*wiretap

	// The administrator's.
	ch     *amqp.Channel
	stores *mongodb.Client
}

func install(t *testing.T) *installation {
	t.Helper()
	r := rabbitmq(t)
	ferret, err := testserver.StartFerretDB()
	if err != nil {
		t.Fatal(err)
	}
	s := testsuite.NewServices(t, testsuite.Servers{
		MySQL: testserver.MySQL(t).Addr, Rabbit: r.URL(), MongoDB: ferret.URI(), SMTP: testsuite.MailServer(t),
	})
	s.Programs = testsuite.WithFailpoints
	s.Users = testsuite.UserTable(t, s.At.MySQL)
	in := &installation{Services: s, t: t, env: map[string][]string{}, taps: map[string]*wiretap{}}
	for service := range mongodb.Roles {
		w := tap(t, ferret.Addr)
		in.taps[service] = w
		in.env[service] = []string{"MONGODB_URI=mongodb://" + w.Addr + "/?directConnection=true", "RABBITMQ_URL=" + brokerOf(t, r, service), testsuite.AllowReceivers}
	}
	if in.stores, err = mongodb.Connect(ferret.URI(), t.Name()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.stores.Close(context.WithoutCancel(t.Context())) })
	if in.ch, err = administrator(t, r).Channel(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, queue := range queues {
			_, _ = in.ch.QueueDelete(queue, false, false, false)
		}
	})
	return in
}

// operate runs a sub-command of the gateway's, as kubectl exec does.
func (in *installation) operate(args ...string) string {
	in.t.Helper()
	cmd := exec.Command(in.Programs.Path(in.t, "gateway"), args...)
	cmd.Env = append(slices.Clone(in.env["gateway"]), testsuite.QuickEnd)
	out, err := cmd.CombinedOutput()
	if err != nil {
		in.t.Fatalf("gateway %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// put sends a message to a queue as the original's services do.
func (in *installation) put(queue, body string) {
	in.t.Helper()
	err := in.ch.PublishWithContext(in.t.Context(), "", queue, true, false, amqp.Publishing{Body: []byte(body), DeliveryMode: amqp.Persistent})
	if err != nil {
		in.t.Fatal(err)
	}
}

// store keeps a file of no job, as the original's services do.
func (in *installation) store(to *mongodb.Files, file string) (id string) {
	in.t.Helper()
	f, err := to.Put(in.t.Context(), job.File{ID: job.NewID(time.Now())}, strings.NewReader(testsuite.Read(in.t, file)))
	if err != nil {
		in.t.Fatal(err)
	}
	return f.ID
}

// adoption is messages of the original's.
func (in *installation) adoption() {
	in.t.Helper()
	p := in.Someone(in.t)
	video := in.store(in.stores.Videos(), testsuite.Clip(in.t))
	in.put("video", `{"video_fid": "`+video+`", "mp3_fid": null, "username": "`+p.Email+`"}`)
	p.Mailed(in.t, 1)
	video = job.NewID(time.Now())
	mp3 := in.store(in.stores.MP3s(), testmedia.Clip(in.t, testmedia.Spec{Ext: "mp3"}))
	in.put("mp3", `{"video_fid": "`+video+`", "mp3_fid": "`+mp3+`", "username": "`+p.Email+`"}`)
	p.Mailed(in.t, 2)
}

// deadLetters are buried by their consumers, sent once more by an operator, buried again, and discarded.
func (in *installation) deadLetters() {
	in.t.Helper()
	in.put("video", "no message")
	in.put("mp3", "no message either")
	both := func() bool {
		list := in.operate("dead", "list")
		return strings.Contains(list, "no message either") && strings.Count(list, "no message") == 2
	}
	testsuite.Eventually(in.t, "two dead letters", both)
	in.operate("dead", "replay", "--all")
	testsuite.Eventually(in.t, "two dead letters again", both)
	in.operate("dead", "discard", "--all")
	if list := in.operate("dead", "list"); strings.Contains(list, "no message") {
		in.t.Errorf("discarded, and still there:\n%s", list)
	}
}

// inParts is an upload of which a gateway stores a part and fails to note it; so that is stored once more, in its place.
func (in *installation) inParts(p *testsuite.Person) {
	in.t.Helper()
	video := testsuite.Read(in.t, testsuite.Clip(in.t))
	length := strconv.Itoa(len(video))
	tus := http.Header{"Tus-Resumable": {"1.0.0"}, "Upload-Length": {length}}
	a := p.Do(in.t, testsuite.Request{Method: http.MethodPost, Path: "/uploads/", Header: tus})
	at := a.Header.Get("Location")
	tus = http.Header{"Tus-Resumable": {"1.0.0"}, "Upload-Offset": {"0"}, "Content-Type": {"application/offset+octet-stream"}}
	for _, want := range []int{http.StatusServiceUnavailable, http.StatusNoContent} {
		a := p.Do(in.t, testsuite.Request{Method: http.MethodPatch, Path: at, Header: tus, Body: strings.NewReader(video)})
		a.Is(in.t, want, a.Body)
	}
	p.Reaches(in.t, strings.TrimPrefix(at, "/uploads/"), "done")
	p.Mailed(in.t, 2)
}

// free are the commands that MongoDB lets everybody do who is logged in, of cursors their own ones.
var free = []string{"hello", "isMaster", "ping", "buildInfo", "endSessions", "killCursors", "saslStart", "saslContinue"}

// action is what a role must have for the others, as MongoDB documents it.
var action = map[string]string{
	"find": "find", "getMore": "find", "aggregate": "find", "count": "find", // no aggregation of ours writes
	"insert": "insert", "update": "update", "delete": "remove", "createIndexes": "createIndex",
}

// needed is what the commands need, in the words of uses.
func needed(t *testing.T, w *wiretap) []string {
	t.Helper()
	all := map[string]bool{}
	for c := range w.seen(t) {
		switch on := c.Database + "." + c.Collection; {
		case slices.Contains(free, c.Name), c.Collection == "turns": // turns are taken at FerretDB only
		case action[c.Name] == "":
			t.Errorf("nobody knows what %v needs", c)
		default:
			all[action[c.Name]+" "+on] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// uses is what a role allows.
func uses(service string) []string {
	var all []string
	for _, p := range mongodb.Roles[service] {
		for _, action := range p.Actions {
			all = append(all, fmt.Sprintf("%s %s.%s", action, p.Database, p.Collection))
		}
	}
	slices.Sort(all)
	return all
}

// The services do all that they can do, with the rights of manifests/; whoever then lacks one, or has one that nobody used,
// is told.
func TestTheServicesGetByWithTheirRights(t *testing.T) {
	in := install(t)
	fired := filepath.Join(t.TempDir(), "fired")
	in.StartNotification(in.env["notification"]...)
	// The first MP3 is not stored after all, and taken back.
	in.StartConverter(append(in.env["converter"], "FAILPOINT=file-stored:error@1", "FAILPOINT_FIRED="+fired)...)
	in.StartGateway(append(in.env["gateway"], "FAILPOINT=offset-due:error@1", "FAILPOINT_FIRED="+fired+" too")...)
	in.StartAuth()
	in.AllReady(t)
	p := in.Someone(t)

	endWebhook := in.webhook(t, p)
	done := p.Upload(t, testsuite.Clip(t), "vid_1.mp4")
	mp3 := testsuite.OrEmpty(p.Reaches(t, done, "done").MP3)
	testsuite.Lasts(t, p.Download(t, mp3), testmedia.Duration(t, testsuite.Clip(t)))
	p.Mailed(t, 1)

	in.inParts(p)
	endWebhook()

	silent := p.Upload(t, testmedia.Clip(t, testmedia.Spec{Audio: testmedia.None}), "silent.mp4")
	p.Reaches(t, silent, "failed")
	p.Do(t, testsuite.Request{Method: http.MethodPost, Path: "/jobs/" + silent + "/retry"})
	p.Reaches(t, silent, "failed")
	p.Do(t, testsuite.Request{Method: http.MethodDelete, Path: "/jobs/" + done})

	large := make([]byte, testsuite.MaxUpload+1)
	p.Post(t, "/upload", nil, testsuite.FilePart("file", "large.mp4", large))
	in.adoption()
	in.deadLetters()
	in.operate("jobs", "list")
	in.operate("gc", "--older-than", "1h")
	testsuite.Eventually(t, "the deleted job's MP3 is gone", func() bool {
		_, _, err := in.stores.MP3s().Open(t.Context(), mp3)
		return errors.Is(err, fs.ErrNotExist)
	})
	for service, w := range in.taps {
		if diff := cmp.Diff(uses(service), needed(t, w)); diff != "" {
			t.Errorf("the role of %s (-), and what it has done (+):\n%s", service, diff)
		}
	}
}
