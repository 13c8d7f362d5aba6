package web

import (
	"net/url"
	"strconv"
)

// Limit is how many entries of a list the query asks for, usual if it does not say; ok unless that is no number from 1 to most.
func Limit(q url.Values, usual, most int) (limit int, ok bool) {
	text := q.Get("limit")
	if text == "" {
		return usual, true
	}
	limit, err := strconv.Atoi(text)
	return limit, err == nil && limit >= 1 && limit <= most
}
