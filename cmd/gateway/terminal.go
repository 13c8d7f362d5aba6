package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// printable makes text of others fit for a terminal and for one cell of a table: what a terminal would obey, or not show,
// is escaped, and what is longer than width characters is cut.
func printable(text string, width int) string {
	var b strings.Builder
	n := 0
	for i, r := range text {
		if n == width {
			b.WriteString("…")
			break
		}
		n++
		_, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			b.WriteString(`\x` + strconv.FormatUint(uint64(text[i])|0x100, 16)[1:]) // two digits
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
	}
	return b.String()
}

// unseen is what encoding/json leaves as it is, and a terminal obeys or does not show.
var unseen = regexp.MustCompile(`[\x{7f}-\x{9f}\p{Cf}]`)

// printableJSON is the same JSON, fit for a terminal.
func printableJSON(text []byte) []byte {
	return unseen.ReplaceAllFunc(text, func(c []byte) (escaped []byte) {
		for _, unit := range utf16.Encode([]rune(string(c))) {
			escaped = fmt.Appendf(escaped, `\u%04x`, unit)
		}
		return escaped
	})
}

// cell is printable, and never empty.
func cell(text string, width int) string {
	if text == "" {
		return "-"
	}
	return printable(text, width)
}

// span says a time's length roughly: 12s, 5m, 3h, 8d.
func span(d time.Duration) string {
	switch d = d.Abs(); {
	case d < time.Minute:
		return strconv.Itoa(int(d/time.Second)) + "s"
	case d < time.Hour:
		return strconv.Itoa(int(d/time.Minute)) + "m"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d/time.Hour)) + "h"
	default:
		return strconv.Itoa(int(d/(24*time.Hour))) + "d"
	}
}

// moment is a time, "-" for never.
func moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}
