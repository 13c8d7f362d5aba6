package smtp

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/textproto"
	"slices"
	"strings"

	"github.com/wneessen/go-mail"

	"mp3converter/internal/job"
)

// refusal is the mail server's last word on a letter.
type refusal string

func (r refusal) Error() string { return string(r) }

func (refusal) Unwrap() error { return job.ErrPermanent }

// wantsLogin are the answers that RFC 4954 has for clients that should log in, or do it otherwise.
var wantsLogin = []int{530, 534, 535, 538}

// hint ends the error that wrong or missing credentials cause.
const hint = "check SMTP_USER and SMTP_PASSWORD (or GMAIL_ADDRESS and GMAIL_PASSWORD)"

// unwelcome explains why the server would not talk to us at all. Whatever it answered, that is not this letter's fault:
// once the operator has mended it, the letter can go.
func (s *Sender) unwelcome(err error) error {
	var cert *tls.CertificateVerificationError
	var answer *textproto.Error
	switch {
	case errors.As(err, &cert):
		return fmt.Errorf("%w; check SMTP_HOST and SMTP_CA_FILE", err)
	case errors.As(err, &answer) && slices.Contains(wantsLogin, answer.Code):
		return fmt.Errorf("%w; %s", err, hint)
	default:
		return fmt.Errorf("open with SMTP_TLS=%s: %w", s.cfg.TLS, err)
	}
}

// refused judges what the server said to MAIL, RCPT or DATA: 5xx is final, unless it is about us and not the letter.
func (s *Sender) refused(err error) error {
	var answer *mail.SendError
	if err == nil || !errors.As(err, &answer) {
		return err
	}
	text, _, _ := strings.Cut(answer.Error(), ", affected ") // go-mail adds who and which, which our callers know
	switch {
	case answer.ErrorCode()/100 != 5:
		return errors.New(text)
	case s.mustLogIn(answer):
		return errors.New(text + "; " + hint)
	default:
		return refusal(text)
	}
}

// mustLogIn also takes a refusal for policy (x.7.y: relaying denied) as a call for credentials, if we have none.
func (s *Sender) mustLogIn(answer *mail.SendError) bool {
	return slices.Contains(wantsLogin, answer.ErrorCode()) ||
		s.cfg.User == "" && strings.HasPrefix(answer.EnhancedStatusCode(), "5.7.")
}
