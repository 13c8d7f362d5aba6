package testserver

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// Rabbit is a RabbitMQ node of Debian's package, run as a plain process by whoever runs the tests: it shares no name,
// port, cookie or name server (epmd) with a RabbitMQ that the machine may have. A start takes about five seconds.
type Rabbit struct {
	*Server
	epmd, dist string // ports of 127.0.0.1
	vhosts     atomic.Int64
}

// rabbitHome is where the package keeps the scripts that do not insist on being root.
const rabbitHome = "/usr/lib/rabbitmq/bin/"

var sharedRabbit = sync.OnceValues(StartRabbitMQ)

// RabbitMQ returns the URL of a virtual host of the test's own, on a server shared by the whole test process.
func RabbitMQ(tb testing.TB) string {
	tb.Helper()
	r, err := sharedRabbit()
	if err != nil {
		tb.Fatal(err)
	}
	address, err := r.NewVhost()
	if err != nil {
		tb.Fatal(err)
	}
	return address
}

// StartRabbitMQ starts a server that the test may kill and Restart.
func StartRabbitMQ() (*Rabbit, error) {
	r := &Rabbit{}
	for _, port := range []*string{&r.epmd, &r.dist} {
		addr, err := FreeAddr()
		if err != nil {
			return nil, err
		}
		*port = portOf(addr)
	}
	server, err := start(r.spec())
	r.Server = server
	return r, err
}

// URL is the server's address with its default virtual host.
func (r *Rabbit) URL() string { return "amqp://guest:guest@" + r.Addr + "/" }

// NewVhost makes an empty virtual host and returns its URL.
func (r *Rabbit) NewVhost() (string, error) {
	name := fmt.Sprintf("test%d", r.vhosts.Add(1))
	_, err := r.Ctl("eval", fmt.Sprintf(`
		rabbit_vhost:add(<<"%[1]s">>, <<"tests">>),
		rabbit_auth_backend_internal:set_permissions(<<"guest">>, <<"%[1]s">>, <<".*">>, <<".*">>, <<".*">>, <<"tests">>).`, name))
	return r.URL() + url.PathEscape(name), err
}

// Ctl runs rabbitmqctl against the server and returns what it printed.
func (r *Rabbit) Ctl(args ...string) (string, error) {
	out, err := r.CtlCommand(args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("rabbitmqctl %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

// CtlCommand is what Ctl runs.
func (r *Rabbit) CtlCommand(args ...string) *exec.Cmd {
	cmd := exec.Command(rabbitHome+"rabbitmqctl", append([]string{"--quiet", "--node", nodeName(r.Addr)}, args...)...)
	cmd.Env, cmd.Dir = r.env(r.Dir, r.Addr), r.Dir
	return cmd
}

// Flush makes the queues that exist safe against Kill. RabbitMQ 3.10 notes a new quorum queue on disk half a second after
// it has confirmed it; killed before, it comes back with a queue that never answers.
func (r *Rabbit) Flush() error {
	_, err := r.Ctl("eval", "[dets:sync(T) || T <- dets:all()].")
	return err
}

// Restart starts a killed server over the same data.
func (r *Rabbit) Restart() error { return r.run(r.spec()) }

// Erase removes all data of a killed server: queues, messages, virtual hosts.
func (r *Rabbit) Erase() error { return os.RemoveAll(filepath.Join(r.Dir, "mnesia")) }

func (r *Rabbit) spec() spec {
	return spec{
		name: "rabbitmq", install: "apt-get install rabbitmq-server",
		prepare: prepareRabbit, ready: speaksAMQP,
		command: func(dir, addr string) *exec.Cmd {
			// The name server would outlive the node as a daemon; like this it dies with it. The node becomes the very
			// process we start, so that a signal to our child reaches it.
			cmd := exec.Command("sh", "-c", `setpriv --pdeathsig KILL epmd -port "$ERL_EPMD_PORT" -address 127.0.0.1 & exec `+rabbitHome+`rabbitmq-server -noinput`)
			cmd.Env, cmd.Dir = r.env(dir, addr), dir
			return cmd
		},
	}
}

func (r *Rabbit) env(dir, addr string) []string {
	return append(os.Environ(),
		"HOME="+dir, // of the cookie
		"ERL_EPMD_PORT="+r.epmd, "ERL_EPMD_ADDRESS=127.0.0.1",
		"RABBITMQ_CONF_ENV_FILE=/dev/null",
		"RABBITMQ_CONFIG_FILE="+filepath.Join(dir, "rabbitmq"),
		"RABBITMQ_NODENAME="+nodeName(addr),
		"RABBITMQ_NODE_IP_ADDRESS=127.0.0.1", "RABBITMQ_NODE_PORT="+portOf(addr), "RABBITMQ_DIST_PORT="+r.dist,
		"RABBITMQ_MNESIA_BASE="+filepath.Join(dir, "mnesia"),
		"RABBITMQ_LOG_BASE="+filepath.Join(dir, "logs"), "RABBITMQ_LOGS=-",
		"RABBITMQ_ENABLED_PLUGINS_FILE="+filepath.Join(dir, "enabled_plugins"),
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1}",
		"RUNNING_UNDER_SYSTEMD=true", // the script execs the node instead of waiting for it
	)
}

func prepareRabbit(dir string) error {
	if _, err := os.Stat(rabbitHome + "rabbitmq-server"); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "enabled_plugins"), []byte("[].\n"), 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, ".erlang.cookie"), []byte("tests"), 0o400)
}

// speaksAMQP is nil once the server lets a client in, which is later than it listens.
func speaksAMQP(addr string) error {
	conn, err := amqp.DialConfig("amqp://guest:guest@"+addr+"/", amqp.Config{Dial: amqp.DefaultDial(2 * time.Second)})
	if err != nil {
		return err
	}
	return conn.Close()
}

func nodeName(addr string) string { return "mp3c-" + portOf(addr) + "@localhost" }

func portOf(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }
