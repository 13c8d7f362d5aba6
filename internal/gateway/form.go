package gateway

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
)

// errNoForm is a body that is no form, or a larger one than any that is meant.
var errNoForm = errors.New("not a small form")

// smallForm reads a form of at most so many bytes, as browsers send one without files. No body is a form without fields. An
// error that is not errNoForm is the connection's.
func smallForm(w http.ResponseWriter, r *http.Request, most int64) (url.Values, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	if tooLong := (*http.MaxBytesError)(nil); errors.As(err, &tooLong) {
		return nil, errNoForm
	}
	if err != nil || len(body) == 0 {
		return nil, err
	}
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/x-www-form-urlencoded" {
		return nil, errNoForm
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoForm, err)
	}
	return form, nil
}
