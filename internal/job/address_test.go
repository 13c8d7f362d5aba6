package job

import (
	"strings"
	"testing"
)

func TestAnAddressIsOneThatAMailCanGoTo(t *testing.T) {
	for _, good := range []string{
		"sid@gmail.com", "Sid@Gmail.com", "o'brien+mp3@example.co.uk", "a@b", "exämple@exämple.com", "x_y.z-1@sub.example.com",
		strings.Repeat("x", 64) + "@" + strings.Repeat("y", 185) + ".com",
	} {
		if !IsAddress(good) {
			t.Errorf("IsAddress(%q) = false", good)
		}
	}
	for name, bad := range map[string]string{
		"nothing":                        "",
		"no domain":                      "sid",
		"no local part":                  "@gmail.com",
		"a header after a line end":      "a@b\r\nBcc: x@y",
		"a line end at the end":          "a@b\n",
		"a line end, escaped":            "a%0d%0aBcc:x@y",
		"a line end in the local part":   "a%0d%0a@y",
		"a route of old":                 "a%b@y",
		"a Unicode line separator":       "a\u2028b@y",
		"a Unicode paragraph separator":  "a@b\u2029",
		"a next-line":                    "a\u0085b@y",
		"a letter that turns the others": "a\u202eb@y",
		"a letter of no width":           "a\u200bb@y",
		"a NUL":                          "a\x00@b",
		"two addresses":                  "a@b,c@d",
		"two addresses and a space":      "a@b c@d",
		"two addresses, semicolon":       "a@b;c@d",
		"brackets":                       "<a@b>",
		"a name":                         "Sid <a@b>",
		"quotes":                         `"a"@b`,
		"quotes round a space":           `"a b"@c`,
		"a comment":                      "a@b (c)",
		"an address of digits":           "a@[127.0.0.1]",
		"a group":                        "all: a@b;",
		"a space":                        " a@b",
		"a local part of 10 KB":          strings.Repeat("x", 10<<10) + "@b",
		"255 bytes":                      strings.Repeat("x", 250) + "@b.co",
		"no UTF-8":                       "\xff@b",
	} {
		if IsAddress(bad) {
			t.Errorf("%s: IsAddress(%.40q) = true", name, bad)
		}
	}
}

func TestATypedAddressIsMadeNormal(t *testing.T) {
	for typed, want := range map[string]string{
		"sid@gmail.com":           "sid@gmail.com",
		" Sid@GMail.COM\n":        "Sid@gmail.com",
		"ann@B\u00dcCHER.example": "ann@b\u00fccher.example",
		"no address":              "no address",
		"A@B@C.d":                 "A@B@c.d",
		"":                        "",
	} {
		if got := NormalAddress(typed); got != want || NormalAddress(got) != got {
			t.Errorf("NormalAddress(%q) = %q, want %q, and that stays", typed, got, want)
		}
	}
}
