package job

import (
	"net/mail"
	"strings"
	"unicode"
)

// IsAddress reports whether s is one bare e-mail address that a mail can go to: no display name, no quotes or comment, at
// most the 254 bytes that SMTP carries. Of what RFC 5322 allows it refuses what is only ever sent to fool somebody: letters
// that are not seen, a percent sign (a route, or an escaped line end), and the number of a machine instead of a domain.
func IsAddress(s string) bool {
	if len(s) > 254 || strings.ContainsFunc(s, treacherous) {
		return false
	}
	a, err := mail.ParseAddress(s)
	return err == nil && a.Address == s
}

func treacherous(r rune) bool {
	return r == '%' || r == '[' || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}

// NormalAddress is how an address that somebody has typed is stored: without space around it, the domain in lower case. The
// local part stays as it is: its case may count where the mail goes. Only who makes a user asks for it; from then on
// addresses are compared byte for byte.
func NormalAddress(typed string) string {
	s := strings.TrimSpace(typed)
	at := strings.LastIndexByte(s, '@')
	return s[:at+1] + strings.ToLower(s[at+1:])
}
