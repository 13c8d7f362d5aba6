package deploy

import (
	"bytes"
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
	tmpl, err := template.New("").Option("missingkey=error").Parse(o.text(t, "spec.target.template.data."+key))
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
		want := [4]string{mongodb.text(t, "spec.users.0.name"), password, "all-members", "authSource=" + mongodb.text(t, "spec.users.0.db") + "&replicaSet=mongodb"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("MONGODB_URI of %s:\n%s", service, diff)
		}
		got = taken(t, filled(t, secret, "RABBITMQ_URL", password))
		user := all["ExternalSecret/rabbitmq-user"]
		if diff := cmp.Diff([4]string{filled(t, user, "username", ""), filled(t, user, "password", password), "rabbitmq:5672", ""}, got); diff != "" {
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
