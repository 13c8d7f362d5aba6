package stories

import (
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"

	"mp3converter/internal/mysql"
	"mp3converter/internal/testserver"
)

// rabbitmq is the broker of the whole test process; each suite has a virtual host of its own.
var rabbitmq = sync.OnceValues(testserver.StartRabbitMQ)

// newVhost returns the URL of an empty virtual host.
func newVhost(t testing.TB) string {
	t.Helper()
	broker, err := rabbitmq()
	if err != nil {
		t.Fatal(err)
	}
	address, err := broker.NewVhost()
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// ctl runs rabbitmqctl in the services' virtual host.
func (s *services) ctl(t *testing.T, command string, args ...string) string {
	t.Helper()
	broker, err := rabbitmq()
	if err != nil {
		t.Fatal(err)
	}
	host := s.broker[strings.LastIndexByte(s.broker, '/')+1:]
	out, err := broker.Ctl(append([]string{command, "--vhost", host}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// jwtSecret is as long as a secret must be at least.
const jwtSecret = "0123456789abcdef0123456789abcdef"

// servers says where the four services find what they need.
type servers struct {
	mysql   string // host:port
	rabbit  string // URL
	mongodb string // URI
	smtp    *testserver.SMTP
}

// services are the four commands, and how to start each of them again.
type services struct {
	*suite
	t        *testing.T // they end with it
	at       servers
	broker   string // URL for others, the same virtual host
	authAddr string // the gateway knows it, so auth keeps it

	auth, gateway, converter, notification *process
}

// everyday are the settings of all services: the defaults, but for what only makes tests wait.
func (s *services) everyday() []string {
	return []string{
		"OPS_LISTEN=127.0.0.1:0", "DRAIN_SECONDS=0",
		"MONGODB_URI=" + s.at.mongodb, "RABBITMQ_URL=" + s.at.rabbit,
		"LEASE_SECONDS=30", "CLOCK_SKEW_SECONDS=0", "RING_SECONDS=1", "REMIND_SECONDS=3", "REMIND_MAX_SECONDS=3", "RETRY_SECONDS=1", "MAIL_RETRY_SECONDS=1",
	}
}

func (s *services) startAuth() {
	s.t.Helper()
	s.auth = start(s.t, "auth", append(s.database(), "OPS_LISTEN=127.0.0.1:0", "DRAIN_SECONDS=0", "LISTEN="+s.authAddr, "JWT_SECRET="+jwtSecret))
	s.auth.serving(s.t, "http")
	s.Auth = "http://" + s.authAddr
}

// database is where the user table is; the rest is the default.
func (s *services) database() []string {
	host, port, _ := net.SplitHostPort(s.at.mysql)
	return []string{"MYSQL_HOST=" + host, "MYSQL_PORT=" + port, "MYSQL_PASSWORD=" + testserver.MySQLPassword}
}

func (s *services) startGateway() {
	s.t.Helper()
	s.gateway = start(s.t, "gateway", append(s.everyday(),
		"LISTEN=127.0.0.1:0", "AUTH_SVC_ADDRESS="+s.authAddr, "SWEEP_SECONDS=0.5", "MAX_UPLOAD_BYTES="+strconv.Itoa(maxUpload)))
	s.URL = "http://" + s.gateway.serving(s.t, "http")
}

func (s *services) startConverter(more ...string) {
	s.t.Helper()
	s.converter = start(s.t, "converter", append(append(s.everyday(), "WORKERS=2"), more...))
}

func (s *services) startNotification() { s.startNotificationWith(s.at.smtp) }

func (s *services) startNotificationWith(server *testserver.SMTP) {
	s.t.Helper()
	s.notification = start(s.t, "notification", append(s.everyday(),
		"SMTP_HOST="+server.Host, "SMTP_PORT="+strconv.Itoa(server.Port), "SMTP_CA_FILE="+server.CAFile,
		"SMTP_USER="+sender, "SMTP_PASSWORD="+mailPassword, "GMAIL_ADDRESS="+sender)) // and no BASE_URL: the default is the contract's host
}

// mailPassword is what the mail server wants of whoever sends.
const mailPassword = "app password"

// maxUpload is what both suites take, in bytes, so that a test can send more.
const maxUpload = 8 << 20

// newServices prepares the four services; nothing runs yet.
func newServices(t *testing.T, at servers) *services {
	t.Helper()
	s := &services{suite: &suite{Secret: jwtSecret}, t: t, at: at, broker: at.rabbit, authAddr: quietAddr(t)}
	s.Mails = func(t testing.TB, to string) []letter { return delivered(t, at.smtp, to) }
	return s
}

// startAll starts the four in an order that helps nobody.
func (s *services) startAll() {
	s.t.Helper()
	s.startNotification()
	s.startConverter()
	s.startGateway()
	s.startAuth()
}

// allReady waits for all four.
func (s *services) allReady(t *testing.T) {
	t.Helper()
	for _, p := range []*process{s.auth, s.gateway, s.converter, s.notification} {
		eventually(t, p.name+" is ready", func() bool { return p.ready(t).body == "ready" })
	}
}

// fourServices starts the services over real servers, and returns when all are ready.
func fourServices(t *testing.T) *services {
	t.Helper()
	s := newServices(t, servers{
		mysql: testserver.MySQL(t).Addr, rabbit: newVhost(t), mongodb: testserver.MongoDB(t), smtp: mailServer(t),
	})
	s.Users = userTable(t, s.at.mysql)
	s.startAll()
	s.allReady(t)
	return s
}

// mailServer is one like Gmail: STARTTLS, and a password.
func mailServer(t *testing.T) *testserver.SMTP {
	t.Helper()
	return testserver.StartSMTP(t, testserver.SMTPOptions{User: sender, Password: mailPassword})
}

// userTable opens the database as auth does.
func userTable(t *testing.T, addr string) *mysql.DB {
	t.Helper()
	host, port, _ := net.SplitHostPort(addr)
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	db, err := mysql.Open(mysql.Config{
		Host: host, Port: number, User: testserver.MySQLUser, Password: testserver.MySQLPassword, Database: testserver.MySQLDatabase,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// delivered are the mails that the server has taken for somebody.
func delivered(t testing.TB, from *testserver.SMTP, to string) []letter {
	t.Helper()
	var letters []letter
	for _, r := range from.Mails() {
		if len(r.To) != 1 || r.To[0] != to {
			continue
		}
		if r.From != sender || r.User != sender || !r.TLS {
			t.Errorf("the mail came from %q, logged in as %q, encrypted %v", r.From, r.User, r.TLS)
		}
		m := testserver.ReadMail(t, r)
		if m.Subject == "MP3 Download" && !strings.HasSuffix(r.Data, "\r\n\r\n"+strings.ReplaceAll(m.Body, "\n", "\r\n")) {
			t.Errorf("the mail's text is not as programs look for it:\n%s", r.Data)
		}
		if media := m.Header.Get("Content-Type"); !strings.EqualFold(media, "text/plain; charset=UTF-8") {
			t.Errorf("the mail is %q, want text/plain", media)
		}
		date, err := m.Header.Date()
		if err != nil {
			t.Errorf("the mail's date: %v", err)
		}
		letters = append(letters, letter{
			From: bare(m.Header.Get("From")), To: bare(m.Header.Get("To")), Subject: m.Subject, Body: m.Body,
			ID: bare(m.Header.Get("Message-ID")), Date: date,
		})
	}
	return letters
}

func bare(s string) string { return strings.Trim(s, "<>") }
