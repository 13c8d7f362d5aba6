package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"mp3converter/internal/job"
)

// client is a user who has logged in. Uploads and downloads are as curl does them: one connection each, a form of known
// length.
type client struct {
	base  string // URL of the gateway
	token string
	http  *http.Client
}

// login gets a token.
func login(ctx context.Context, base, email, password string) (*client, error) {
	c := &client{base: base, http: &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: 256, DisableCompression: true,
		WriteBufferSize: 64 << 10, ReadBufferSize: 64 << 10, // as curl's
	}}}
	var err error
	c.token, err = c.login(ctx, email, password)
	return c, err
}

// login returns a new token.
func (c *client) login(ctx context.Context, email, password string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+"/login", nil)
	if err != nil {
		return "", err
	}
	req.SetBasicAuth(email, password)
	resp, err := c.send(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	token, err := io.ReadAll(resp.Body)
	return string(token), err
}

// upload sends a file of so many bytes and returns the id of its job. The gateway's word that it has taken them all is
// what makes it a measurement.
func (c *client) upload(ctx context.Context, file io.Reader, size int64) (id string, err error) {
	boundary := rand.Text()
	head := "--" + boundary + "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"bench.mp4\"\r\nContent-Type: video/mp4\r\n\r\n"
	tail := "\r\n--" + boundary + "--\r\n"
	req, err := c.request(ctx, http.MethodPost, "/upload", io.MultiReader(strings.NewReader(head), file, strings.NewReader(tail)))
	if err != nil {
		return "", err
	}
	req.ContentLength = int64(len(head)) + size + int64(len(tail))
	req.Header.Set("Content-Type", "multipart/form-data; boundary="+boundary)
	req.Header.Set("Accept", "application/json")
	resp, err := c.send(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var job struct {
		ID    string `json:"id"`
		Bytes int64  `json:"bytes"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&job); err != nil {
		return "", fmt.Errorf("read the answer to an upload: %w", err)
	}
	return job.ID, wantBytes(job.Bytes, size)
}

// uploadFile uploads a file and returns the id of its job and when the gateway had taken it.
func (c *client) uploadFile(ctx context.Context, path string) (id string, taken time.Time, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", taken, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", taken, err
	}
	id, err = c.upload(ctx, f, info.Size())
	return id, time.Now(), err
}

// job is what the gateway says of one.
func (c *client) job(ctx context.Context, id string) (job.Job, error) {
	var view jobView
	err := c.get(ctx, "/jobs/"+id, &view)
	return view.job(), err
}

// jobs are the last n.
func (c *client) jobs(ctx context.Context, n int) ([]job.Job, error) {
	var page struct {
		Jobs []jobView `json:"jobs"`
	}
	err := c.get(ctx, "/jobs?limit="+strconv.Itoa(n), &page)
	var all []job.Job
	for _, v := range page.Jobs {
		all = append(all, v.job())
	}
	return all, err
}

// get reads JSON.
func (c *client) get(ctx context.Context, path string, to any) error {
	req, err := c.request(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	resp, err := c.send(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(to); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

// jobView is a job as the gateway shows it.
type jobView struct {
	ID       string     `json:"id"`
	State    job.State  `json:"state"`
	Reason   job.Reason `json:"reason"`
	Detail   string     `json:"detail"`
	Attempts int        `json:"attempts"`
	Seconds  float64    `json:"duration_seconds"`
	Started  time.Time  `json:"started_at"`
	Ended    time.Time  `json:"ended_at"`
}

func (v jobView) job() job.Job {
	return job.Job{
		ID: v.ID, State: v.State, Reason: v.Reason, Detail: v.Detail, Attempt: v.Attempts,
		Duration: time.Duration(v.Seconds * float64(time.Second)), Started: v.Started, Ended: v.Ended,
	}
}

// uploadNoise uploads a file that nothing can be made of.
func (c *client) uploadNoise(ctx context.Context, size int64) error {
	_, err := c.upload(ctx, &noiseReader{size: size}, size)
	return err
}

// download reads a whole MP3 of so many bytes.
func (c *client) download(ctx context.Context, fid string, size int64) error {
	req, err := c.request(ctx, http.MethodGet, "/download?fid="+fid, nil)
	if err != nil {
		return err
	}
	resp, err := c.send(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	got, err := io.Copy(io.Discard, resp.Body)
	if err != nil {
		return fmt.Errorf("download %s: %w", fid, err)
	}
	return wantBytes(got, size)
}

func (c *client) request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	return req, nil
}

// send returns the answer, or an error unless it is a 200.
func (c *client) send(req *http.Request) (*http.Response, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 300))
		resp.Body.Close()
		return nil, fmt.Errorf("%s %s: %s: %s", req.Method, req.URL.Path, resp.Status, text)
	}
	return resp, nil
}
