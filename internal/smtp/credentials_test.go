package smtp_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"mp3converter/internal/smtp"
	"mp3converter/internal/testserver"
)

// wantNoSecrets looks for the credentials on the wire, in every form a mechanism sends them in, and in the error.
func wantNoSecrets(t *testing.T, server *testserver.SMTP, err error) {
	t.Helper()
	seen := server.Clear() + fmt.Sprint(err)
	for _, form := range []string{password, b64(password), b64("\x00" + user + "\x00" + password), "AUTH PLAIN", "AUTH LOGIN"} {
		if strings.Contains(seen, form) {
			t.Errorf("%q could be seen", form)
		}
	}
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func TestCredentialsAreOnlySentOnceEncrypted(t *testing.T) {
	server := testserver.StartSMTP(t, testserver.SMTPOptions{User: user, Password: password, ClearAuth: true})
	cfg := configFor(server)
	login(&cfg)
	if err := sender(t, cfg).Send(t.Context(), letter); err != nil {
		t.Fatal(err)
	}
	wantNoSecrets(t, server, nil)
	if !strings.Contains(server.Clear(), "STARTTLS") {
		t.Error("the test sees nothing on the wire")
	}
}

func TestCredentialsAreOnlySentToWhomACertificateNames(t *testing.T) {
	wanted := testserver.SMTPOptions{User: user, Password: password, ClearAuth: true}
	for name, tt := range map[string]struct {
		server func(*testserver.SMTPOptions)
		change func(*smtp.Config)
	}{
		"unknown authority":               {nil, func(c *smtp.Config) { c.RootCAs = nil }},
		"unknown authority, implicit TLS": {func(o *testserver.SMTPOptions) { o.Implicit = true }, func(c *smtp.Config) { c.RootCAs = nil; implicit(c) }},
		"another host's certificate":      {func(o *testserver.SMTPOptions) { o.CertFor = "mail.example.com" }, nil},
		"the same, implicit TLS":          {func(o *testserver.SMTPOptions) { o.CertFor, o.Implicit = "mail.example.com", true }, implicit},
		"somebody takes STARTTLS away":    {func(o *testserver.SMTPOptions) { o.NoTLS = true }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			options := wanted
			if tt.server != nil {
				tt.server(&options)
			}
			server := testserver.StartSMTP(t, options)
			cfg := configFor(server)
			login(&cfg)
			if tt.change != nil {
				tt.change(&cfg)
			}
			err := sender(t, cfg).Send(t.Context(), letter)
			if err == nil || server.Dials() == 0 || server.Came(testserver.AtAuth) > 0 || len(server.Mails()) > 0 {
				t.Errorf("Send = %v, and the server was asked %d times for a login", err, server.Came(testserver.AtAuth))
			}
			wantNoSecrets(t, server, err)
		})
	}
}

func TestRootCAsAddsAFilesCertificates(t *testing.T) {
	server := testserver.StartSMTP(t, testserver.SMTPOptions{})
	pool, err := smtp.RootCAs(server.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	cfg := configFor(server)
	cfg.RootCAs = pool
	if err := sender(t, cfg).Send(t.Context(), letter); err != nil {
		t.Error(err)
	}
	if _, err := smtp.RootCAs("smtp_test.go"); err == nil {
		t.Error("a file without certificates is taken")
	}
}
