package auth

import (
	"context"
	"net/http"
	"net/url"
	"unicode/utf8"

	"mp3converter/internal/web"
)

// How many users a page lists, unless ?limit= says less or more.
const (
	pageSize    = 50
	maxPageSize = 200
	maxAfter    = 1024 // bytes; the longest address that a row can hold has 255 letters
)

// userView is a user as operators see them.
type userView struct {
	Email    string `json:"email"`
	Admin    bool   `json:"admin"`
	Operator bool   `json:"operator"`
}

// usersView is some of the users.
type usersView struct {
	Users []userView `json:"users"`
	Next  *string    `json:"next"` // ask for ?after= this to see more; null on the last page
}

// listUsers tells an operator who may log in.
func (s *Service) listUsers(w http.ResponseWriter, r *http.Request) error {
	c, _, err := s.bearer(r)
	if err != nil {
		return err
	}
	web.Note(r.Context(), "user", c.Username)
	if !s.isOperator(c) {
		return errNoOperator
	}
	limit, after, err := usersPage(r.URL.Query())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.cfg.Timeout)
	defer cancel()
	users, err := s.cfg.Users.Page(ctx, after, limit+1) // the one more tells whether there is a next page
	if err != nil {
		return err
	}
	page := usersView{Users: []userView{}}
	for _, u := range users[:min(len(users), limit)] {
		page.Users = append(page.Users, userView{u.Email, u.Admin, u.Admin && s.names(u.Email)})
	}
	if len(users) > limit {
		page.Next = &users[limit-1].Email
	}
	return web.JSON(w, http.StatusOK, page)
}

func usersPage(q url.Values) (limit int, after string, err error) {
	limit, ok := web.Limit(q, pageSize, maxPageSize)
	after = q.Get("after")
	if !ok || len(after) > maxAfter || !utf8.ValidString(after) {
		return 0, "", errPage
	}
	return limit, after, nil
}
