package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

// client is a user who has logged in.
type client struct {
	base  string // URL of the gateway
	token string
	job   string // path of the uploaded video's job
	fid   string // of the MP3, from the mail
}

// login gets a token.
func login(ctx context.Context, base, email, password string) (*client, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/login", nil)
	if err != nil {
		return nil, err
	}
	req.SetBasicAuth(email, password)
	token, _, err := send(req)
	if err != nil {
		return nil, err
	}
	return &client{base: base, token: string(token)}, nil
}

// upload streams the file and reports the part that is on its way.
func (c *client) upload(ctx context.Context, file string, progress func(part float64)) (answer string, err error) {
	f, err := os.Open(file) //nolint:gosec // the one named on the command line
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	body, w := io.Pipe()
	form := multipart.NewWriter(w)
	go func() {
		part, err := form.CreateFormFile("file", filepath.Base(file))
		if err == nil {
			_, err = io.Copy(part, &counter{Reader: f, total: info.Size(), progress: progress})
		}
		w.CloseWithError(errors.Join(err, form.Close())) // unblocks the request, which ends this goroutine in turn
	}()
	defer body.Close()
	req, err := c.request(ctx, http.MethodPost, "/upload", body)
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", form.FormDataContentType())
	text, header, err := send(req)
	c.job = header.Get("Location")
	return string(text), err
}

// counter reports how much of a file has been read.
type counter struct {
	io.Reader
	read, total int64
	progress    func(part float64)
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.read += int64(n)
	c.progress(float64(c.read) / float64(max(1, c.total)))
	return n, err
}

// jobStatus is what the demo reads of a job.
type jobStatus struct {
	State    string `json:"state"`
	Progress int    `json:"progress"`
	Reason   string `json:"reason"`
	Detail   string `json:"detail"`
}

func (c *client) status(ctx context.Context) (status jobStatus, err error) {
	req, err := c.request(ctx, http.MethodGet, c.job, nil)
	if err != nil {
		return status, err
	}
	body, _, err := send(req)
	if err != nil {
		return status, err
	}
	return status, json.Unmarshal(body, &status)
}

// received is a mail as the inbox shows it.
type received struct {
	From    string    `json:"from"`
	To      string    `json:"to"`
	Subject string    `json:"subject"`
	Body    string    `json:"body"`
	Date    time.Time `json:"date"`
}

func (c *client) mails(ctx context.Context, inbox string) (mails []received, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, inbox+"/mails?to="+url.QueryEscape(demoUser), nil)
	if err != nil {
		return nil, err
	}
	body, _, err := send(req)
	if err != nil {
		return nil, err
	}
	return mails, json.Unmarshal(body, &mails)
}

var mp3Line = regexp.MustCompile(`mp3 file_id: ([0-9a-f]{24}) is now ready!`)

// mp3ID finds the MP3's id in a mail.
func mp3ID(body string) string {
	if found := mp3Line.FindStringSubmatch(body); found != nil {
		return found[1]
	}
	return ""
}

// download writes the MP3 to a file.
func (c *client) download(ctx context.Context, file string) error {
	req, err := c.request(ctx, http.MethodGet, "/download?fid="+c.fid, nil)
	if err != nil {
		return err
	}
	body, _, err := send(req)
	if err != nil {
		return err
	}
	return os.WriteFile(file, body, 0o600)
}

func (c *client) request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	return req, nil
}

// send returns the answer's body, or an error unless it is a 200.
func send(req *http.Request) ([]byte, http.Header, error) {
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, http.Header{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s: %.200s", req.Method, req.URL.Path, resp.Status, body)
	}
	return body, resp.Header, err
}
