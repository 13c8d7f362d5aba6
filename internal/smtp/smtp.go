// Package smtp hands letters to a mail server, one connection for each. It tells whether another try can help; when to
// try again, and what a letter says, is left to package notification.
//
// The connection is encrypted and the certificate checked, always, unless the configuration says in so many words that
// there is no TLS; then there are no credentials either.
package smtp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/wneessen/go-mail"

	"mp3converter/internal/job"
	"mp3converter/internal/trail"
)

// TLS says how a connection is encrypted.
type TLS string

// The ways. None is for a mail catcher or a relay on the same host.
const (
	StartTLS TLS = "starttls" // the server must offer it
	Implicit TLS = "implicit" // from the first byte
	None     TLS = "none"
)

// ports are the customary ones.
var ports = map[TLS]int{StartTLS: 587, Implicit: 465, None: 25}

// mechanisms are the ways to log in, the best first. The connection is encrypted, so a plain password is not in clear.
var mechanisms = []mail.SMTPAuthType{
	mail.SMTPAuthSCRAMSHA256, mail.SMTPAuthSCRAMSHA1, mail.SMTPAuthPlain, mail.SMTPAuthLogin, mail.SMTPAuthCramMD5,
}

// Config says which mail server.
type Config struct {
	Host           string
	Port           int            // 0 is the customary one of TLS
	User, Password string         // empty: do not log in
	TLS            TLS            // "" is StartTLS
	RootCAs        *x509.CertPool // who may vouch for the server; nil is the system's list
	Timeout        time.Duration  // of a whole dialogue, whatever the server does; 0 is a minute
	HELO           string         // how we introduce ourselves; "" is the machine's name
}

// RootCAs returns the system's list with the certificates of a PEM file added.
func RootCAs(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file) //nolint:gosec // SMTP_CA_FILE
	if err != nil {
		return nil, err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // an image without a list
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: holds no certificate in PEM", file)
	}
	return pool, nil
}

// Sender sends letters. Its methods may be called in parallel.
type Sender struct {
	cfg  Config
	addr string
}

// New checks the configuration; it dials nobody.
func New(cfg Config) (*Sender, error) {
	if cfg.TLS == "" {
		cfg.TLS = StartTLS
	}
	if cfg.Port == 0 {
		cfg.Port = ports[cfg.TLS]
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = time.Minute
	}
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	return &Sender{cfg: cfg, addr: net.JoinHostPort(cfg.Host, strconv.Itoa(cfg.Port))}, nil
}

// validate names every mistake by the variable that makes it.
func (c Config) validate() error {
	var mistakes []error
	if c.Host == "" {
		mistakes = append(mistakes, errors.New("SMTP_HOST: must be set"))
	}
	if _, known := ports[c.TLS]; !known {
		mistakes = append(mistakes, fmt.Errorf("SMTP_TLS: %q is not one of %s, %s, %s", c.TLS, StartTLS, Implicit, None))
	} else if c.Port < 1 || c.Port > 65535 {
		mistakes = append(mistakes, fmt.Errorf("SMTP_PORT: %d is no port", c.Port))
	}
	if c.User != "" && c.TLS == None {
		mistakes = append(mistakes, errors.New("SMTP_USER: needs SMTP_TLS, a password is not sent in clear"))
	}
	if (c.User == "") != (c.Password == "") {
		mistakes = append(mistakes, errors.New("SMTP_USER, SMTP_PASSWORD: set both or neither"))
	}
	if c.Timeout < 0 {
		mistakes = append(mistakes, errors.New("SMTP_TIMEOUT_SECONDS: must not be negative"))
	}
	return errors.Join(mistakes...)
}

// errSlow is why a dialogue ends that the server drags on.
var errSlow = errors.New("the mail server takes too long")

// Send returns nil once the mail server has taken the letter. job.ErrPermanent in an error's chain means that it never
// will; after any other error it may, and it may even have taken it: it can be cut off between taking a letter and saying
// so, therefore send the same letter again.
func (s *Sender) Send(ctx context.Context, l job.Letter) (err error) {
	msg, err := compose(l)
	if err != nil {
		return fmt.Errorf("compose mail %s: %w", l.MessageID, err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.cfg.Timeout, errSlow)
	defer cancel()
	ctx, span := trail.Start(ctx, trail.Client, "smtp", trail.String("server.address", s.cfg.Host), trail.Int("server.port", s.cfg.Port))
	defer func() { span.End(err) }()
	err = s.converse(ctx, msg)
	if err == nil || msg.IsDelivered() { // what fails after that is no failure
		return nil
	}
	if ctx.Err() != nil {
		err = fmt.Errorf("%w (%w)", context.Cause(ctx), err)
	}
	return fmt.Errorf("send mail %s to %s: %w", l.MessageID, s.addr, err)
}

// converse goes through the whole dialogue. The connection is ours, not go-mail's: that obeys a context only while it
// dials, and leaves the connection open when the server refuses us before MAIL.
func (s *Sender) converse(ctx context.Context, msg *mail.Msg) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if deadline, ok := ctx.Deadline(); ok {
		conn = punctual{conn, deadline}
	}
	conn = marked(conn, msg)

	options, err := s.options(ctx, conn)
	if err != nil {
		return s.unwelcome(err)
	}
	client, err := mail.NewClient(s.cfg.Host, options...)
	if err != nil {
		return err
	}
	server, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return s.unwelcome(err)
	}
	err = client.SendWithSMTPClient(server, msg)
	if !brokenOff(err) {
		_ = conn.SetDeadline(time.Now().Add(goodbye))
		_ = client.CloseWithSMTPClient(server)
	}
	return s.refused(err)
}

// punctual is a connection to which nothing is written from the deadline on. A process that stood still for longer goes on
// where it was, and before its timers: it could end a letter that another has sent meanwhile.
type punctual struct {
	net.Conn
	deadline time.Time
}

func (p punctual) Write(b []byte) (int, error) {
	if !time.Now().Before(p.deadline) {
		return 0, context.DeadlineExceeded
	}
	return p.Conn.Write(b)
}

// brokenOff reports whether the letter ended in the middle. Then nothing more may be said: the library would put the dot
// before its QUIT, and the server take the half for a letter.
func brokenOff(err error) bool {
	var failed *mail.SendError
	return errors.As(err, &failed) && failed.Reason == mail.ErrWriteContent
}

// goodbye is how long QUIT may take. It is a courtesy: the letter's fate is settled.
const goodbye = time.Second

// options are go-mail's, over a connection that is there already.
func (s *Sender) options(ctx context.Context, conn net.Conn) ([]mail.Option, error) {
	config := &tls.Config{ServerName: s.cfg.Host, RootCAs: s.cfg.RootCAs, MinVersion: tls.VersionTLS12}
	policy := mail.NoTLS
	switch s.cfg.TLS {
	case StartTLS:
		policy = mail.TLSMandatory
	case Implicit:
		encrypted := tls.Client(conn, config)
		if err := encrypted.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		conn = encrypted
	case None:
	}
	options := []mail.Option{
		mail.WithPort(s.cfg.Port), mail.WithTLSPolicy(policy), mail.WithTLSConfig(config),
		mail.WithTimeout(2 * s.cfg.Timeout),    // ctx is sooner, and knows why
		mail.WithoutNoop(), mail.WithoutRset(), // two round trips for nothing on a connection that lives for one letter
		mail.WithDialContextFunc(func(context.Context, string, string) (net.Conn, error) { return conn, nil }),
	}
	if s.cfg.HELO != "" {
		options = append(options, mail.WithHELO(s.cfg.HELO))
	}
	if s.cfg.User != "" {
		options = append(options, mail.WithOpportunisticSMTPAuth(mechanisms...),
			mail.WithUsername(s.cfg.User), mail.WithPassword(s.cfg.Password))
	}
	return options, nil
}
