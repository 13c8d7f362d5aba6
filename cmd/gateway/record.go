package main

import (
	"fmt"
	"io"
	"reflect"
	"strings"
	"text/tabwriter"
	"time"

	"mp3converter/internal/job"
)

// record writes every field of a job that is set, under its name in JSON: a new field is shown without anybody thinking of
// it.
func record(w io.Writer, j job.Job, now time.Time) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	v := reflect.ValueOf(j)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			continue
		}
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		fmt.Fprintf(table, "%s\t%s\n", name, value(v.Field(i).Interface(), now))
	}
	return table.Flush()
}

func value(v any, now time.Time) string {
	const width = 1000
	switch v := v.(type) {
	case time.Time:
		if v.After(now) {
			return moment(v) + ", in " + span(v.Sub(now))
		}
		return moment(v) + ", " + span(now.Sub(v)) + " ago"
	case []string:
		return printable(strings.Join(v, " "), width)
	default:
		return printable(fmt.Sprint(v), width)
	}
}
