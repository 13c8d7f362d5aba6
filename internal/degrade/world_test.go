package degrade

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"mp3converter/internal/testserver"
	"mp3converter/internal/testsuite"
)

// world is an installation whose servers can be taken from it, one by one.
type world struct {
	*testsuite.Services
	mysql  *testserver.MariaDB
	mongo  *testserver.FerretDB
	rabbit *testserver.Rabbit
	doors  struct{ mysql, mongo, rabbit, smtp *testsuite.Door }
	ffmpeg string // the program; it waits while there is a file of that name + .hold
}

// Servers that one group of rows freezes while all others use the shared ones. A FerretDB is everybody's own: services of
// another installation would take the jobs.
var (
	sharedRabbit = sync.OnceValues(testserver.StartRabbitMQ)
	frailRabbit  = sync.OnceValues(testserver.StartRabbitMQ)
	frailMySQL   = sync.OnceValues(func() (*testserver.MariaDB, error) {
		m, err := testserver.StartMariaDB()
		if err != nil {
			return m, err
		}
		return m, m.Init()
	})
)

// How long services wait for what is down, in the group that takes it down; in the others they have the defaults.
const (
	mongoTime   = 3 * time.Second
	confirmTime = 2 * time.Second
	authTime    = 2 * time.Second // no setting of the gateway
)

// newWorld starts an installation for a group of rows.
func newWorld(t *testing.T, group string) *world {
	t.Helper()
	broker, database := sharedRabbit, func() (*testserver.MariaDB, error) { return testserver.MySQL(t), nil }
	switch group {
	case "users":
		database = frailMySQL
	case "broker":
		broker = frailRabbit
	}
	w := &world{ffmpeg: holdableFFmpeg(t)}
	w.mysql, w.mongo, w.rabbit = started(t, database), started(t, testserver.StartFerretDB), started(t, broker)
	direct := vhost(t, w.rabbit)
	smtp := testsuite.MailServer(t)
	w.doors.mysql, w.doors.mongo = open(t, w.mysql.Addr), open(t, w.mongo.Addr)
	w.doors.rabbit, w.doors.smtp = open(t, direct.Host), open(t, smtp.Addr())
	w.Services = testsuite.NewServices(t, testsuite.Servers{
		MySQL: w.doors.mysql.Addr, MongoDB: "mongodb://" + w.doors.mongo.Addr + "/?directConnection=true",
		// A frozen broker is known by its silence: after three heartbeats.
		Rabbit: "amqp://" + direct.User.String() + "@" + w.doors.rabbit.Addr + direct.EscapedPath() + "?heartbeat=2",
		SMTP:   smtp,
	})
	_, smtpPort, _ := net.SplitHostPort(w.doors.smtp.Addr)
	w.Settings = []string{"SMTP_PORT=" + smtpPort, "FFMPEG=" + w.ffmpeg, "SANDBOX=off"} // a script
	switch group {
	case "store":
		w.Settings = append(w.Settings, fmt.Sprintf("MONGODB_TIMEOUT_SECONDS=%v", mongoTime.Seconds()))
	case "broker":
		w.Settings = append(w.Settings, fmt.Sprintf("CONFIRM_SECONDS=%v", confirmTime.Seconds()))
	case "work":
		w.Settings = append(w.Settings, "SMTP_TIMEOUT_SECONDS=2")
	}
	w.Users = testsuite.UserTable(t, w.mysql.Addr)
	w.StartAll()
	w.AllReady(t)
	return w
}

func started[S any](t *testing.T, start func() (S, error)) S {
	t.Helper()
	s, err := start()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func vhost(t *testing.T, broker *testserver.Rabbit) *url.URL {
	t.Helper()
	address, err := broker.NewVhost()
	if err != nil {
		t.Fatal(err)
	}
	at, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func open(t *testing.T, to string) *testsuite.Door {
	t.Helper()
	d := testsuite.NewDoor(t, to)
	d.Open(t)
	return d
}

// holdableFFmpeg is ffmpeg behind a barrier, so that a conversion can be under way for as long as a test wants.
func holdableFFmpeg(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "ffmpeg")
	script := fmt.Appendf(nil, "#!/bin/sh\nwhile [ -e %[1]s.hold ]; do : >%[1]s.held; sleep 0.1; done\nexec %[2]s \"$@\"\n", path, program)
	if err := os.WriteFile(path, script, 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// hold keeps conversions from going on, until release.
func (w *world) hold(t *testing.T) {
	t.Helper()
	_ = os.Remove(w.ffmpeg + ".held")
	if err := os.WriteFile(w.ffmpeg+".hold", nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (w *world) release() { _ = os.Remove(w.ffmpeg + ".hold") }

// held waits until a conversion has come to the barrier. A job is converting a moment before its ffmpeg runs, and the
// shell that holds it up must have opened its script before a test takes that away.
func (w *world) held(t *testing.T) {
	t.Helper()
	testsuite.Eventually(t, "ffmpeg is held up", func() bool { return os.Remove(w.ffmpeg+".held") == nil })
}

// programs are the four by name.
func (w *world) programs() map[string]*testsuite.Process {
	return map[string]*testsuite.Process{"auth": w.Auth, "gateway": w.Gateway, "converter": w.Converter, "notification": w.Notification}
}
