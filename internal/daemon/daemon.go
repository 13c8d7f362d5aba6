// Package daemon is the process around a service: signals, logs, the ops port (/livez /readyz /metrics) and serving HTTP
// until told to stop. It knows no service; what a service needs to be ready it says with Process.Needs.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"
	"golang.org/x/term"

	"mp3converter/internal/settings"
	"mp3converter/internal/trail"
	"mp3converter/internal/trail/otlp"
	"mp3converter/internal/web"
)

// Settings are the variables that every service has.
type Settings struct {
	Ops   string           `env:"OPS_LISTEN" envDefault:":9090" doc:"host:port of /livez, /readyz and /metrics; keep it inside the cluster"`
	Drain settings.Seconds `env:"DRAIN_SECONDS" envDefault:"3" doc:"after SIGTERM: not ready but still serving, until the endpoints have followed"`
	Grace settings.Seconds `env:"GRACE_SECONDS" envDefault:"30" doc:"after that: for what is running to end; then it is cut off, and given back. Let 15 seconds more pass before a SIGKILL"`
	Level slog.Level       `env:"LOG_LEVEL" envDefault:"INFO" doc:"DEBUG, INFO, WARN or ERROR"`

	Traces otlp.Settings
}

// Validate reports what the variables cannot be.
func (s Settings) Validate() error { return s.Traces.Validate() }

// Process is one running service.
type Process struct {
	Name    string
	Log     *slog.Logger
	Metrics *prometheus.Registry

	settings Settings
	ready    readiness
	group    *errgroup.Group
	ctx      context.Context
	deferred []func()
}

// Main runs a service and exits: 0 when it was told to stop and did, 1 with the error on standard error otherwise.
// A T is the service's settings; its Settings field of this package's type must be what daemonSettings returns.
func Main[T any](name string, daemonSettings func(T) Settings, run func(p *Process, cfg T) error) {
	if wantsHelp(os.Args[1:]) {
		Help[T](os.Stdout, name)
		return
	}
	if len(os.Args) > 1 {
		Exit(fmt.Errorf("%s: unknown argument %q; settings are environment variables, see %s -h", name, os.Args[1], name))
	}
	cfg, err := settings.Load[T](os.Environ())
	if err != nil {
		Exit(fmt.Errorf("%s does not start, mend its environment:\n%w", name, err))
	}
	Exit(Run(name, daemonSettings(cfg), func(p *Process) error { return run(p, cfg) }))
}

// Run runs a service until a signal ends it or a part of it fails. The first SIGTERM or SIGINT makes it unready, then,
// after Settings.Drain, ends Process.Context; a second one ends the process at once.
func Run(name string, s Settings, run func(p *Process) error) error {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)
	log := NewLog(os.Stderr, s.Level, name)
	tracer, sendTraces, err := otlp.Start(s.Traces, name, Version(), log)
	if err != nil {
		return err
	}
	defer sendTraces()
	stop, cancel := context.WithCancelCause(trail.Traced(context.Background(), tracer))
	defer cancel(nil)
	group, ctx := errgroup.WithContext(stop)
	p := &Process{Name: name, Log: log, Metrics: NewMetrics(name), settings: s, group: group, ctx: ctx}
	go p.obey(signals, cancel)

	closeOps, err := p.serveOps()
	if err != nil {
		return err
	}
	defer closeOps()
	p.Log.Info("starting", "version", Version(), "ops", s.Ops)
	err = run(p)
	if err != nil {
		cancel(err)
	} else {
		p.Go("readiness", p.watch)
	}
	err = errors.Join(err, group.Wait())
	for _, release := range slices.Backward(p.deferred) {
		release()
	}
	if errors.Is(context.Cause(stop), errSignal) && (err == nil || errors.Is(err, context.Canceled)) {
		p.Log.Info("stopped")
		return nil
	}
	return err
}

var errSignal = errors.New("told to stop")

// obey waits for signals for as long as the process lives.
func (p *Process) obey(signals <-chan os.Signal, cancel context.CancelCauseFunc) {
	var drained <-chan time.Time
	for asked := false; ; {
		select {
		case sig := <-signals:
			if asked {
				p.Log.Warn("second signal: ending at once", "signal", sig.String())
				os.Exit(1)
			}
			asked = true
			p.Log.Info("stopping", "signal", sig.String(), "drain", p.settings.Drain.D().String(), "grace", p.settings.Grace.D().String())
			p.ready.stopping.Store(true)
			drained = time.After(p.settings.Drain.D())
		case <-drained:
			cancel(errSignal)
			drained = nil
		}
	}
}

// Context ends when the service is to take no more work. What runs then has Grace to end.
func (p *Process) Context() context.Context { return p.ctx }

// Grace is how long running work may go on after Context has ended.
func (p *Process) Grace() time.Duration { return p.settings.Grace.D() }

// Go runs a part of the service. If it returns an error, the service stops with it; the process ends after all parts.
func (p *Process) Go(name string, part func(ctx context.Context) error) {
	p.group.Go(func() error {
		if err := part(p.ctx); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	})
}

// Defer has release called after all parts have ended, the last first.
func (p *Process) Defer(release func()) { p.deferred = append(p.deferred, release) }

// Serve serves h on addr: it listens at once, so that a taken port is an error here, and returns where. When Context ends
// it takes no more connections, closes web.Stopping and lets the running requests end within Grace; then their own contexts end, with
// web.ErrStopping, and after a few last words their connections.
func (p *Process) Serve(name, addr string, h http.Handler) (net.Addr, error) {
	listener, err := new(net.ListenConfig).Listen(p.ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for %s: %w", name, err)
	}
	server := web.NewServer(p.leaving(h), p.Log)
	requests, cut := context.WithCancelCause(web.WithStopping(context.WithoutCancel(p.ctx), p.ctx.Done()))
	server.BaseContext = func(net.Listener) context.Context { return requests }
	p.group.Go(func() error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve %s: %w", name, err)
		}
		return nil
	})
	p.group.Go(func() error {
		<-p.ctx.Done()
		defer cut(nil)
		if shutdown(server, p.Grace()) == nil {
			return nil
		}
		p.Log.Warn("cutting off requests that outlived the grace", "server", name)
		cut(web.ErrStopping)
		if shutdown(server, lastWords) == nil {
			return nil
		}
		return server.Close()
	})
	p.Log.Info("serving", "server", name, "addr", listener.Addr().String())
	return listener.Addr(), nil
}

// lastWords is how long a request that is cut off has to say so, and to remove what it has half done.
const lastWords = 5 * time.Second

// shutdown takes no more connections and waits for the running requests, so long.
func shutdown(server *http.Server, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return server.Shutdown(ctx)
}

// leaving has clients whose connections stand go elsewhere once the process drains: without that their next request may
// arrive when the connection has just been closed, and be lost.
func (p *Process) leaving(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.ready.stopping.Load() {
			w.Header().Set("Connection", "close")
		}
		h.ServeHTTP(w, r)
	})
}

// NewLog returns a logger that writes JSON, or text if w is a terminal, and with each line what it is about: see trail.Log.
func NewLog(w io.Writer, level slog.Leveler, service string) *slog.Logger {
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: readable}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return slog.New(trail.Log(slog.NewTextHandler(w, options))).With("service", service)
	}
	return slog.New(trail.Log(slog.NewJSONHandler(w, options))).With("service", service)
}

// readable writes durations for people: 1.5s, not 1500000000.
func readable(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().Round(time.Microsecond).String())
	}
	return a
}

// NewMetrics returns a registry with what every process tells about itself.
func NewMetrics(service string) *prometheus.Registry {
	metrics := prometheus.NewRegistry()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "build_info", Help: "Always 1; the labels say what runs.",
		ConstLabels: prometheus.Labels{"service": service, "version": Version()},
	})
	build.Set(1)
	metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), build)
	return metrics
}

// version is set by the linker: -X mp3converter/internal/daemon.version=v1.2.3.
var version string

// Version says what was built: the linker's version, else the commit.
func Version() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value[:min(12, len(s.Value))]
			}
		}
	}
	return "devel"
}

func wantsHelp(args []string) bool {
	return len(args) == 1 && (args[0] == "-h" || args[0] == "-help" || args[0] == "--help" || args[0] == "help")
}

// Help writes what the command's settings are.
func Help[T any](w io.Writer, name string) {
	fmt.Fprintf(w, "%s %s\n\nSettings, all environment variables:\n", name, Version())
	settings.Usage(w, settings.Describe[T]())
}

// Exit ends the process: silently with 0 if err is nil, else with the error and 1.
func Exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}
