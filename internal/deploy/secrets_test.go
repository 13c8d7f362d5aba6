package deploy

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	amqp "github.com/rabbitmq/amqp091-go"
	"sigs.k8s.io/yaml"

	"mp3converter/internal/mysql"
	"mp3converter/internal/testserver"
)

const secretsRun = "deploy/secrets/run"

// passwords are what manifests/ publishes: where it is first told to a server, or to nobody but auth.
var passwords = [][2]string{
	{"auth", "JWT_SECRET"}, {"gateway", "LINK_SECRET"}, {"mysql", "MYSQL_ROOT_PASSWORD"}, {"mysql", "MYSQL_PASSWORD"},
	{"mongodb", "MONGO_INITDB_ROOT_PASSWORD"}, {"rabbitmq", "RABBITMQ_DEFAULT_PASS"},
	{"mongodb", "GATEWAY_PASSWORD"}, {"mongodb", "CONVERTER_PASSWORD"}, {"mongodb", "NOTIFICATION_PASSWORD"},
	{"rabbitmq", "GATEWAY_PASSWORD"}, {"rabbitmq", "CONVERTER_PASSWORD"}, {"rabbitmq", "NOTIFICATION_PASSWORD"},
}

func TestSecretsTakeThePlaceOfAllPublishedPasswords(t *testing.T) {
	w, run := newWorld(t, "kubectl")
	out, err := run(secretsRun)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	first := w.secrets(t)
	isConsistent(t, first)
	isSilent(t, out, w.calls(t), first)

	out, err = run(secretsRun)
	if err != nil || !strings.Contains(out, "random already") {
		t.Errorf("once more: %v\n%s", err, out)
	}
	if diff := cmp.Diff(first, w.secrets(t)); diff != "" {
		t.Errorf("the second run changed what the first made:\n%s", diff)
	}

	old := maps.Clone(first["gateway-random"]) // made when there was no such key
	delete(old, "LINK_SECRET")
	doc, _ := yaml.Marshal(map[string]any{"kind": "Secret", "metadata": map[string]string{"name": "gateway-random"}, "stringData": old})
	w.apply(bytes.NewReader(doc))
	if out, err := run(secretsRun); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	added := w.secrets(t)
	isConsistent(t, added)
	first["gateway-random"]["LINK_SECRET"] = added["gateway-random"]["LINK_SECRET"]
	first["notification-random"]["LINK_SECRET"] = added["gateway-random"]["LINK_SECRET"]
	if diff := cmp.Diff(first, added); diff != "" {
		t.Errorf("a run that adds a key changed others:\n%s", diff)
	}

	if out, err := run(secretsRun, "--rotate"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	rotated := w.secrets(t)
	isConsistent(t, rotated)
	for _, p := range passwords {
		if name := p[0] + "-random"; rotated[name][p[1]] == first[name][p[1]] {
			t.Errorf("--rotate kept %s of %s", p[1], name)
		}
	}
}

// isConsistent looks at what pods read when the random Secrets come after the published ones: it is what was published,
// with each password replaced wherever it stood.
func isConsistent(t *testing.T, random map[string]map[string]string) {
	t.Helper()
	published := publishedSecrets(t)
	var anew []string
	for _, p := range passwords {
		old, fresh := published[p[0]+"-secret"][p[1]], random[p[0]+"-random"][p[1]]
		if old == "" || len(fresh) < 32 || slices.Contains(anew, fresh) {
			t.Errorf("%s of %s: published %d bytes, now %d, and of its own: %v", p[1], p[0], len(old), len(fresh), !slices.Contains(anew, fresh))
		}
		anew = append(anew, old, fresh)
	}
	replace := strings.NewReplacer(anew...)
	for name, values := range published {
		service := strings.TrimSuffix(name, "-secret")
		read := maps.Clone(values)
		maps.Copy(read, random[service+"-random"])
		want := map[string]string{}
		for k, v := range values {
			want[k] = replace.Replace(v)
		}
		if diff := cmp.Diff(want, read); diff != "" {
			t.Errorf("what %s reads:\n%s", service, diff)
		}
	}
}

// isSilent looks for the values where they must not be seen.
func isSilent(t *testing.T, out string, calls []string, secrets map[string]map[string]string) {
	t.Helper()
	if len(calls) == 0 {
		t.Error("nothing was called")
	}
	for name, values := range secrets {
		for key, v := range values {
			if strings.Contains(out, v) {
				t.Errorf("%s of %s is printed", key, name)
			}
			for _, call := range calls {
				if strings.Contains(call, v) {
					t.Errorf("%s of %s is in a command line", key, name)
				}
			}
		}
	}
}

func publishedSecrets(t *testing.T) map[string]map[string]string {
	t.Helper()
	files, err := filepath.Glob(root + "manifests/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no manifests: %v", err)
	}
	all := map[string]map[string]string{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for document := range bytes.SplitSeq(text, []byte("\n---\n")) {
			var s struct {
				Kind       string
				Metadata   struct{ Name string }
				StringData map[string]string
			}
			if err := yaml.Unmarshal(document, &s); err != nil {
				t.Fatalf("%s: %v", f, err)
			}
			if s.Kind == "Secret" {
				all[s.Metadata.Name] = s.StringData
			}
		}
	}
	return all
}

// installed is a world in which kubectl apply -f manifests went before: servers with the published passwords, which are
// real but for MongoDB, for there is no mongosh here.
func installed(t *testing.T) (w world, run func(...string) (string, error), database *testserver.MariaDB, broker *testserver.Rabbit) {
	t.Helper()
	w, run = newWorld(t, "kubectl", "mongosh")
	published := publishedSecrets(t)
	for name, values := range published {
		doc, _ := yaml.Marshal(map[string]any{"kind": "Secret", "metadata": map[string]string{"name": name}, "stringData": values})
		w.apply(bytes.NewReader(doc))
	}
	for _, claim := range []string{"data-mysql-0", "data-mongodb-0", "rabbitmq-pvc"} {
		w.set("", "persistentvolumeclaim", claim)
	}
	for _, server := range []string{"mysql", "mongodb", "rabbitmq"} {
		w.set("True", "pod", server+"-0")
	}
	for _, service := range []string{"auth", "gateway", "converter", "notification"} {
		w.set("", "deployment", service)
	}
	database, err := testserver.StartMariaDB()
	if err == nil {
		err = database.Init()
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := database.SQL(fmt.Sprintf(`CREATE USER root@'%%' IDENTIFIED BY '%[1]s'; GRANT ALL ON *.* TO root@'%%' WITH GRANT OPTION;
		DROP USER root@'127.0.0.1'; ALTER USER root@localhost IDENTIFIED BY '%[1]s'`, published["mysql-secret"]["MYSQL_ROOT_PASSWORD"])); err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(database.Addr)
	w.set("HOSTNAME=127.0.0.1 MYSQL_TCP_PORT="+port, "env", "mysql-0")
	w.set("MONGO_INITDB_ROOT_USERNAME=mp3converter", "env", "mongodb-0")

	broker, err = testserver.StartRabbitMQ()
	if err != nil {
		t.Fatal(err)
	}
	password := published["rabbitmq-secret"]
	for _, args := range [][]string{ // notification is missing, as where the volume is older than the users
		{"add_user", "mp3converter", password["RABBITMQ_DEFAULT_PASS"]}, {"set_permissions", "mp3converter", ".*", ".*", ".*"},
		{"add_user", "gateway", password["GATEWAY_PASSWORD"]}, {"set_permissions", "gateway", ".*", ".*", ".*"},
		{"add_user", "converter", password["CONVERTER_PASSWORD"]}, {"set_permissions", "converter", ".*", ".*", ".*"},
	} {
		if _, err := broker.Ctl(args...); err != nil {
			t.Fatal(err)
		}
	}
	w.set("RABBITMQ_DEFAULT_USER=mp3converter", "env", "rabbitmq-0")
	ctl := broker.CtlCommand()
	script := "#!/bin/sh\ncd " + ctl.Dir + "\nexec env"
	for _, kv := range ctl.Env {
		if strings.HasPrefix(kv, "RABBITMQ_") || strings.HasPrefix(kv, "ERL_") || kv == "HOME="+ctl.Dir {
			script += " '" + kv + "'"
		}
	}
	w.set(script+" "+strings.Join(ctl.Args, " ")+` "$@"`+"\n", "bin", "rabbitmqctl")
	if err := os.Chmod(w.path("bin", "rabbitmqctl"), 0o700); err != nil {
		t.Fatal(err)
	}
	return w, run, database, broker
}

func TestSecretsChangeThePasswordsOfServersThatRun(t *testing.T) {
	w, run, database, broker := installed(t)
	before := publishedSecrets(t)
	letIn := func(what string, want bool, values map[string]map[string]string, suffix string) {
		t.Helper()
		for server, in := range map[string]error{
			"mysql as root": login(t.Context(), database.Addr, "root", values["mysql"+suffix]["MYSQL_ROOT_PASSWORD"]),
			"mysql as auth": login(t.Context(), database.Addr, "auth_user", values["mysql"+suffix]["MYSQL_PASSWORD"]),
			"rabbitmq":      dial(broker.Addr, "mp3converter", values["rabbitmq"+suffix]["RABBITMQ_DEFAULT_PASS"]),
			"gateway":       dial(broker.Addr, "gateway", values["rabbitmq"+suffix]["GATEWAY_PASSWORD"]),
			"converter":     dial(broker.Addr, "converter", values["rabbitmq"+suffix]["CONVERTER_PASSWORD"]),
		} {
			if (in == nil) != want {
				t.Errorf("%s: %s lets in %v: %v", what, server, in == nil, in)
			}
		}
	}
	letIn("the published passwords", true, before, "-secret")

	// Cut off when MySQL has its new password and MongoDB has not.
	w.set("exec -i mongodb-0", "fails")
	if out, err := run(secretsRun); err == nil {
		t.Fatalf("it does not fail with kubectl:\n%s", out)
	}
	w.set("", "fails")
	half := w.secrets(t)
	w.calls(t)
	out, err := run(secretsRun, "--rotate") // goes on first; once more is another run
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	delete(half, "random-before")
	whole := w.secrets(t)
	if diff := cmp.Diff(half, whole); diff != "" {
		t.Errorf("going on changed:\n%s", diff)
	}
	calls := w.calls(t)
	isConsistent(t, whole)
	isSilent(t, out, calls, withoutPublic(whole))
	letIn("the first random passwords", true, whole, "-random")
	letIn("the published passwords, still", false, before, "-secret")
	for _, service := range []string{"auth", "gateway", "converter", "notification"} {
		if !slices.Contains(calls, "kubectl -n mp3converter rollout restart deployment/"+service) {
			t.Errorf("%s is not restarted, so it does not know", service)
		}
	}

	if out, err := run(secretsRun, "--rotate"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	rotated := w.secrets(t)
	letIn("the rotated passwords", true, rotated, "-random")
	letIn("the first random passwords, still", false, whole, "-random")
	anew := rotated["mongodb-random"]
	want := anew["MONGO_INITDB_ROOT_PASSWORD"] + " " + whole["mongodb-random"]["MONGO_INITDB_ROOT_PASSWORD"]
	for _, key := range []string{"GATEWAY_PASSWORD", "CONVERTER_PASSWORD", "NOTIFICATION_PASSWORD"} {
		want += " " + key + " " + anew[key]
	}
	if w.get("mongosh") != want {
		t.Error("mongosh was not told the new password, the one before, and those of the services")
	}
}

// withoutPublic leaves out what is in published Secrets too: it may be in a command line.
func withoutPublic(secrets map[string]map[string]string) map[string]map[string]string {
	random := map[string]map[string]string{}
	for name, values := range secrets {
		if strings.HasSuffix(name, "-random") {
			random[name] = values
		}
	}
	return random
}

func TestSecretsLeaveAServerThatCannotBeTold(t *testing.T) {
	w, run := newWorld(t, "kubectl")
	w.set("", "persistentvolumeclaim", "data-mysql-0")
	w.set("False", "pod", "mysql-0")
	out, err := run(secretsRun)
	if err == nil || !strings.Contains(out, "mysql has a volume") {
		t.Errorf("%v\n%s", err, out)
	}
	if made := w.secrets(t); len(made) > 0 {
		t.Errorf("it made %v all the same: auth could not log in", slices.Collect(maps.Keys(made)))
	}
}

func login(ctx context.Context, addr, user, password string) error {
	host, port, _ := net.SplitHostPort(addr)
	var number int
	if _, err := fmt.Sscan(port, &number); err != nil {
		return err
	}
	db, err := mysql.Open(mysql.Config{Host: host, Port: number, User: user, Password: password, Database: "auth"})
	if err != nil {
		return err
	}
	defer db.Close()
	return db.Ping(ctx)
}

func dial(addr, user, password string) error {
	conn, err := amqp.Dial("amqp://" + user + ":" + password + "@" + addr + "/")
	if err != nil {
		return err
	}
	return conn.Close()
}
