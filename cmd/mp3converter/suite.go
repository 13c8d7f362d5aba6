package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"mp3converter/cmd/internal/encoder"
	"mp3converter/internal/auth"
	"mp3converter/internal/converter"
	"mp3converter/internal/courier"
	"mp3converter/internal/daemon"
	"mp3converter/internal/doorbell"
	"mp3converter/internal/embedded"
	"mp3converter/internal/gateway"
	"mp3converter/internal/hook"
	"mp3converter/internal/job"
	"mp3converter/internal/link"
	"mp3converter/internal/notification"
	"mp3converter/internal/token"
	"mp3converter/internal/trail"
	"mp3converter/internal/user"
)

// demoUser is made at the first start.
const demoUser = "demo@example.com"

// suite is the four services, running.
type suite struct {
	URL      string // of the gateway
	InboxURL string
	Data     string
	Password string // of the demo user, if this start has made it

	p      *daemon.Process
	cfg    config
	db     *embedded.DB
	videos *embedded.Files
	mp3s   *embedded.Files
	queue  *embedded.Queue
	bell   doorbell.Doorbell
	rules  job.Rules
	links  link.Key // of the links in mails
}

// start opens the stores and runs the services in p.
func start(p *daemon.Process, cfg config) (*suite, error) {
	s := &suite{p: p, cfg: cfg, Data: cfg.Data, rules: cfg.Job()}
	for _, step := range []func() error{s.openStores, s.recover, s.makeLinks, s.serveInbox, s.serveGateway, s.runWorkers, s.makeUser} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *suite) openStores() error {
	lock, err := embedded.Lock(s.Data)
	if err != nil {
		return err
	}
	s.p.Defer(func() { lock.Close() })
	if s.db, err = embedded.OpenDB(filepath.Join(s.Data, "mp3converter.db")); err != nil {
		return err
	}
	s.p.Defer(func() { s.db.Close() })
	if s.videos, err = embedded.OpenFiles(filepath.Join(s.Data, "videos")); err != nil {
		return err
	}
	s.p.Defer(func() { s.videos.Close() })
	if s.mp3s, err = embedded.OpenFiles(filepath.Join(s.Data, "mp3s")); err != nil {
		return err
	}
	s.p.Defer(func() { s.mp3s.Close() })
	s.queue = embedded.NewQueue(embedded.QueueConfig{Grace: s.p.Grace(), Log: s.p.Log})
	s.bell = doorbell.Doorbell{Ledger: s.db.Jobs(), Rules: s.rules, Publish: func(ctx context.Context, to job.Bell, m job.Message) error {
		return s.queue.Publish(ctx, string(to), m)
	}}
	return nil
}

// recover gives back what the process before this one was working on. The folder's lock proves that it is dead, and with
// it its channels: no lease has to run out, and every bell is to be rung again.
func (s *suite) recover() error {
	ledger, now := s.db.Jobs(), time.Now()
	jobs, err := ledger.Unfinished(s.p.Context())
	if err != nil {
		return err
	}
	for _, j := range jobs {
		_, err := ledger.Update(s.p.Context(), j.ID, func(j *job.Job) error {
			j.Orphaned(now)
			return nil
		})
		if err != nil {
			return fmt.Errorf("give back job %s: %w", j.ID, err)
		}
	}
	return s.recoverHooks(now)
}

// recoverHooks does the same for webhooks that somebody was calling.
func (s *suite) recoverHooks(now time.Time) error {
	hooks, err := s.db.Hooks().Due(s.p.Context(), now.AddDate(100, 0, 0), math.MaxInt32)
	if err != nil {
		return err
	}
	for _, h := range hooks {
		_, err := s.db.Hooks().Update(s.p.Context(), h.ID, func(h *hook.Hook) error {
			h.Orphaned(now)
			return nil
		})
		if err != nil {
			return fmt.Errorf("give back webhook %s: %w", h.ID, err)
		}
	}
	return nil
}

func (s *suite) serveInbox() error {
	addr, err := s.p.Serve("inbox", s.cfg.Inbox, s.db.Inbox().Handler(s.p.Log))
	if err != nil {
		return err
	}
	s.InboxURL = reachable(addr)
	return nil
}

// makeUser makes the demo user at the first start of a data folder. It comes last: a password that nobody was told, because
// the start failed, would lock everybody out.
func (s *suite) makeUser() error {
	users, err := s.db.Users().List(s.p.Context())
	if err != nil || len(users) > 0 {
		return err
	}
	s.Password = random(12)
	return s.db.Users().Add(s.p.Context(), user.User{Email: demoUser, Password: auth.Hash(s.Password), Admin: true})
}

// loopback is where the gateway comes from when it asks auth.
var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// serveGateway serves auth on a loopback port, so that the gateway talks to it as it does everywhere, and the gateway.
func (s *suite) serveGateway() error {
	secret, err := s.secret("jwt-secret")
	if err != nil {
		return err
	}
	key, err := token.NewKey(secret)
	if err != nil {
		return err
	}
	users := s.db.Users()
	authority := auth.New(auth.Config{
		Users: users, Failures: users, Revocations: users, Key: key, TrustedProxies: loopback,
		Operators: append([]string{demoUser}, s.cfg.Operators...), Log: s.p.Log.With("part", "auth"),
	})
	if err := authority.Refresh(s.p.Context()); err != nil {
		return err
	}
	s.p.Go("revocations", authority.Watch)
	authAddr, err := s.p.Serve("auth", "127.0.0.1:0", authority.Routes())
	if err != nil {
		return err
	}
	client := gateway.NewAuth(authAddr.String(), nil)
	s.p.Defer(client.Close)
	parts := gateway.Config{
		Auth: client, Videos: s.videos, MP3s: s.mp3s, Ledger: s.db.Jobs(), Ring: s.bell.Ring, Rules: s.rules,
		Arrivals: s.videos, Backlog: s.db.Jobs().Backlog, Links: s.links, Log: s.p.Log, Metrics: s.p.Metrics,
	}
	parts.Hooks, parts.Deliveries = s.db.Hooks(), s.db.Deliveries()
	parts.CheckHook, parts.KeepDeliveries = s.cfg.Reach.Client(0).CheckURL, s.cfg.Keep.D()
	parts.Desk = &gateway.Desk{InState: s.db.Jobs().InState, Oldest: s.db.Jobs().Oldest}
	s.cfg.Uploads.Apply(&parts)
	service := gateway.New(parts)
	s.p.Go("sweeper", service.Sweep)
	s.p.Go("webhooks' log", service.Forget)
	addr, err := s.p.Serve("gateway", s.cfg.Listen, service.Routes())
	if err != nil {
		return err
	}
	s.URL = cmp.Or(s.cfg.BaseURL, reachable(addr))
	return nil
}

func (s *suite) runWorkers() error {
	ffmpeg := encoder.New(s.p, s.cfg.Encoder)
	conversions := converter.New(converter.Config{
		Ledger: s.db.Jobs(), Videos: s.videos, MP3s: s.mp3s, Ring: s.bell.Ring,
		Temp: ffmpeg.Temp, Hire: ffmpeg.Hire, Needed: ffmpeg.Needed, Convert: ffmpeg.Convert, Early: ffmpeg.Early,
		Rules: s.rules, Worker: "mp3converter", Log: s.p.Log, Metrics: s.p.Metrics,
	})
	rounds := courier.Config{
		Jobs: s.db.Jobs(), Hooks: s.db.Hooks(), Deliveries: s.db.Deliveries(),
		Post: s.cfg.Reach.Client(s.cfg.Courier.Timeout.D()).Post, Log: s.p.Log, Metrics: s.p.Metrics,
	}
	s.cfg.Courier.Apply(&rounds, s.rules)
	webhooks := courier.New(rounds)
	mails := notification.New(notification.Config{
		Ledger: s.db.Jobs(), MP3s: s.mp3s, Send: s.db.Inbox().Send, Tell: webhooks.Tell, Rules: s.rules, From: "mp3converter@example.com",
		BaseURL: s.URL, Links: s.links, LinkFor: s.cfg.LinkFor.D(), Worker: "mp3converter", Log: s.p.Log, Metrics: s.p.Metrics,
	})
	s.p.Go("converter", func(ctx context.Context) error {
		if err := ffmpeg.Prepare(ctx); err != nil {
			return nil //nolint:nilerr // told to stop before it worked
		}
		return s.queue.Consume(ctx, string(job.ForConverter), s.cfg.Encoder.Parallel(), trail.Handle("process video", conversions.Handle))
	})
	s.p.Go("webhooks", webhooks.Run)
	s.p.Go("notification", func(ctx context.Context) error {
		return s.queue.Consume(ctx, string(job.ForMailer), 1, trail.Handle("process mp3", mails.Handle))
	})
	return nil
}

// makeLinks gives gateway and notification the key of the links in mails.
func (s *suite) makeLinks() error {
	secret, err := s.secret("link-secret")
	if err != nil {
		return err
	}
	s.links, err = link.NewKey(secret)
	return err
}

// secret is a key in a file of that name: random, made once, so that tokens and links survive a restart.
func (s *suite) secret(name string) (string, error) {
	file := filepath.Join(s.Data, name)
	secret, err := os.ReadFile(file) //nolint:gosec // in DATA_DIR
	if errors.Is(err, fs.ErrNotExist) {
		secret = []byte(random(32))
		err = writeWhole(file, secret)
	}
	return string(secret), err
}

// writeWhole writes a file that is there whole or not at all, whatever ends the process or the machine.
func writeWhole(name string, data []byte) error {
	f, err := os.OpenFile(name+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600) //nolint:gosec // in DATA_DIR
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// random returns n random bytes in letters and digits.
func random(n int) string {
	raw := make([]byte, n)
	_, _ = rand.Read(raw) // never fails: crypto/rand
	return base64.RawURLEncoding.EncodeToString(raw)
}

// reachable is a URL under which this machine reaches what listens on addr, be it all addresses.
func reachable(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if ok && tcp.IP.IsUnspecified() {
		return fmt.Sprintf("http://localhost:%d", tcp.Port)
	}
	return "http://" + addr.String()
}

// welcome says where everything is.
func (s *suite) welcome(w io.Writer) {
	fmt.Fprintf(w, "\n  API    %s\n  mails  %s\n  data   %s\n", s.URL, s.InboxURL, s.Data)
	if s.Password != "" {
		fmt.Fprintf(w, "  user   %s, password %s  (made now, and not shown again)\n", demoUser, s.Password)
	}
	fmt.Fprintf(w, `
  curl -X POST %[1]s/login -u %[2]s:PASSWORD
  curl -X POST -F 'file=@./video.mp4' -H 'Authorization: Bearer JWT' %[1]s/upload
  curl --output audio.mp3 -H 'Authorization: Bearer JWT' "%[1]s/download?fid=ID"

`, s.URL, demoUser)
}
