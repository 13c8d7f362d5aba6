package testsuite

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"mp3converter/internal/mysql"
	"mp3converter/internal/testserver"
)

// rabbitmq is the broker of the whole test process; each suite has a virtual host of its own.
var rabbitmq = sync.OnceValues(testserver.StartRabbitMQ)

// NewVhost returns the URL of an empty virtual host.
func NewVhost(t testing.TB) string {
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

// Ctl runs rabbitmqctl in the services' virtual host.
func (s *Services) Ctl(t *testing.T, command string, args ...string) string {
	t.Helper()
	broker, err := rabbitmq()
	if err != nil {
		t.Fatal(err)
	}
	host := s.Broker[strings.LastIndexByte(s.Broker, '/')+1:]
	out, err := broker.Ctl(append([]string{command, "--vhost", host}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// The secrets are as long as such must be at least.
const (
	JWTSecret  = "0123456789abcdef0123456789abcdef"
	LinkSecret = "fedcba9876543210fedcba9876543210"
)

// Servers says where the four services find what they need.
type Servers struct {
	MySQL   string // host:port
	Rabbit  string // URL
	MongoDB string // URI
	SMTP    *testserver.SMTP
}

// Services are the four commands, and how to start each of them again.
type Services struct {
	*Suite
	At       Servers
	Broker   string    // URL for others, the same virtual host
	Programs *Programs // what to start
	Settings []string  // KEY=value, of every service; they win over what is said here

	t        *testing.T // the services end with it
	authAddr string     // the gateway knows it, so auth keeps it

	Auth, Gateway, Converter, Notification *Process // the last of each that was started
}

// everyday are the settings of all services: the defaults, but for what only makes tests wait.
var everyday = []string{
	"OPS_LISTEN=127.0.0.1:0", "DRAIN_SECONDS=0", "LEASE_SECONDS=30", "CLOCK_SKEW_SECONDS=0", "RING_SECONDS=1",
	"REMIND_SECONDS=3", "REMIND_MAX_SECONDS=3", "RETRY_SECONDS=1", "MAIL_RETRY_SECONDS=1",
}

// start starts a service with the given settings, then those that were asked for.
func (s *Services) start(name string, settings []string, more []string) *Process {
	s.t.Helper()
	stores := []string{"MONGODB_URI=" + s.At.MongoDB, "RABBITMQ_URL=" + s.At.Rabbit}
	return Start(s.t, s.Programs.Path(s.t, name), slices.Concat(everyday, stores, settings, s.Settings, more))
}

// StartAuth starts auth, where the gateway looks for it.
func (s *Services) StartAuth(more ...string) {
	s.t.Helper()
	s.Auth = s.start("auth", append(s.Database(), "LISTEN="+s.authAddr, "JWT_SECRET="+JWTSecret, "OPERATORS="+Operator), more)
	s.Auth.Serving(s.t, "http")
	s.AuthURL = "http://" + s.authAddr
}

// Database is where the user table is; the rest is the default.
func (s *Services) Database() []string {
	host, port, _ := net.SplitHostPort(s.At.MySQL)
	return []string{"MYSQL_HOST=" + host, "MYSQL_PORT=" + port, "MYSQL_PASSWORD=" + testserver.MySQLPassword}
}

// StartGateway starts a gateway, which is the suite's from then on.
func (s *Services) StartGateway(more ...string) {
	s.t.Helper()
	s.Gateway = s.start("gateway", []string{
		"LISTEN=127.0.0.1:0", "AUTH_SVC_ADDRESS=" + s.authAddr, "SWEEP_SECONDS=0.5", "MAX_UPLOAD_BYTES=" + strconv.Itoa(MaxUpload),
		"LINK_SECRET=" + LinkSecret,
	}, more)
	addr := s.Gateway.Serving(s.t, "http")
	gateways.Store(addr, true)
	s.URL = "http://" + addr
}

// StartConverter starts a converter.
func (s *Services) StartConverter(more ...string) {
	s.t.Helper()
	s.Converter = s.start("converter", []string{"WORKERS=2"}, more)
}

// StartNotification starts a notification.
func (s *Services) StartNotification(more ...string) {
	s.t.Helper()
	s.Notification = s.start("notification", append(MailSettings(s.At.SMTP), "LINK_SECRET="+LinkSecret), more)
}

// MailSettings lead to a mail server. There is no BASE_URL: the default is the contract's host.
func MailSettings(server *testserver.SMTP) []string {
	return []string{
		"SMTP_HOST=" + server.Host, "SMTP_PORT=" + strconv.Itoa(server.Port), "SMTP_CA_FILE=" + server.CAFile,
		"SMTP_USER=" + Sender, "SMTP_PASSWORD=" + MailPassword, "GMAIL_ADDRESS=" + Sender,
	}
}

// MailPassword is what the mail server wants of whoever sends.
const MailPassword = "app password"

// MaxUpload is what both suites take, in bytes, so that a test can send more.
const MaxUpload = 8 << 20

// NewServices prepares the four services; nothing runs yet.
func NewServices(t *testing.T, at Servers) *Services {
	t.Helper()
	s := &Services{Suite: &Suite{Secret: JWTSecret}, At: at, Broker: at.Rabbit, Programs: Release, t: t, authAddr: FreeAddr(t)}
	s.Mails = func(t testing.TB, to string) []Letter { return delivered(t, at.SMTP, to) }
	return s
}

// In returns the services as a part of their test sees them: what is started by it ends with that part.
func (s *Services) In(t *testing.T) *Services {
	in, suite := *s, *s.Suite
	in.t, in.Suite = t, &suite
	return &in
}

// Beside returns the services as In does, with an address of its own for auth: what is started by it is another replica.
func (s *Services) Beside(t *testing.T) *Services {
	in := s.In(t)
	in.authAddr = FreeAddr(t)
	return in
}

// StartAll starts the four in an order that helps nobody.
func (s *Services) StartAll() {
	s.t.Helper()
	s.StartNotification()
	s.StartConverter()
	s.StartGateway()
	s.StartAuth()
}

// AllReady waits for all four.
func (s *Services) AllReady(t *testing.T) {
	t.Helper()
	for _, p := range []*Process{s.Auth, s.Gateway, s.Converter, s.Notification} {
		Eventually(t, p.Name+" is ready", func() bool { return p.Ready(t).Body == "ready" })
	}
}

// FourServices starts the services over real servers, and returns when all are ready.
func FourServices(t *testing.T) *Services {
	t.Helper()
	s := NewServices(t, Servers{
		MySQL: testserver.MySQL(t).Addr, Rabbit: NewVhost(t), MongoDB: NewMongoDB(t).URI(), SMTP: MailServer(t),
	})
	s.Users = UserTable(t, s.At.MySQL)
	s.StartAll()
	s.AllReady(t)
	return s
}

// NewMongoDB starts a server of the suite's own: where two suites share one, each one's sweepers ring for the other's jobs, and its
// workers take them.
func NewMongoDB(t *testing.T) *testserver.FerretDB {
	t.Helper()
	ferret, err := testserver.StartFerretDB()
	if err != nil {
		t.Fatal(err)
	}
	return ferret
}

// MailServer is one like Gmail: STARTTLS, and a password.
func MailServer(t *testing.T) *testserver.SMTP {
	t.Helper()
	return testserver.StartSMTP(t, testserver.SMTPOptions{User: Sender, Password: MailPassword})
}

// UserTable opens the database as auth does.
func UserTable(t *testing.T, addr string) *mysql.DB {
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
func delivered(t testing.TB, from *testserver.SMTP, to string) []Letter {
	t.Helper()
	var letters []Letter
	for _, r := range from.Mails() {
		if len(r.To) != 1 || r.To[0] != to {
			continue
		}
		if r.From != Sender || r.User != Sender || !r.TLS {
			t.Errorf("the mail came from %q, logged in as %q, encrypted %v", r.From, r.User, r.TLS)
		}
		m := testserver.ReadMail(t, r)
		// Programs of old look for the line in what comes, undecoded.
		if first, _, _ := strings.Cut(m.Body, "\n"); m.Subject == "MP3 Download" && !strings.Contains(r.Data, "\r\n\r\n"+first+"\r\n") {
			t.Errorf("the mail's text is not as programs look for it:\n%s", r.Data)
		}
		if m.HTML == "" {
			t.Errorf("the mail has no HTML:\n%s", r.Data)
		}
		date, err := m.Header.Date()
		if err != nil {
			t.Errorf("the mail's date: %v", err)
		}
		letters = append(letters, Letter{
			From: bare(m.Header.Get("From")), To: bare(m.Header.Get("To")), Subject: m.Subject, Body: m.Body, HTML: m.HTML,
			ID: bare(m.Header.Get("Message-ID")), Date: date,
		})
	}
	return letters
}

func bare(s string) string { return strings.Trim(s, "<>") }
