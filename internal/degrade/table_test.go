package degrade

import (
	"fmt"
	"strings"
	"testing"

	"mp3converter/internal/settings/readme"
)

// row is what the system does while something is down, in any of some ways.
type row struct {
	down string
	ways []way

	login, upload, download, jobs int  // how POST /login, POST /upload, GET /download and GET /jobs are answered
	conversions, mails            does // what was accepted before, and what is accepted meanwhile
	unready                       []string
	names                         string // the service that says in /readyz what it copes without, if one does
}

// does is what becomes of work.
type does string

const (
	goOn does = "go on"
	wait does = "wait"
)

// table is README's, and what TestDegradation holds the programs to. Rows of one group share an installation.
var table = []struct {
	group string
	rows  []row
}{
	{"users", []row{
		{"MySQL", []way{mysqlRefused, mysqlFrozen}, 503, 200, 200, 200, goOn, goOn, []string{"auth"}, ""},
		{"auth", []way{authRefused, authFrozen, authBroken}, 503, 503, 503, 503, goOn, goOn, nil, "gateway"},
	}},
	{"store", []row{
		{"MongoDB", []way{mongoRefused, mongoFrozen}, 200, 503, 503, 503, wait, wait, []string{"gateway", "converter", "notification"}, ""},
	}},
	{"broker", []row{
		{"RabbitMQ", []way{rabbitRefused, rabbitFrozen}, 200, 200, 200, 200, wait, wait, []string{"converter", "notification"}, "gateway"},
		{"RabbitMQ", []way{rabbitBlocked}, 200, 200, 200, 200, wait, wait, []string{"converter"}, "gateway"},
	}},
	{"work", []row{
		{"SMTP", []way{smtpRefused, smtpHanging}, 200, 200, 200, 200, goOn, wait, nil, ""},
		{"ffmpeg", []way{ffmpegMissing, ffmpegRemoved}, 200, 200, 200, 200, wait, goOn, []string{"converter"}, ""},
	}},
}

func TestReadmeHasTheTable(t *testing.T) {
	var b strings.Builder
	b.WriteString("| down | `/login` | `/upload` | `/download` | `/jobs` | conversions | mails | `/readyz` |\n|---|---|---|---|---|---|---|---|\n")
	for _, group := range table {
		for _, r := range group.rows {
			fmt.Fprintf(&b, "| %s | %d | %d | %d | %d | %s | %s | %s |\n",
				r.what(), r.login, r.upload, r.download, r.jobs, r.conversions, r.mails, r.readiness())
		}
	}
	readme.Section(t, "degradation", b.String())
}

// what is down, and how.
func (r row) what() string {
	var ways []string
	for _, w := range r.ways {
		ways = append(ways, w.how)
	}
	return r.down + " " + strings.Join(ways, ", ")
}

func (r row) readiness() string {
	var says []string
	if len(r.unready) > 0 {
		says = append(says, "503 of "+strings.Join(r.unready, ", "))
	}
	if r.names != "" {
		says = append(says, "named by the "+r.names)
	}
	return strings.Join(says, "; ")
}
