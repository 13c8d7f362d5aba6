package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode"

	"mp3converter/internal/job"
)

func TestNothingOfOthersReachesTheTerminalAsACommand(t *testing.T) {
	for text, want := range map[string]string{
		"größe":                   "größe",
		"":                        "",
		`{"a": 'b'}`:              `{"a": 'b'}`,
		"\x1b[2J":                 `\x1b[2J`,
		"a\tb\r\nc":               `a\tb\r\nc`,
		"\xff\xfe":                `\xff\xfe`,
		"\u202egpj.exe":           `\u202egpj.exe`,
		"\u009b31m":               `\u009b31m`,
		"\ufffd":                  "\ufffd",
		strings.Repeat("é", 11):   strings.Repeat("é", 10) + "…",
		strings.Repeat("\x00", 4): `\x00\x00\x00\x00`,
	} {
		if got := printable(text, 10); got != want {
			t.Errorf("printable(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 59 * time.Second: "59s", time.Minute: "1m", -5 * time.Minute: "5m", 3 * time.Hour: "3h", 47 * time.Hour: "47h", 8 * 24 * time.Hour: "8d",
	} {
		if got := span(d); got != want {
			t.Errorf("span(%v) = %s, want %s", d, got, want)
		}
	}
}

func TestTheWholeRecordIsShown(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	j := job.Job{
		ID: id1, Owner: "a\x1b@b.c", State: job.Converting, Tried: []string{id1, id2}, Duration: time.Minute,
		Created: now.Add(-time.Hour), LeaseUntil: now.Add(time.Minute),
	}
	var out strings.Builder
	if err := record(&out, j, now); err != nil {
		t.Fatal(err)
	}
	want := `id           64f000000000000000000001
owner        a\x1b@b.c
state        converting
lease_until  2026-11-23T12:01:00Z, in 1m
tried        64f000000000000000000001 64f000000000000000000002
duration     1m0s
created      2026-11-23T11:00:00Z, 1h ago
`
	if out.String() != want {
		t.Errorf("shown as\n%s\nwant\n%s", out.String(), want)
	}
}

func TestJSONIsFitForATerminal(t *testing.T) {
	t.Parallel()
	said := "550 \u009b2J\u007f\u202e\U000e0001 é"
	plain, err := json.Marshal(said)
	if err != nil {
		t.Fatal(err)
	}
	text := printableJSON(plain)
	if strings.ContainsFunc(string(text), func(r rune) bool { return !unicode.IsPrint(r) }) {
		t.Errorf("printableJSON = %+q", text)
	}
	var got string
	if err := json.Unmarshal(text, &got); err != nil || got != said {
		t.Errorf("it is read as %+q, %v, want %+q", got, err, said)
	}
}
