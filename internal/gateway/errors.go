package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"mp3converter/internal/hook"
	"mp3converter/internal/web"
)

// What a request can be refused for. fs.ErrNotExist is not among them: deep in a store's error it may mean anything, so
// each call that expects absence says here what is absent.
var (
	errNoToken  = errors.New("no credentials")
	errBadToken = errors.New("token refused")
	errNotAdmin = errors.New("not an admin")

	errForeign     = errors.New("request by another site's page")
	errNoLoginForm = errors.New("not a form with one email and one password")

	errNotOneFile = errors.New("not exactly one file")
	errEmpty      = errors.New("file is empty")
	errTooLarge   = errors.New("file is too large")
	errBadForm    = errors.New("form is malformed or cut short")
	errFormSize   = errors.New("form has too much beside its file")
	errEncoded    = errors.New("body has a content encoding")
	errBadKey     = errors.New("Idempotency-Key is malformed")
	errOtherKey   = errors.New("Idempotency-Key is another file's")
	errFull       = errors.New("too many uploads or downloads at once")
	errStalled    = errors.New("client went silent")
	errCut        = errors.New("request body broke off")

	errBadLink     = errors.New("link is not one of ours")
	errLinkExpired = errors.New("link has expired")

	errNoFid     = errors.New("no fid")
	errBadFid    = errors.New("fid is malformed")
	errNoFile    = errors.New("no such file")
	errRanges    = errors.New("too many ranges")
	errNoJob     = errors.New("no such job")
	errWatched   = errors.New("too many streams of events at once")
	errNotFailed = errors.New("job has not failed")
	errBadPage   = errors.New("limit or before is malformed")

	errSomebodyElse = errors.New("the upload is meant to be another user's")
	errNoUpload     = errors.New("no such upload")
	errOffset       = errors.New("not where the upload ends")
	errTaken        = errors.New("another request goes on with the upload")
	errWhole        = errors.New("the upload is whole")

	errNotJSON    = errors.New("body is not said to be JSON")
	errBadHook    = errors.New("body is no webhook")
	errNoHook     = errors.New("no such webhook")
	errManyHooks  = errors.New("the user has as many webhooks as there may be")
	errNoDelivery = errors.New("no such delivery")
	errDisabled   = errors.New("webhook is disabled")

	errNoOperator = errors.New("not an operator")
	errNotRunning = errors.New("job is neither queued nor converting")
	errBecause    = errors.New("because is malformed")
	errNoLetter   = errors.New("no such dead letter")
	errCutLetter  = errors.New("of the dead letter only a part was kept")
	errBadUsers   = errors.New("limit or after is malformed")

	errNoPage = errors.New("no such page")
	errMethod = errors.New("method not allowed")
)

// ErrNoVideo is why Retry refuses a job whose video is gone.
var ErrNoVideo = errors.New("video is gone")

// tooLate refuses an MP3 that was kept as long as its owner was told.
func tooLate(until time.Time) error {
	return web.Refuse(http.StatusGone, "the MP3 was kept until "+until.UTC().Format("2 January 2006, 15:04 UTC")+": upload the video again to get another")
}

// answers is how each of them is answered; the texts of the contract's table are the contract's. What is not here means
// that a store, the broker or auth is away, and is answered with 503.
var answers = web.Errors{
	{Err: errNoToken, Refusal: web.Refusal{Code: http.StatusUnauthorized, Text: "missing credentials"}},
	{Err: errBadToken, Refusal: web.Refusal{Code: http.StatusForbidden, Text: "not authorized"}},
	{Err: errNotAdmin, Refusal: web.Refusal{Code: http.StatusUnauthorized, Text: "not authorized"}},

	{Err: errForeign, Refusal: web.Refusal{Code: http.StatusForbidden, Text: "a page of another site has sent this: use this site's own page"}},
	{Err: errNoLoginForm, Refusal: web.Refusal{Code: http.StatusBadRequest, Text: "send one email and one password as application/x-www-form-urlencoded, 8 KiB at most"}},

	{Err: errNotOneFile, Refusal: web.Refusal{Code: http.StatusBadRequest, Text: "exactly 1 file required"}},
	{Err: errEmpty, Refusal: web.Refusal{Code: http.StatusBadRequest, Text: "the file is empty"}},
	{Err: errTooLarge, Refusal: web.Refusal{Code: http.StatusRequestEntityTooLarge, Text: "the file is too large"}},
	{Err: errFormSize, Refusal: web.Refusal{Code: http.StatusBadRequest, Text: "the form has too many or too large fields beside the file"}},
	{Err: errBadForm, Refusal: web.Refusal{Code: http.StatusBadRequest, Text: "the form is malformed or cut short"}},
	{Err: errEncoded, Refusal: web.Refusal{Code: http.StatusUnsupportedMediaType, Text: "send the form without Content-Encoding"}},
	{Err: errOtherKey, Refusal: web.Refusal{Code: http.StatusBadRequest, Text: "Idempotency-Key is that of an upload of another length"}},
	{Err: errBadKey, Refusal: web.Refusal{Code: http.StatusBadRequest, Text: "Idempotency-Key must be one value of 1 to 255 printable ASCII characters"}},
	{Err: errFull, Refusal: web.Refusal{Code: http.StatusServiceUnavailable, Text: "too many uploads or downloads at once, try again later", RetryAfter: 10 * time.Second}},
	{Err: errStalled, Refusal: web.Refusal{Code: http.StatusRequestTimeout, Text: "the upload stalled"}},
	{Err: errCut, Refusal: web.Refusal{Code: http.StatusBadRequest, Text: "the form is malformed or cut short"}},

	{Err: errBadLink, Refusal: web.Refusal{Code: http.StatusForbidden, Text: "this link is not valid: copy all of it from the mail, or log in"}},
	{Err: errLinkExpired, Refusal: web.Refusal{Code: http.StatusGone, Text: "this link has expired: log in to download the MP3"}},

	{Err: errNoFid, Refusal: web.Refusal{Code: http.StatusBadRequest, Text: "fid is required"}},
	{Err: errBadFid, Refusal: web.Refusal{Code: http.StatusBadRequest, Text: "fid must be one value of 24 hex digits"}},
	{Err: errNoFile, Refusal: web.Refusal{Code: http.StatusNotFound, Text: "no such file"}},
	{Err: errRanges, Refusal: web.Refusal{Code: http.StatusRequestedRangeNotSatisfiable, Text: "too many ranges"}},
	{Err: errNoJob, Refusal: web.Refusal{Code: http.StatusNotFound, Text: "no such job"}},
	{Err: errWatched, Refusal: web.Refusal{Code: http.StatusServiceUnavailable, Text: "too many streams of events at once, try again later", RetryAfter: 10 * time.Second}},
	{Err: errNotFailed, Refusal: web.Refusal{Code: http.StatusConflict, Text: "only a failed job can be retried"}},
	{Err: ErrNoVideo, Refusal: web.Refusal{Code: http.StatusConflict, Text: "the uploaded file is gone: upload it again"}},
	{Err: errBadPage, Refusal: web.Refusal{Code: http.StatusBadRequest, Text: "limit must be 1 to 200 and before a job's id"}},

	{Err: errSomebodyElse, Refusal: web.Refusal{Code: http.StatusForbidden, Text: "you are logged in as somebody else: reload the page"}},
	{Err: errNoUpload, Refusal: web.Refusal{Code: http.StatusNotFound, Text: "no such upload"}},
	{Err: errOffset, Refusal: web.Refusal{Code: http.StatusConflict, Text: "Upload-Offset is not where the upload ends: ask with HEAD"}},
	{Err: errTaken, Refusal: web.Refusal{Code: http.StatusConflict, Text: "another request goes on with this upload"}},
	{Err: errWhole, Refusal: web.Refusal{Code: http.StatusConflict, Text: "the upload is whole: delete its job"}},

	{Err: errNotJSON, Refusal: web.Refusal{Code: http.StatusUnsupportedMediaType, Text: "send JSON, with Content-Type: application/json"}},
	{Err: errBadHook, Refusal: web.Refusal{Code: http.StatusBadRequest, Text: `the body must be {"url": "https://example.com/path"}`}},
	{Err: errNoHook, Refusal: web.Refusal{Code: http.StatusNotFound, Text: "no such webhook"}},
	{Err: errManyHooks, Refusal: web.Refusal{Code: http.StatusConflict, Text: fmt.Sprintf("a user may have %d webhooks: delete one first", hook.MaxEach)}},
	{Err: errNoDelivery, Refusal: web.Refusal{Code: http.StatusNotFound, Text: "no such delivery"}},
	{Err: errDisabled, Refusal: web.Refusal{Code: http.StatusConflict, Text: "the webhook is disabled: a test that its receiver accepts enables it"}},

	{Err: errNoOperator, Refusal: web.Refusal{Code: http.StatusForbidden, Text: "for this service's operators only"}},
	{Err: errNotRunning, Refusal: web.Refusal{Code: http.StatusConflict, Text: "only a job that is queued or converting can be ended"}},
	{Err: errBecause, Refusal: web.Refusal{Code: http.StatusBadRequest, Text: "send because as application/x-www-form-urlencoded: one line of at most 500 bytes"}},
	{Err: errNoLetter, Refusal: web.Refusal{Code: http.StatusNotFound, Text: "no such dead letter, unless somebody else is looking at it just now: try again"}},
	{Err: errCutLetter, Refusal: web.Refusal{Code: http.StatusConflict, Text: "only a part of this letter was kept: it can be discarded, not replayed"}},
	{Err: errBadUsers, Refusal: web.Refusal{Code: http.StatusBadRequest, Text: "limit must be 1 to 200 and after an address"}},

	{Err: errNoPage, Refusal: web.Refusal{Code: http.StatusNotFound, Text: "not found"}},
	{Err: errMethod, Refusal: web.Refusal{Code: http.StatusMethodNotAllowed, Text: "method not allowed"}},
}

// refuses reports whether the error is an answer to what was asked, and not that something is away.
func refuses(err error) bool {
	for _, row := range answers {
		if errors.Is(err, row.Err) {
			return row.Refusal.Code < http.StatusInternalServerError
		}
	}
	var refusal *web.Refusal
	return errors.As(err, &refusal) && refusal.Code < http.StatusInternalServerError
}
