package smtp_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"mp3converter/internal/job"
	"mp3converter/internal/smtp"
	"mp3converter/internal/testserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const user, password = "robot@example.com", "pass-Word-0815"

var letter = job.Letter{
	From: "robot@example.com", To: "sid@gmail.com", Subject: "MP3 Download",
	Body:      "mp3 file_id: 64f0c0ffee64f0c0ffee64f0 is now ready!\nhttp://mp3converter.com/download?fid=64f0c0ffee64f0c0ffee64f0\n",
	HTML:      "<!doctype html>\n<title>MP3 Download</title>\n<p>64f0c0ffee64f0c0ffee64f0 is now ready!</p>\n",
	MessageID: "64f0.done@mp3converter.com", Date: time.Date(2026, 11, 23, 14, 3, 0, 0, time.UTC),
}

// configFor fits the server.
func configFor(s *testserver.SMTP) smtp.Config {
	return smtp.Config{Host: s.Host, Port: s.Port, RootCAs: s.CA, HELO: "mp3converter.test"}
}

func sender(t *testing.T, cfg smtp.Config) *smtp.Sender {
	t.Helper()
	s, err := smtp.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestALetterArrives(t *testing.T) {
	for name, tt := range map[string]struct {
		server testserver.SMTPOptions
		change func(*smtp.Config)
	}{
		"over STARTTLS":                     {},
		"over STARTTLS with credentials":    {testserver.SMTPOptions{User: user, Password: password}, login},
		"over implicit TLS":                 {testserver.SMTPOptions{Implicit: true}, implicit},
		"over implicit TLS and credentials": {testserver.SMTPOptions{Implicit: true, User: user, Password: password}, both},
		"without TLS, if the operator says": {testserver.SMTPOptions{NoTLS: true}, none},
	} {
		t.Run(name, func(t *testing.T) {
			server := testserver.StartSMTP(t, tt.server)
			cfg := configFor(server)
			if tt.change != nil {
				tt.change(&cfg)
			}
			if err := sender(t, cfg).Send(t.Context(), letter); err != nil {
				t.Fatal(err)
			}
			got := server.Mails()
			if len(got) != 1 {
				t.Fatalf("%d mails arrived, want 1", len(got))
			}
			if got[0].From != letter.From || len(got[0].To) != 1 || got[0].To[0] != letter.To {
				t.Errorf("envelope from %s to %v", got[0].From, got[0].To)
			}
			if got[0].TLS == tt.server.NoTLS || got[0].User != tt.server.User {
				t.Errorf("TLS %v, user %q", got[0].TLS, got[0].User)
			}
		})
	}
}

func login(c *smtp.Config)    { c.User, c.Password = user, password }
func implicit(c *smtp.Config) { c.TLS = smtp.Implicit }
func none(c *smtp.Config)     { c.TLS = smtp.None }
func both(c *smtp.Config)     { login(c); implicit(c) }

// raw is letter byte for byte. The order and folding are go-mail's; the content is ours.
const raw = `Date: Mon, 23 Nov 2026 14:03:00 +0000
MIME-Version: 1.0
Message-ID: <64f0.done@mp3converter.com>
Subject: MP3 Download
From: <robot@example.com>
To: <sid@gmail.com>
Content-Type: multipart/alternative;
 boundary=BOUNDARY

--BOUNDARY
Content-Transfer-Encoding: 8bit
Content-Type: text/plain; charset=UTF-8

mp3 file_id: 64f0c0ffee64f0c0ffee64f0 is now ready!
http://mp3converter.com/download?fid=64f0c0ffee64f0c0ffee64f0

--BOUNDARY
Content-Transfer-Encoding: 8bit
Content-Type: text/html; charset=UTF-8

<!doctype html>
<title>MP3 Download</title>
<p>64f0c0ffee64f0c0ffee64f0 is now ready!</p>

--BOUNDARY--
`

// rawText is the same of a letter without HTML.
const rawText = `Date: Mon, 23 Nov 2026 14:03:00 +0000
MIME-Version: 1.0
Message-ID: <64f0.done@mp3converter.com>
Subject: MP3 Download
From: <robot@example.com>
To: <sid@gmail.com>
Content-Transfer-Encoding: 8bit
Content-Type: text/plain; charset=UTF-8

mp3 file_id: 64f0c0ffee64f0c0ffee64f0 is now ready!
http://mp3converter.com/download?fid=64f0c0ffee64f0c0ffee64f0
`

func TestALetterSentTwiceIsTheSameByteForByte(t *testing.T) {
	server := testserver.StartSMTP(t, testserver.SMTPOptions{})
	s := sender(t, configFor(server))
	text := letter
	text.HTML = ""
	for _, l := range []job.Letter{letter, letter, text, text} {
		if err := s.Send(t.Context(), l); err != nil {
			t.Fatal(err)
		}
	}
	_, boundary, _ := strings.Cut(server.Mails()[0].Data, "boundary=")
	boundary, _, _ = strings.Cut(boundary, "\r\n")
	if len(boundary) < 20 {
		t.Fatalf("the boundary is %q", boundary)
	}
	for i, want := range []string{raw, raw, rawText, rawText} {
		want = strings.NewReplacer("\n", "\r\n", "BOUNDARY", boundary).Replace(want)
		if got := server.Mails()[i].Data; got != want {
			t.Errorf("arrived:\n%s\nwant:\n%s", got, want)
		}
	}
}

func TestUnusualLetters(t *testing.T) {
	for name, change := range map[string]func(*job.Letter){
		"a body in other scripts":           func(l *job.Letter) { l.Body = "„Ünï cödé 視頻 🎬.mkv“ has no sound\n" },
		"a line longer than mails may have": func(l *job.Letter) { l.Body = strings.Repeat("x", 3000) + "\n" },
		"a line that is a single dot":       func(l *job.Letter) { l.Body = "one\n.\n..two\n" },
		"HTML in other scripts":             func(l *job.Letter) { l.HTML = "<p>„Ünï cödé 視頻 🎬.mkv“ has no sound\n" },
		"a line too long in the HTML":       func(l *job.Letter) { l.HTML = strings.Repeat("<i>x</i>", 400) + "\n" },
		"HTML of single dots":               func(l *job.Letter) { l.HTML = "one\n.\n..two\n" },
		"HTML with another boundary":        func(l *job.Letter) { l.HTML = "a\n--x--\nContent-Type: text/plain\n\nb\n" },
		"an empty body":                     func(l *job.Letter) { l.Body = "" },
		"a subject in other scripts":        func(l *job.Letter) { l.Subject = "„視頻“" },
		"a subject that would be a header":  func(l *job.Letter) { l.Subject = "hello\r\nBcc: eve@example.com" },
	} {
		t.Run(name, func(t *testing.T) {
			server := testserver.StartSMTP(t, testserver.SMTPOptions{})
			l := letter
			change(&l)
			if err := sender(t, configFor(server)).Send(t.Context(), l); err != nil {
				t.Fatal(err)
			}
			got := testserver.ReadMail(t, server.Mails()[0])
			if got.Subject != strings.NewReplacer("\r", "", "\n", "").Replace(l.Subject) && got.Subject != l.Subject {
				t.Errorf("subject %q, want %q", got.Subject, l.Subject)
			}
			if got.Body != l.Body || got.HTML != l.HTML {
				t.Errorf("body %q and %q, want %q and %q", got.Body, got.HTML, l.Body, l.HTML)
			}
			for line := range strings.SplitSeq(server.Mails()[0].Data, "\r\n") {
				if len(line) > 998 || strings.ContainsAny(line, "\r\n") {
					t.Errorf("a line of %d bytes, of which RFC 5322 has 998: %.200q", len(line), line)
				}
			}
			if i := strings.IndexFunc(server.Mails()[0].Data, func(r rune) bool { return r > 0x7e }); i >= 0 {
				t.Errorf("byte %d of the mail is none that every server takes", i)
			}
			if got.Header.Get("Bcc") != "" || len(server.Mails()[0].To) != 1 {
				t.Error("the subject made a header")
			}
		})
	}
}

func TestWhatTheServerSaysDecidesWhetherToTryAgain(t *testing.T) {
	const later, never, taken = "later", "never", "taken"
	for name, tt := range map[string]struct {
		at    testserver.Step
		act   testserver.Act
		want  string
		named string // what the error must name
	}{
		"service not available at the greeting":   {testserver.AtGreeting, testserver.Say(554, "5.3.2 no service"), later, "no service"},
		"dropped at the greeting":                 {testserver.AtGreeting, testserver.Drop(), later, ""},
		"greylisted at MAIL":                      {testserver.AtMail, testserver.Say(451, "4.7.1 greylisted"), later, "greylisted"},
		"sender refused":                          {testserver.AtMail, testserver.Say(550, "5.1.8 bad sender"), never, "bad sender"},
		"credentials wanted":                      {testserver.AtMail, testserver.Say(530, "5.7.0 log in first"), later, "SMTP_USER"},
		"mailbox full for now":                    {testserver.AtRcpt, testserver.Say(452, "4.2.2 mailbox full"), later, "mailbox full"},
		"no such mailbox":                         {testserver.AtRcpt, testserver.Say(550, "5.1.1 no such user"), never, "no such user"},
		"relaying denied to us, who did no login": {testserver.AtRcpt, testserver.Say(554, "5.7.1 relay access denied"), later, "SMTP_USER"},
		"dropped at RCPT":                         {testserver.AtRcpt, testserver.Drop(), later, ""},
		"too busy at DATA":                        {testserver.AtData, testserver.Say(421, "4.3.2 too busy"), later, "too busy"},
		"taken for spam":                          {testserver.AtData, testserver.Say(554, "5.6.0 no spam please"), never, "no spam please"},
		"several lines of refusal":                {testserver.AtData, testserver.Say(550, "5.6.0 no\nnever"), never, "never"},
		"dropped before the mail was kept":        {testserver.AtData, testserver.Drop(), later, ""},
		"dropped after it was kept":               {testserver.AfterData, testserver.Drop(), later, ""}, // nobody can know
		"dropped after it was accepted":           {testserver.AfterAccept, testserver.Drop(), taken, ""},
		"silent after it was accepted":            {testserver.AfterAccept, testserver.Stall(), taken, ""},
	} {
		t.Run(name, func(t *testing.T) {
			server := testserver.StartSMTP(t, testserver.SMTPOptions{})
			server.At(tt.at, tt.act)
			err := sender(t, configFor(server)).Send(t.Context(), letter)
			got := taken
			if err != nil {
				got = later
			}
			if errors.Is(err, job.ErrPermanent) {
				got = never
			}
			if got != tt.want || tt.named != "" && !strings.Contains(err.Error(), tt.named) {
				t.Errorf("Send = %v: %s, want %s and %q named", err, got, tt.want, tt.named)
			}
		})
	}
}

func TestPolicyRefusalIsFinalForWhoHasLoggedIn(t *testing.T) {
	server := testserver.StartSMTP(t, testserver.SMTPOptions{User: user, Password: password})
	server.At(testserver.AtRcpt, testserver.Say(550, "5.7.1 we do not like your face"))
	cfg := configFor(server)
	login(&cfg)
	if err := sender(t, cfg).Send(t.Context(), letter); !errors.Is(err, job.ErrPermanent) {
		t.Errorf("Send = %v, want it permanent", err)
	}
}

func TestTheOperatorsMistakesAreNamedAndNotHeldAgainstTheLetter(t *testing.T) {
	for name, tt := range map[string]struct {
		server testserver.SMTPOptions
		change func(*smtp.Config)
		want   string
	}{
		"wrong password":       {testserver.SMTPOptions{User: user, Password: "other"}, login, "SMTP_PASSWORD"},
		"missing credentials":  {testserver.SMTPOptions{User: user, Password: password}, nil, "SMTP_USER"},
		"superfluous login":    {testserver.SMTPOptions{}, login, "AUTH"},
		"unknown authority":    {testserver.SMTPOptions{}, func(c *smtp.Config) { c.RootCAs = nil }, "SMTP_CA_FILE"},
		"the same, implicit":   {testserver.SMTPOptions{Implicit: true}, func(c *smtp.Config) { c.RootCAs = nil; implicit(c) }, "SMTP_CA_FILE"},
		"another host's":       {testserver.SMTPOptions{CertFor: "mail.example.com"}, nil, "SMTP_HOST"},
		"no STARTTLS":          {testserver.SMTPOptions{NoTLS: true, User: user, Password: password, ClearAuth: true}, login, "STARTTLS"},
		"implicit on STARTTLS": {testserver.SMTPOptions{User: user, Password: password, ClearAuth: true}, both, "SMTP_TLS=implicit"},
		"nobody listens":       {testserver.SMTPOptions{}, func(c *smtp.Config) { c.Port = 1 }, "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			server := testserver.StartSMTP(t, tt.server)
			cfg := configFor(server)
			if tt.change != nil {
				tt.change(&cfg)
			}
			err := sender(t, cfg).Send(t.Context(), letter)
			if err == nil || errors.Is(err, job.ErrPermanent) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Send = %v, want an error that is not permanent and names %s", err, tt.want)
			}
			if n := len(server.Mails()); n != 0 {
				t.Errorf("%d mails arrived all the same", n)
			}
			wantNoSecrets(t, server, err)
		})
	}
}

func TestNobodyIsTheRecipient(t *testing.T) {
	s := sender(t, smtp.Config{Host: "127.0.0.1", Port: 1})
	for _, to := range []string{"", "x", "a@b\r\nRCPT TO:<eve@example.com>"} {
		l := letter
		l.To = to
		if err := s.Send(t.Context(), l); !errors.Is(err, job.ErrPermanent) {
			t.Errorf("Send to %q = %v, want it permanent", to, err)
		}
	}
	l := letter
	l.From = "nobody"
	if err := s.Send(t.Context(), l); err == nil || errors.Is(err, job.ErrPermanent) {
		t.Errorf("Send from %q = %v, want an error that the operator can mend", l.From, err)
	}
}

// Whatever a letter says, at most one RCPT is sent, and none but the expected headers.
func TestNoLetterHasAnotherRecipientOrHeader(t *testing.T) {
	headers := []string{"Content-Type", "Date", "From", "Message-Id", "Mime-Version", "Subject", "To"}
	try := func(t *testing.T, change func(*job.Letter)) (dialogue string, err error) {
		t.Helper()
		server := testserver.StartSMTP(t, testserver.SMTPOptions{NoTLS: true}) // so that all of it can be read
		cfg := configFor(server)
		none(&cfg)
		l := letter
		change(&l)
		err = sender(t, cfg).Send(t.Context(), l)
		dialogue = server.Clear()
		mails := server.Mails()
		if rcpt := server.Came(testserver.AtRcpt); err == nil && (rcpt != 1 || len(mails) != 1) || err != nil && rcpt+len(mails) > 0 {
			t.Errorf("%d RCPT and %d mails, with the error %v", rcpt, len(mails), err)
		}
		for _, m := range mails {
			if got := slices.Sorted(maps.Keys(testserver.ReadMail(t, m).Header)); !slices.Equal(got, headers) {
				t.Errorf("the headers are %q", got)
			}
			if strings.Contains(strings.Join(m.To, ""), "eve") {
				t.Errorf("it goes to %q", m.To)
			}
		}
		return dialogue, err
	}
	for _, to := range []string{
		"", "<>", "x", "@example.com", "a@", "a@b@c",
		"a@b\r\nBcc: eve@example.com", "a@b\nBcc: eve@example.com", "a@b\rBcc: eve@example.com", "a@b\r\nRCPT TO:<eve@example.com>",
		"a@b%0d%0aBcc: eve@example.com", "a%0d%0aBcc:eve@example.com", "a@b\x00", "a\x00@b",
		"a@b\u2028Bcc: eve@example.com", "a\u2029b@example.com", "a\u0085@example.com", "a\u202e@example.com", "a\ufeff@example.com",
		"a@b, eve@example.com", "a@b,eve@example.com", "a@b; eve@example.com", "a@b eve@example.com", "<a@b> <eve@example.com>", "friends: a@b, eve@example.com;",
		"eve <a@b>", "<a@b>", "a@b (eve@example.com)", `"a@b, eve"@example.com`, `"a b"@example.com`, `"a\r\n"@example.com`, "a@[127.0.0.1]",
		"eve%example.com@b", " a@b", "a@b ", strings.Repeat("x", 10_000) + "@example.com",
	} {
		t.Run(fmt.Sprintf("to %.40q", to), func(t *testing.T) {
			if dialogue, err := try(t, func(l *job.Letter) { l.To = to }); !errors.Is(err, job.ErrPermanent) || dialogue != "" {
				t.Errorf("Send = %v, want it permanent; and the server has heard:\n%s", err, dialogue)
			}
		})
	}
	for _, from := range []string{"a@b\r\nBcc: eve@example.com", "eve <a@b>", "a@b, eve@example.com", "a@b\u2028"} {
		t.Run(fmt.Sprintf("from %q", from), func(t *testing.T) {
			if dialogue, err := try(t, func(l *job.Letter) { l.From = from }); err == nil || errors.Is(err, job.ErrPermanent) || dialogue != "" {
				t.Errorf("Send = %v, want an error that the operator can mend; and the server has heard:\n%s", err, dialogue)
			}
		})
	}
	for _, end := range []string{"\r\n", "\n", "\r", "\u0085", "\u2028", "\u2029", "\v", "\f", "\x00", "%0d%0a", "\r\n ", "\r\n\r\n", "=0D=0A", "=?utf-8?q?=0D=0A?="} {
		t.Run(fmt.Sprintf("lines that end in %q", end), func(t *testing.T) {
			hostile := "a" + end + "Bcc: eve@example.com" + end + "b"
			for what, change := range map[string]func(*job.Letter){
				"subject":    func(l *job.Letter) { l.Subject = hostile },
				"Message-ID": func(l *job.Letter) { l.MessageID = hostile },
				"body":       func(l *job.Letter) { l.Body = hostile + "\r\n.\r\nRCPT TO:<eve@example.com>\r\n" },
				"HTML":       func(l *job.Letter) { l.HTML = hostile + "\r\n.\r\nRCPT TO:<eve@example.com>\r\n" },
			} {
				dialogue, err := try(t, change)
				for line := range strings.Lines(dialogue) {
					if strings.HasPrefix(line, "Bcc") && what != "body" && what != "HTML" {
						t.Errorf("the %s makes a line (%v):\n%s", what, err, dialogue)
					}
				}
			}
		})
	}
}

func TestMistakesInTheConfigurationAreNamed(t *testing.T) {
	for name, tt := range map[string]struct {
		cfg  smtp.Config
		want []string
	}{
		"nothing set":              {smtp.Config{}, []string{"SMTP_HOST"}},
		"a password in clear":      {smtp.Config{Host: "h", TLS: smtp.None, User: user, Password: password}, []string{"SMTP_TLS"}},
		"a user without password":  {smtp.Config{Host: "h", User: user}, []string{"SMTP_PASSWORD"}},
		"an unknown kind of TLS":   {smtp.Config{Host: "h", TLS: "ssl"}, []string{"SMTP_TLS", "implicit"}},
		"all mistakes, not a part": {smtp.Config{Port: 70000, Password: password, Timeout: -1}, []string{"SMTP_HOST", "SMTP_PORT", "SMTP_USER", "SMTP_TIMEOUT_SECONDS"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := smtp.New(tt.cfg)
			for _, want := range tt.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("New = %v, want %s named", err, want)
				}
			}
			if strings.Contains(fmt.Sprint(err), password) {
				t.Error("the error tells the password")
			}
		})
	}
}
