package attacks

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"mp3converter/internal/checker"
	"mp3converter/internal/sandbox"
	"mp3converter/internal/testserver"
	"mp3converter/internal/testsuite"
	"mp3converter/internal/user"
)

// ground is the suite that all rows attack, with somebody in it who has something to lose.
type ground struct {
	*testsuite.Services
	strict string // URL of another gateway of the same suite, with small limits
	db     *mongo.Client

	victim   *testsuite.Person
	operator *testsuite.Person // by auth's setting; in no user table
	done     testsuite.JobView // the victim's, with an MP3
	failed   testsuite.JobView // the victim's too

	places atomic.Uint32 // of clients, handed out so far
	mu     sync.Mutex
	kept   map[string]int // jobs that each row has made on purpose, by owner
}

// What the strict gateway allows, so that rows need not send much or wait for long.
const (
	strictUpload = 100_000
	strictQuota  = 1_000_000
	strictStall  = 6 * time.Second // more than who sends may stand still for
	longest      = time.Minute     // of sound
)

func newGround(t *testing.T) *ground {
	t.Helper()
	g := &ground{kept: map[string]int{}}
	g.Services = testsuite.NewServices(t, testsuite.Servers{
		MySQL: testserver.MySQL(t).Addr, Rabbit: testsuite.NewVhost(t), MongoDB: testserver.MongoDB(t), SMTP: testsuite.MailServer(t),
	})
	g.Users = testsuite.UserTable(t, g.At.MySQL)
	// Both gateways ask auth from this address. Clients come from other ones, so nobody believes what they say of themselves.
	const gateways = "TRUSTED_PROXIES=127.0.0.1/32"
	whole := "SANDBOX=required"
	if err := sandbox.Complete(); err != nil {
		t.Logf("NOT in a whole sandbox: %v", err)
		whole = "SANDBOX=best"
	}
	// What a busy store has left is gone soon; webhooks may lead to our own receivers, and nowhere else that is not public.
	g.Settings = []string{"UPLOAD_LEASE_SECONDS=15", testsuite.AllowReceivers, "WEBHOOK_POLL_SECONDS=0.2"}
	g.StartNotification()
	g.StartConverter(whole, "MAX_DURATION_SECONDS="+strconv.Itoa(int(longest.Seconds())))
	g.StartGateway(gateways)
	g.operator = &testsuite.Person{Suite: g.Suite, Email: testsuite.Operator}
	g.operator.Token = sign(hs256, claims(g.operator.Email, ""))
	g.StartAuth(gateways)
	g.AllReady(t)
	in := g.In(t)
	in.StartGateway(gateways, fmt.Sprintf("MAX_UPLOAD_BYTES=%d", strictUpload), fmt.Sprintf("QUOTA_BYTES=%d", strictQuota),
		fmt.Sprintf("STALL_SECONDS=%g", strictStall.Seconds()))
	g.strict = in.URL

	var err error
	if g.db, err = mongo.Connect(options.Client().ApplyURI(g.At.MongoDB)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.db.Disconnect(context.Background()) })

	g.victim = g.Add(t, user.User{Password: testsuite.Hashed(), Admin: true})
	g.victim.Token = sign(hs256, claims(g.victim.Email, ""))
	clip := testsuite.Clip(t)
	g.kept[g.victim.Email] = 2
	g.done = g.victim.Reaches(t, g.victim.Upload(t, clip, "holiday.mp4"), "done")
	g.failed = g.victim.Reaches(t, g.victim.Upload(t, testsuite.Saved(t, ".mp4", "no video"), "note.mp4"), "failed")
	return g
}

// processes are all that may not be harmed.
func (g *ground) processes() []*testsuite.Process {
	return []*testsuite.Process{g.Auth, g.Gateway, g.Converter, g.Notification}
}

// jobs is how many jobs somebody has. What an upload that failed has left, while the store was too busy to undo it, is no job:
// asBefore waits until the sweeper has removed that, too.
func (g *ground) jobs(t testing.TB, owner string) int {
	t.Helper()
	n, err := g.db.Database("jobs").Collection("jobs").CountDocuments(t.Context(), bson.D{
		{Key: "owner", Value: owner}, {Key: "state", Value: bson.D{{Key: "$nin", Value: bson.A{"uploading", "deleted"}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return int(n)
}

// asBefore fails the test unless, once all is at rest, there is nothing but what rows have stored on purpose, and nothing has
// happened that an operator would have to look at.
func (g *ground) asBefore(t *testing.T) {
	t.Helper()
	var wrong []string
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(time.Second) {
		wrong = g.left(t)
		if len(wrong) == 0 || time.Now().After(deadline) {
			break
		}
	}
	for _, w := range wrong {
		t.Error(w)
	}
	for _, p := range g.processes() {
		if p.Ended() {
			t.Errorf("%s has ended", p.Name)
		}
	}
	if all := children(t, g.Converter); len(all) > 0 {
		t.Errorf("the converter has left children: %v", all)
	}
	for _, p := range []*testsuite.Process{g.Auth, g.Gateway, g.Notification} { // files do crash ffmpeg
		troubles := slices.DeleteFunc(p.Troubles(), func(line string) bool { // a suite that has too much to do
			return testsuite.IsHeldUp(line) || strings.Contains(line, "deadline exceeded")
		})
		if len(troubles) > 0 {
			t.Errorf("%s has said:\n%s", p.Name, strings.Join(troubles, ""))
		}
	}
	for _, m := range g.At.SMTP.Mails() {
		if head, _, _ := strings.Cut(m.Data, "\r\n\r\n"); len(m.To) != 1 || strings.Contains(strings.ToLower("\n"+head), "\nbcc:") || strings.Contains(strings.ToLower("\n"+head), "\ncc:") {
			t.Errorf("a mail to %q:\n%s", m.To, head)
		}
	}
}

// children are the processes that a process has started and that are there.
func children(t testing.TB, p *testsuite.Process) (all []string) {
	t.Helper()
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", p.PID()))
	if err != nil || len(lists) == 0 {
		t.Fatalf("children of %s: %v", p.Name, err)
	}
	for _, list := range lists {
		pids, _ := os.ReadFile(list) // a thread may have ended
		all = append(all, strings.Fields(string(pids))...)
	}
	return all
}

// left is what is there and should not be.
func (g *ground) left(t *testing.T) (wrong []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	s, err := checker.Look(ctx, g.db)
	if err != nil {
		return []string{err.Error()}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	owners, videos, mp3s := map[string]int{}, map[string]bool{}, map[string]bool{}
	for _, j := range s.Jobs {
		if j.State == "deleted" { // of an upload that was answered with 503, the store being slow: its files are gone, the sweeper looks once more in an hour
			continue
		}
		owners[j.Owner]++
		videos[j.ID] = true
		if j.MP3 != "" {
			mp3s[j.MP3] = true
		}
		if j.State != "done" && j.State != "failed" || j.Mail != "sent" {
			say("job %s of %s is %s, its mail %s", j.ID, j.Owner, j.State, j.Mail)
		}
	}
	for owner, n := range owners {
		if g.kept[owner] != n {
			say("%d jobs of %s, want %d", n, owner, g.kept[owner])
		}
	}
	for _, b := range []struct {
		checker.Bucket
		named map[string]bool
	}{{s.Videos, videos}, {s.MP3s, mp3s}} {
		there := map[string]bool{}
		for _, f := range b.Files {
			there[f.ID.Hex()] = true
			if !b.named[f.ID.Hex()] {
				say("file %s in %s belongs to no job", f.ID.Hex(), b.Name)
			}
		}
		for _, c := range b.Chunks {
			if !there[c.File.Hex()] {
				say("a chunk of %s in %s belongs to no file", c.File.Hex(), b.Name)
			}
		}
	}
	queues, dead, err := checker.LookAtQueues(g.Broker)
	if err != nil {
		say("%v", err)
	}
	for _, q := range queues {
		if q.Ready != 0 {
			say("%d messages wait in %s", q.Ready, q.Name)
		}
	}
	for _, d := range dead {
		say("a dead letter in %s: %s", d.Queue, d.Body)
	}
	return wrong
}

// peak is the most memory that the process has ever had, in bytes.
func peak(t testing.TB, p *testsuite.Process) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kib int64
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		t.Fatal(err)
	}
	return kib << 10
}
