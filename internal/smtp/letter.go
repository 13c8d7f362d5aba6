package smtp

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/wneessen/go-mail"

	"mp3converter/internal/job"
)

// compose makes go-mail's message of a letter. The same letter makes the same bytes.
//
// go-mail takes names, comments and quotes beside an address, and letters that nobody sees: whoever reads such an address may
// take it for another. Here nothing but one bare address is let through, whoever has looked at it before.
func compose(l job.Letter) (*mail.Msg, error) {
	if !job.IsAddress(l.From) {
		return nil, errSender // the configuration's fault, so not for good
	}
	if !job.IsAddress(l.To) {
		return nil, refusal("recipient: no bare e-mail address")
	}
	msg := mail.NewMsg(mail.WithNoDefaultUserAgent())
	if err := msg.From(l.From); err != nil {
		return nil, fmt.Errorf("sender: %w", err)
	}
	if err := msg.EnvelopeFrom(l.From); err != nil {
		return nil, fmt.Errorf("sender: %w", err)
	}
	if err := msg.To(l.To); err != nil {
		return nil, refusal("recipient: " + err.Error())
	}
	msg.Subject(l.Subject)
	msg.SetMessageIDWithValue(l.MessageID)
	msg.SetDateWithValue(l.Date.UTC())
	msg.SetBodyString(mail.TypeTextPlain, l.Body, mail.WithPartEncoding(encoding(l.Body)))
	if l.HTML != "" { // after the text: of alternatives the last is the best, RFC 2046, 5.1.4
		msg.AddAlternativeString(mail.TypeTextHTML, l.HTML, mail.WithPartEncoding(encoding(l.HTML)))
		msg.SetBoundary(boundary(l.MessageID))
	}
	return msg, nil
}

// boundary is the letter's own, and the same at every attempt to send it. No line of it begins so: a hash is nothing that
// whoever has named a file could have known of a letter to come.
func boundary(messageID string) string {
	return fmt.Sprintf("%x", sha256.Sum256([]byte("boundary of "+messageID)))[:40]
}

var errSender = errors.New("sender: no bare e-mail address")

// longest line that a mail may have unencoded, in bytes: RFC 5322, 2.1.1.
const longestLine = 998

// encoding leaves a body as it is where any server takes it so: addresses in it stay whole for whoever reads the raw mail.
func encoding(body string) mail.Encoding {
	for line := range strings.Lines(body) {
		if len(line) > longestLine || strings.ContainsFunc(line, unfit) {
			return mail.EncodingQP
		}
	}
	return mail.NoEncoding
}

func unfit(r rune) bool { return r >= utf8.RuneSelf || r < ' ' && r != '\n' && r != '\t' || r == 0x7f }
