package deploy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/template"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"mp3converter/internal/manifests"
	"mp3converter/internal/mongodb"
)

// object is a rendered Kubernetes object.
type object map[string]any

// at walks down by keys and numbers, with dots between; a key that has dots itself is asked for otherwise.
func (o object) at(t *testing.T, path string) any {
	t.Helper()
	var v any = map[string]any(o)
	for key := range strings.SplitSeq(path, ".") {
		switch in := v.(type) {
		case map[string]any:
			v = in[key]
		case []any:
			n, err := strconv.Atoi(key)
			if err != nil || n >= len(in) {
				t.Fatalf("%s: no %s", path, key)
			}
			v = in[n]
		}
	}
	if v == nil {
		t.Fatalf("%v has no %s", o["metadata"], path)
	}
	return v
}

func (o object) text(t *testing.T, path string) string {
	t.Helper()
	return fmt.Sprint(o.at(t, path))
}

// render is kubectl kustomize: the objects by kind/name, and all of it as text.
func render(t *testing.T, dir string) (map[string]object, string) {
	t.Helper()
	// As kubectl: nothing from outside the folder but what is named.
	out, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), root+dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]object{}
	for _, r := range out.Resources() {
		o, err := r.Map()
		if err != nil {
			t.Fatal(err)
		}
		all[r.GetKind()+"/"+r.GetName()] = o
	}
	text, err := out.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return all, string(text)
}

func TestProductionHasNothingPublished(t *testing.T) {
	all, text := render(t, "deploy/production")
	published := publishedSecrets(t)
	for _, p := range passwords {
		if value := published[p[0]+"-secret"][p[1]]; value == "" || strings.Contains(text, value) {
			t.Errorf("the published %s of %s is there", p[1], p[0])
		}
	}
	for name := range all {
		if kind, _, _ := strings.Cut(name, "/"); slices.Contains([]string{"Secret", "StatefulSet", "PersistentVolumeClaim"}, kind) || strings.Contains(name, "mailpit") {
			t.Errorf("%s is still there", name)
		}
	}
	for _, word := range []string{"DEV", "-random"} {
		if strings.Contains(text, word) {
			t.Errorf("%q is still there", word)
		}
	}
}

func TestProductionFillsTheSecretsThatPodsRead(t *testing.T) {
	all, _ := render(t, "deploy/production")
	base, _ := render(t, "manifests")
	for _, service := range []string{"auth", "gateway", "converter", "notification"} {
		if n := len(all["Deployment/"+service].at(t, "spec.template.spec.containers.0.envFrom").([]any)); n != 2 {
			t.Errorf("%s reads %d sources, want its ConfigMap and its Secret", service, n)
		}
		given := names(all["ConfigMap/"+service+"-configmap"].at(t, "data"))
		given = append(given, keysOf(t, all["ExternalSecret/"+service+"-secret"])...)
		for _, key := range names(base["Secret/"+service+"-secret"].at(t, "stringData")) {
			if !slices.Contains(given, key) && key != "SMTP_PORT" { // whose default follows SMTP_TLS
				t.Errorf("%s is not given %s", service, key)
			}
		}
	}
}

func names(m any) (keys []string) {
	for k := range m.(map[string]any) {
		keys = append(keys, k)
	}
	return keys
}

// keysOf are the keys of the Secret that an ExternalSecret makes.
func keysOf(t *testing.T, o object) (keys []string) {
	t.Helper()
	if o.at(t, "spec").(map[string]any)["target"] != nil {
		return names(o.at(t, "spec.target.template.data"))
	}
	for _, d := range o.at(t, "spec.data").([]any) {
		keys = append(keys, d.(map[string]any)["secretKey"].(string))
	}
	return keys
}

// filled is what the External Secrets Operator makes of a template, with every value of the store the same.
func filled(t *testing.T, o object, key, value string) string {
	t.Helper()
	values := map[string]string{}
	for _, d := range o.at(t, "spec.data").([]any) {
		values[d.(map[string]any)["secretKey"].(string)] = value
	}
	toJSON := func(v any) (string, error) {
		text, err := json.Marshal(v)
		return string(text), err
	}
	tmpl, err := template.New("").Funcs(template.FuncMap{"toJson": toJSON}).Option("missingkey=error").Parse(fmt.Sprint(o.at(t, "spec.target.template.data").(map[string]any)[key]))
	var out bytes.Buffer
	if err == nil {
		err = tmpl.Execute(&out, values)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestProductionURLsLeadToEveryMemberWithAnyPassword(t *testing.T) {
	all, _ := render(t, "deploy/production")
	const password = "p@ss:/wo?rd#%"
	mongodb := all["MongoDBCommunity/mongodb"]
	members := mongodb.at(t, "spec.members").(int)
	var hosts []string
	for n := range members {
		hosts = append(hosts, fmt.Sprintf("mongodb-%d.mongodb-svc.mp3converter.svc.cluster.local:27017", n))
	}
	for _, service := range []string{"gateway", "converter", "notification"} {
		secret := all["ExternalSecret/"+service+"-secret"]
		uri := filled(t, secret, "MONGODB_URI", password)
		got := taken(t, strings.Replace(uri, strings.Join(hosts, ","), "all-members", 1))
		want := [4]string{service, password, "all-members", "authSource=admin&replicaSet=mongodb"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("MONGODB_URI of %s:\n%s", service, diff)
		}
		got = taken(t, filled(t, secret, "RABBITMQ_URL", password))
		if diff := cmp.Diff([4]string{service, password, "rabbitmq:5672", ""}, got); diff != "" {
			t.Errorf("RABBITMQ_URL of %s:\n%s", service, diff)
		}
	}
	for _, ref := range all["TriggerAuthentication/converter-queue"].at(t, "spec.secretTargetRef").([]any) {
		from := ref.(map[string]any)
		if secret := all["ExternalSecret/"+from["name"].(string)]; secret == nil || !slices.Contains(keysOf(t, secret), from["key"].(string)) {
			t.Errorf("KEDA's %s is in no Secret", from["parameter"])
		}
	}
}

// taken takes an URL apart: user, password, host, query.
func taken(t *testing.T, address string) [4]string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()
	return [4]string{u.User.Username(), password, u.Host, u.Query().Encode()}
}

// Users and passwords are the same on both sides, and the rights those that package rights tries.
func TestProductionGivesEachServiceTheRightsOfManifests(t *testing.T) {
	all, _ := render(t, "deploy/production")
	properties := func(name string) map[string]any {
		from := map[string]any{}
		for _, d := range all["ExternalSecret/"+name].at(t, "spec.data").([]any) {
			entry := object(d.(map[string]any))
			from[entry.text(t, "secretKey")] = entry.at(t, "remoteRef.property")
		}
		return from
	}
	roles := map[string]any{}
	for _, r := range all["MongoDBCommunity/mongodb"].at(t, "spec.security.roles").([]any) {
		roles[object(r.(map[string]any)).text(t, "role")] = r
	}
	users := all["MongoDBCommunity/mongodb"].at(t, "spec.users").([]any)
	for _, u := range users {
		u := object(u.(map[string]any))
		service := u.text(t, "name")
		var privileges []any
		for _, p := range mongodb.Roles[service] {
			var actions []any
			for _, action := range p.Actions {
				actions = append(actions, action)
			}
			on := map[string]any{"db": string(p.Database), "collection": p.Collection}
			privileges = append(privileges, map[string]any{"resource": on, "actions": actions})
		}
		if diff := cmp.Diff(map[string]any{"role": service, "db": "admin", "privileges": privileges}, roles[service]); diff != "" {
			t.Errorf("MongoDB's role of %s:\n%s", service, diff)
		}
		want := fmt.Sprint([]any{map[string]any{"name": service, "db": "admin"}})
		if got := u.text(t, "roles"); got != want || u.text(t, "db") != "admin" {
			t.Errorf("MongoDB's user %s has the roles %s", service, got)
		}
		given := properties(u.text(t, "passwordSecretRef.name"))[u.text(t, "passwordSecretRef.key")]
		if told := properties(service + "-secret")["mongodb"]; given != told {
			t.Errorf("MongoDB's user %s has the password %v, the service %v", service, given, told)
		}
	}
	if len(users) != 3 || len(roles) != 3 {
		t.Errorf("MongoDB has %d users and %d roles, want one of each for each service", len(users), len(roles))
	}

	secret := all["ExternalSecret/rabbitmq-definitions"]
	got := definitions(t, filled(t, secret, "definitions.json", `p"\`))
	set, err := manifests.Read()
	if err != nil {
		t.Fatal(err)
	}
	want := definitions(t, strings.ReplaceAll(manifests.Config(set, "rabbitmq-conf")["definitions.json"], "$RABBITMQ_DEFAULT_USER", "mp3converter"))
	keda := manifests.Permission{User: "keda", Vhost: "/", Configure: "^$", Write: "^$", Read: "^$"}
	if diff := cmp.Diff(append(want.Permissions, keda), got.Permissions); diff != "" {
		t.Errorf("RabbitMQ's permissions:\n%s", diff)
	}
	if diff := cmp.Diff(want.Topics, got.Topics); diff != "" {
		t.Errorf("RabbitMQ's topic permissions:\n%s", diff)
	}
	tags := map[string]string{}
	for _, u := range got.Users {
		tags[u.Name] = strings.Join(u.Tags, " ")
		if u.Password != `p"\` {
			t.Errorf("RabbitMQ's user %s has the password %s", u.Name, u.Password)
		}
	}
	if diff := cmp.Diff(map[string]string{"mp3converter": "administrator", "gateway": "", "converter": "", "notification": "", "keda": "management"}, tags); diff != "" {
		t.Errorf("RabbitMQ's users and their tags:\n%s", diff)
	}
	told := map[string]any{"first": properties("rabbitmq-user")["password"], "keda": properties("rabbitmq-keda")["password"]}
	for _, service := range []string{"gateway", "converter", "notification"} {
		told[service] = properties(service + "-secret")["rabbitmq"]
	}
	if diff := cmp.Diff(told, properties("rabbitmq-definitions")); diff != "" {
		t.Errorf("the passwords of RabbitMQ's users, as clients are told (-), and as it is (+):\n%s", diff)
	}
	seen := map[any]bool{}
	for _, property := range told {
		if seen[property] {
			t.Errorf("two users have the password %v", property)
		}
		seen[property] = true
	}
	if user := filled(t, all["ExternalSecret/rabbitmq-keda"], "username", ""); user != "keda" {
		t.Errorf("KEDA logs in as %s", user)
	}
	cluster := all["RabbitmqCluster/rabbitmq"]
	mounted := cluster.text(t, "spec.override.statefulSet.spec.template.spec.containers.0.volumeMounts.0.mountPath")
	if conf := cluster.text(t, "spec.rabbitmq.additionalConfig"); !strings.Contains(conf, "load_definitions = "+mounted+"/definitions.json\n") {
		t.Errorf("the definitions are in %s, and RabbitMQ is told:\n%s", mounted, conf)
	}
}

func definitions(t *testing.T, text string) (d manifests.Definitions) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return d
}

func TestProductionLetsWhatRunsEnd(t *testing.T) {
	all, _ := render(t, "deploy/production")
	number := func(o object, path string) int {
		n, err := strconv.Atoi(o.text(t, path))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	gateway, converter := all["ConfigMap/gateway-configmap"], all["ConfigMap/converter-configmap"]
	const maxDuration, consumerTimeout, last = 43200, 14400, 15 // defaults; what is between the end of the grace and a SIGKILL
	video := number(gateway, "data.MAX_UPLOAD_BYTES")
	longest := 30 + video/(16<<20) + maxDuration/5 // FFMPEG_WALL_SECONDS
	grace := number(converter, "data.GRACE_SECONDS")
	if grace < longest+longest/10 || grace >= consumerTimeout {
		t.Errorf("converters get %d s to end in; a conversion may take %d s and what storing takes, a message %d s", grace, longest, consumerTimeout)
	}
	if broker := all["RabbitmqCluster/rabbitmq"].text(t, "spec.rabbitmq.additionalConfig"); !strings.Contains(broker, fmt.Sprintf("consumer_timeout = %d000\n", consumerTimeout)) {
		t.Errorf("RabbitMQ is as patient as %q, the services want %d s", broker, consumerTimeout)
	}
	if upload, slow := number(gateway, "data.GRACE_SECONDS"), video*8/10_000_000; upload < slow {
		t.Errorf("gateways get %d s to end in; the largest upload takes %d s at 10 Mbit/s", upload, slow)
	}
	for _, service := range []string{"gateway", "converter"} {
		settings, pod := all["ConfigMap/"+service+"-configmap"], all["Deployment/"+service]
		need := number(settings, "data.DRAIN_SECONDS") + number(settings, "data.GRACE_SECONDS") + last
		if service == "gateway" {
			need += number(pod, "spec.template.spec.containers.0.lifecycle.preStop.sleep.seconds")
		}
		if given := number(pod, "spec.template.spec.terminationGracePeriodSeconds"); given < need {
			t.Errorf("%s is killed after %d s, and needs %d", service, given, need)
		}
	}
	trigger := all["ScaledObject/converter"].at(t, "spec.triggers.0.metadata").(map[string]any)
	want := map[string]any{
		"protocol": "http", "host": "http://rabbitmq.mp3converter.svc:15672/", "mode": "QueueLength", "excludeUnacknowledged": "false", "vhostName": "/",
		"queueName": converter.text(t, "data.VIDEO_QUEUE"), "value": converter.text(t, "data.WORKERS"),
	}
	if diff := cmp.Diff(want, trigger); diff != "" {
		t.Errorf("KEDA's trigger:\n%s", diff)
	}
}

func TestPrometheusFindsTheServicesPods(t *testing.T) {
	monitoring, _ := render(t, "deploy/monitoring")
	base, _ := render(t, "manifests")
	selects := func(selector any, labels any) bool {
		for k, v := range selector.(map[string]any) {
			if labels.(map[string]any)[k] != v {
				return false
			}
		}
		return true
	}
	for service, monitor := range map[string]string{"ops": "services", "rabbitmq-ops": "rabbitmq"} {
		if !selects(monitoring["ServiceMonitor/"+monitor].at(t, "spec.selector.matchLabels"), monitoring["Service/"+service].at(t, "metadata.labels")) {
			t.Errorf("ServiceMonitor %s does not select Service %s", monitor, service)
		}
	}
	var ops, rabbit []string
	for name, o := range base {
		if !strings.HasPrefix(name, "Deployment/") && !strings.HasPrefix(name, "StatefulSet/") {
			continue
		}
		labels := o.at(t, "spec.template.metadata.labels")
		if selects(monitoring["Service/ops"].at(t, "spec.selector"), labels) {
			ops = append(ops, name)
		}
		if selects(monitoring["Service/rabbitmq-ops"].at(t, "spec.selector"), labels) {
			rabbit = append(rabbit, name)
		}
	}
	slices.Sort(ops)
	if diff := cmp.Diff([]string{"Deployment/auth", "Deployment/converter", "Deployment/gateway", "Deployment/notification"}, ops); diff != "" {
		t.Errorf("Service ops selects:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"StatefulSet/rabbitmq"}, rabbit); diff != "" {
		t.Errorf("Service rabbitmq-ops selects:\n%s", diff)
	}
}
