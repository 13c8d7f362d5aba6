package testserver

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// SMTP is a mail server in the test's own process. It keeps what it accepts and misbehaves as the test tells it.
type SMTP struct {
	Host   string         // what its certificate names
	Port   int            // of 127.0.0.1
	CA     *x509.CertPool // trusts its certificate, which nobody else does
	CAFile string         // the same as PEM, for other processes

	options SMTPOptions
	server  *smtp.Server
	closing chan struct{} // closed at the end: whoever stalls goes on

	mu     sync.Mutex
	mails  []Received
	script map[Step][]Act
	always map[Step]Act
	came   map[Step]int
	drip   time.Duration
	dials  int
	clear  []byte
}

// SMTPOptions say what kind of mail server it is. The zero value offers STARTTLS and asks for no credentials.
type SMTPOptions struct {
	Implicit       bool   // TLS from the first byte, as on port 465
	NoTLS          bool   // no STARTTLS
	User, Password string // wanted before MAIL, unless empty
	ClearAuth      bool   // offers AUTH without TLS too
	CertFor        string // the only host its certificate names, to be a wrong one; default 127.0.0.1 and localhost
}

// Received is a mail as the server accepted it.
type Received struct {
	From string
	To   []string
	Data string // headers and body, lines end in CRLF
	User string // who logged in, if anybody
	TLS  bool
}

// Step is a point of the dialogue at which the server can misbehave.
type Step string

// The steps, in order.
const (
	AtGreeting  Step = "greeting" // not with Implicit
	AtAuth      Step = "auth"
	AtMail      Step = "mail"
	AtRcpt      Step = "rcpt"
	AtData      Step = "data"       // the whole mail has come and is not kept yet
	AfterData   Step = "after data" // the mail is kept and the client not told yet
	AfterAccept Step = "accepted"   // the client has been told 250
)

// Act is what the server does at a step instead of going on.
type Act struct {
	code  int
	text  string
	drop  bool
	stall bool
}

// Say answers with a code and text, as Say(451, "4.7.1 greylisted").
func Say(code int, text string) Act { return Act{code: code, text: text} }

// Drop closes the connection without a word.
func Drop() Act { return Act{drop: true} }

// Stall says nothing until the server ends.
func Stall() Act { return Act{stall: true} }

// Pass goes on as if nothing was told.
func Pass() Act { return Act{} }

// StartSMTP starts a mail server that ends with the test.
func StartSMTP(tb testing.TB, o SMTPOptions) *SMTP {
	tb.Helper()
	s := &SMTP{
		Host: "127.0.0.1", options: o, closing: make(chan struct{}),
		script: map[Step][]Act{}, always: map[Step]Act{}, came: map[Step]int{},
	}
	cert := s.certify(tb)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	s.Port = listener.Addr().(*net.TCPAddr).Port
	s.server = smtp.NewServer(smtp.BackendFunc(s.session))
	s.server.Domain = "mail.test"
	s.server.ErrorLog = log.New(io.Discard, "", 0)
	s.server.AllowInsecureAuth = o.ClearAuth
	config := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	listener = &eavesdropper{listener, s}
	if o.Implicit {
		listener = tls.NewListener(listener, config)
	} else if !o.NoTLS {
		s.server.TLSConfig = config
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = s.server.Serve(listener) // ends when closed
	}()
	tb.Cleanup(func() {
		close(s.closing)
		_ = s.server.Close()
		_ = listener.Close() // which Serve may not have been given yet
		<-served
	})
	return s
}

// Addr is host:port.
func (s *SMTP) Addr() string { return net.JoinHostPort(s.Host, strconv.Itoa(s.Port)) }

// At makes the server act so the next times it comes to the step, once for each act, and behave again after that.
func (s *SMTP) At(step Step, acts ...Act) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script[step] = append(s.script[step], acts...)
}

// Always makes the server act so whenever it comes to the step and At has nothing else for it.
func (s *SMTP) Always(step Step, act Act) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.always[step] = act
}

// Drip makes a tar-pit of the server: it sends one byte at a time, that far apart.
func (s *SMTP) Drip(apart time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drip = apart
}

// Mails returns what was accepted so far.
func (s *SMTP) Mails() []Received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Received(nil), s.mails...)
}

// Dials is how many connections were made so far.
func (s *SMTP) Dials() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dials
}

// Came is how often a client has come to the step.
func (s *SMTP) Came(step Step) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.came[step]
}

// Clear is all that clients have sent, as somebody on the wire sees it.
func (s *SMTP) Clear() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.clear)
}

// next takes the act that is due at the step.
func (s *SMTP) next(step Step) Act {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.came[step]++
	acts := s.script[step]
	if len(acts) == 0 {
		return s.always[step]
	}
	s.script[step] = acts[1:]
	return acts[0]
}

// play does what is due at the step; an error is what the client is told, if it still listens.
func (s *SMTP) play(step Step, c net.Conn) error {
	act := s.next(step)
	if act.stall {
		<-s.closing
	}
	if act.drop || act.stall {
		_ = c.Close()
		return net.ErrClosed
	}
	if act.code != 0 {
		return &smtp.SMTPError{Code: act.code, EnhancedCode: smtp.NoEnhancedCode, Message: act.text}
	}
	return nil
}

func (s *SMTP) session(c *smtp.Conn) (smtp.Session, error) { return &session{server: s, conn: c}, nil }

// session is one client's dialogue.
type session struct {
	server   *SMTP
	conn     *smtp.Conn
	user     string
	mail     Received
	accepted bool // the mail before the next Reset
}

var _ smtp.AuthSession = (*session)(nil)

func (s *session) play(step Step) error { return s.server.play(step, s.conn.Conn()) }

func (s *session) AuthMechanisms() []string {
	if s.server.options.User == "" {
		return nil
	}
	return []string{sasl.Plain}
}

func (s *session) Auth(string) (sasl.Server, error) {
	if err := s.play(AtAuth); err != nil {
		return nil, err
	}
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != s.server.options.User || password != s.server.options.Password {
			return smtp.ErrAuthFailed
		}
		s.user = user
		return nil
	}), nil
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	if s.server.options.User != "" && s.user == "" {
		return &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "Authentication required"}
	}
	_, encrypted := s.conn.TLSConnectionState()
	s.mail = Received{From: from, User: s.user, TLS: encrypted}
	return s.play(AtMail)
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.mail.To = append(s.mail.To, to)
	return s.play(AtRcpt)
}

func (s *session) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if err := s.play(AtData); err != nil {
		return err
	}
	s.mail.Data = string(data)
	s.server.keep(s.mail)
	s.accepted = true
	return s.play(AfterData)
}

// Reset is called after the answer to Data, among others.
func (s *session) Reset() {
	if s.accepted {
		s.accepted = false
		_ = s.play(AfterAccept) // nothing more can be said
	}
}

func (s *session) Logout() error { return nil }

func (s *SMTP) keep(m Received) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mails = append(s.mails, m)
}
