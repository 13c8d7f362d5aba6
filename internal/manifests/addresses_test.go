package manifests

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"mp3converter/internal/settings"
)

var addressesPlants = []plant{
	{"addresses", "no such host", func(s *Set) { data(s, "auth-configmap")["MYSQL_HOST"] = "mysq" }, []string{"Deployment auth: env[MYSQL_HOST]", "no Service mysq"}},
	{"addresses", "no such host by its full name", func(s *Set) {
		data(s, "auth-configmap")["MYSQL_HOST"] = "db.mp3converter.svc.cluster.local"
	}, []string{"Deployment auth: env[MYSQL_HOST]", "no Service db"}},
	{"addresses", "another port", func(s *Set) { data(s, "auth-configmap")["MYSQL_PORT"] = "3307" }, []string{"Deployment auth: env[MYSQL_HOST]", `no port "3307"`}},
	{"addresses", "the default port", func(s *Set) {
		delete(data(s, "auth-configmap"), "MYSQL_PORT")
		service(s, "mysql").Spec.Ports[0].Port = 3307
	}, []string{"Deployment auth: env[MYSQL_HOST]", `no port "3306"`}},
	{"addresses", "no port", func(s *Set) { data(s, "gateway-configmap")["AUTH_SVC_ADDRESS"] = "auth" }, []string{"Deployment gateway: env[AUTH_SVC_ADDRESS]", "host:port"}},
	{"addresses", "auth's ops port", func(s *Set) { data(s, "gateway-configmap")["AUTH_SVC_ADDRESS"] = "auth:9090" }, []string{"env[AUTH_SVC_ADDRESS]", `no port "9090"`}},
	{"addresses", "a pod without its Service", func(s *Set) {
		secrets(s, "gateway-secret")["RABBITMQ_URL"] = "amqp://a:b@rabbitmq-0.rabbitmq-pods:5672/"
	}, []string{"Deployment gateway: env[RABBITMQ_URL]", "no Service rabbitmq-pods"}},
	{"addresses", "the second of two hosts", func(s *Set) {
		secrets(s, "gateway-secret")["MONGODB_URI"] = "mongodb://a:b@mongodb,mongo:27017/"
	}, []string{"Deployment gateway: env[MONGODB_URI]", "no Service mongo"}},
	{"addresses", "TLS where there is none", func(s *Set) { secrets(s, "gateway-secret")["RABBITMQ_URL"] = "amqps://a:b@rabbitmq/" }, []string{"env[RABBITMQ_URL]", `no port "5671"`}},
	{"addresses", "two ports", func(s *Set) { secrets(s, "gateway-secret")["RABBITMQ_URL"] = "amqp://a:b@rabbitmq:5672:5672/" }, []string{"Deployment gateway: env[RABBITMQ_URL]", "no host:port"}},
	{"addresses", "mail to SMTP's usual port", func(s *Set) { delete(secrets(s, "notification-secret"), "SMTP_PORT") }, []string{"env[SMTP_HOST]", `no port "25"`}},
	{"addresses", "no Service", func(s *Set) { s.Remove("Service", "mailpit") }, []string{"Deployment notification: env[SMTP_HOST]", "no Service mailpit"}},
	{"addresses", "links to nowhere", func(s *Set) { data(s, "notification-configmap")["BASE_URL"] = "http://mp3.example.com" }, []string{"env[BASE_URL]", "no Ingress leads from mp3.example.com"}},
	{"addresses", "links to another", func(s *Set) { data(s, "notification-configmap")["BASE_URL"] = "http://mail.mp3converter.com" }, []string{"env[BASE_URL]", "no Ingress"}},
	{"addresses", "links that are none", func(s *Set) { data(s, "notification-configmap")["BASE_URL"] = "http://a b" }, []string{"env[BASE_URL]", "no URL"}},

	{"passwords", "MySQL's", func(s *Set) { secrets(s, "mysql-secret")["MYSQL_PASSWORD"] = "x" }, []string{"auth's MYSQL_PASSWORD"}},
	{"passwords", "MySQL's user", func(s *Set) { data(s, "auth-configmap")["MYSQL_USER"] = "root" }, []string{"auth's MYSQL_USER"}},
	{"passwords", "MongoDB's", func(s *Set) { secrets(s, "mongodb-secret")["GATEWAY_PASSWORD"] = "x" }, []string{"gateway's MONGODB_URI", "mongodb's GATEWAY_PASSWORD"}},
	{"passwords", "MongoDB's root", func(s *Set) {
		secrets(s, "converter-secret")["MONGODB_URI"] = "mongodb://mp3converter:mongodb123@mongodb/"
	}, []string{`converter's MONGODB_URI logs in as "mp3converter"`}},
	{"passwords", "RabbitMQ's", func(s *Set) {
		secrets(s, "notification-secret")["RABBITMQ_URL"] = "amqp://notification:guest@rabbitmq/"
	}, []string{"notification's RABBITMQ_URL", "rabbitmq's NOTIFICATION_PASSWORD"}},
	{"passwords", "another service's user", func(s *Set) {
		secrets(s, "notification-secret")["RABBITMQ_URL"] = secrets(s, "gateway-secret")["RABBITMQ_URL"]
	}, []string{`notification's RABBITMQ_URL logs in as "gateway"`}},
	{"passwords", "an address that is none", func(s *Set) { secrets(s, "gateway-secret")["RABBITMQ_URL"] = "amqp://%" }, []string{"gateway's RABBITMQ_URL"}},

	{"rights", "no definitions", func(s *Set) { delete(data(s, "rabbitmq-conf"), "definitions.json") }, []string{"ConfigMap rabbitmq-conf: data[definitions.json]", "unexpected end"}},
	{"rights", "a service without a user", func(s *Set) { redefine(s, `"name": "converter"`, `"name": "convert"`) }, []string{"no user converter"}},
	{"rights", "a service that is an administrator", func(s *Set) {
		redefine(s, `"$GATEWAY_PASSWORD", "tags": []`, `"$GATEWAY_PASSWORD", "tags": ["administrator"]`)
	}, []string{"user gateway", "has tags"}},
	{"rights", "another's password", func(s *Set) { redefine(s, `"$GATEWAY_PASSWORD"`, `"$CONVERTER_PASSWORD"`) }, []string{"user gateway", "$GATEWAY_PASSWORD"}},
	{"rights", "a password for all to see", func(s *Set) { redefine(s, `"$GATEWAY_PASSWORD"`, `"geheim"`) }, []string{"user gateway", "$GATEWAY_PASSWORD"}},
	{"rights", "a user of nobody", func(s *Set) {
		redefine(s, `"users": [`, `"users": [{"name": "guest", "password": "guest", "tags": []},`)
	}, []string{"user guest", "nobody logs in"}},
	{"rights", "a queue that nobody may read", func(s *Set) { data(s, "converter-configmap")["VIDEO_QUEUE"] = "videos" }, []string{"converter may not read VIDEO_QUEUE"}},
	{"rights", "a queue that nobody may publish to", func(s *Set) { data(s, "gateway-configmap")["MP3_QUEUE"] = "mp3s" }, []string{"gateway may not publish to MP3_QUEUE"}},

	{"variables", "an unknown one", func(s *Set) { data(s, "auth-configmap")["MYSQL_HSOT"] = "mysql" }, []string{"Deployment auth: env[MYSQL_HSOT]", "knows no such"}},
	{"variables", "another's", func(s *Set) { data(s, "auth-configmap")["VIDEO_QUEUE"] = "video" }, []string{"Deployment auth: env[VIDEO_QUEUE]", "knows no such"}},
	{"variables", "a required one", func(s *Set) { delete(secrets(s, "gateway-secret"), "RABBITMQ_URL") }, []string{"Deployment gateway: env[RABBITMQ_URL]", "requires it"}},
	{"variables", "no service", func(s *Set) { s.Remove("Deployment", "auth") }, []string{"no Deployment auth"}},

	{"one backend", "another queue", func(s *Set) { data(s, "converter-configmap")["MP3_QUEUE"] = "mp3s" }, []string{"Deployment converter: env[MP3_QUEUE]"}},
	{"one backend", "a lease of its own", func(s *Set) { data(s, "notification-configmap")["LEASE_SECONDS"] = "10" }, []string{"Deployment notification: env[LEASE_SECONDS]"}},
	{"one backend", "another way to connect", func(s *Set) {
		secrets(s, "gateway-secret")["MONGODB_URI"] = "mongodb://gateway:x@mongodb/?replicaSet=rs0"
	}, []string{"Deployment converter: env[MONGODB_URI]"}},
	{"one backend", "another broker", func(s *Set) { secrets(s, "gateway-secret")["RABBITMQ_URL"] = "amqp://a:b@other.example.com/" }, []string{"env[RABBITMQ_URL]"}},
}

func TestAddressesOutsideAreNotLookedFor(t *testing.T) {
	s := shipped(t)
	secrets(s, "gateway-secret")["MONGODB_URI"] = "mongodb+srv://a:b@cluster0.example.net/"
	data(s, "auth-configmap")["MYSQL_HOST"] = "mysql.example.com"
	delete(secrets(s, "notification-secret"), "SMTP_HOST") // its default is Gmail
	for _, f := range addresses(s) {
		t.Error(f)
	}
}

// redefine changes what RabbitMQ is told about its users.
func redefine(s *Set, old, by string) {
	text := data(s, "rabbitmq-conf")["definitions.json"]
	data(s, "rabbitmq-conf")["definitions.json"] = strings.Replace(text, old, by, 1)
}

type sample struct {
	Host   string           `env:"MYSQL_HOST,required,notEmpty"`
	Port   int              `env:"MYSQL_PORT" envDefault:"1"`
	User   string           `env:"MYSQL_USER"`
	Pass   settings.Secret  `env:"MYSQL_PASSWORD,required"`
	Secret settings.Secret  `env:"JWT_SECRET,required"`
	DB     string           `env:"MYSQL_DB"`
	Proxy  string           `env:"TRUSTED_PROXIES"`
	Dev    bool             `env:"DEV"`
	Ops    []string         `env:"OPERATORS"`
	Drain  settings.Seconds `env:"DRAIN_SECONDS"`
	Grace  settings.Seconds `env:"GRACE_SECONDS"`
}

func TestEnvironmentIsWhatTheServiceKnowsAndNeeds(t *testing.T) {
	good := shipped(t)
	for _, f := range Environment[sample](good, "auth") {
		t.Errorf("nothing planted: %s", f)
	}
	for name, p := range map[string]plant{
		"an unknown variable":       {spoil: func(s *Set) { data(s, "auth-configmap")["MYSQL_HSOT"] = "mysql" }, want: []string{"Deployment auth: env[MYSQL_HSOT]", "knows no such"}},
		"an unknown one in the pod": {spoil: func(s *Set) { addEnv(s, corev1.EnvVar{Name: "LOG", Value: "x"}) }, want: []string{"env[LOG]"}},
		"a missing one":             {spoil: func(s *Set) { delete(secrets(s, "auth-secret"), "JWT_SECRET") }, want: []string{"Deployment auth: env", "JWT_SECRET"}},
		"an empty one":              {spoil: func(s *Set) { data(s, "auth-configmap")["MYSQL_HOST"] = "" }, want: []string{"MYSQL_HOST"}},
		"one that is no number":     {spoil: func(s *Set) { data(s, "auth-configmap")["MYSQL_PORT"] = "mysql" }, want: []string{"MYSQL_PORT"}},
		"the second mistake": {spoil: func(s *Set) {
			data(s, "auth-configmap")["MYSQL_PORT"] = "x"
			data(s, "auth-configmap")["GRACE_SECONDS"] = "y"
		}, want: []string{"GRACE_SECONDS"}},
		"one overridden": {spoil: func(s *Set) { addEnv(s, corev1.EnvVar{Name: "MYSQL_PORT", Value: "x"}) }, want: []string{"MYSQL_PORT"}},
		"no service":     {spoil: func(s *Set) { s.Remove("Deployment", "auth") }, want: []string{"no Deployment auth"}},
	} {
		t.Run(name, func(t *testing.T) {
			bad := good.Clone()
			p.spoil(bad)
			expect(t, Environment[sample](bad, "auth"), p.want...)
		})
	}
}

func TestEnvironmentIsPutTogetherAsTheKubeletDoes(t *testing.T) {
	s := shipped(t)
	get[*corev1.Secret](s, "auth-secret").Data = map[string][]byte{"BINARY": []byte("b")}
	from := func(v corev1.EnvVarSource) *corev1.EnvVarSource { return &v }
	name := corev1.LocalObjectReference{Name: "auth-configmap"}
	container(s, "auth").Env = []corev1.EnvVar{
		{Name: "MYSQL_DB", Value: "of-$(MYSQL_USER)-$(NOBODY)"},
		{Name: "COPY", ValueFrom: from(corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: name, Key: "MYSQL_HOST"}})},
		{Name: "LIMIT", ValueFrom: from(corev1.EnvVarSource{ResourceFieldRef: &corev1.ResourceFieldSelector{Resource: "limits.memory"}})},
		{Name: "POD", ValueFrom: from(corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.name"}})},
		{Name: "TOKEN", ValueFrom: from(corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: "auth-secret"}, Key: "MYSQL_PASSWORD"}})},
	}
	w, _ := s.Workload("auth")
	got := s.Environment(w)
	for variable, want := range map[string]string{
		"MYSQL_DB": "of-auth_user-$(NOBODY)", "COPY": "mysql", "LIMIT": "268435456", "BINARY": "b", "TOKEN": secrets(s, "auth-secret")["MYSQL_PASSWORD"],
	} {
		if got[variable] != want {
			t.Errorf("%s = %q, want %q", variable, got[variable], want)
		}
	}
	if _, ok := got["POD"]; ok {
		t.Error("POD is known, but only the kubelet can know")
	}
}

func TestDefaultsComeFromReadme(t *testing.T) {
	s := shipped(t)
	for _, name := range append([]string{"all", "backend"}, Services...) {
		if len(s.Defaults[name]) == 0 {
			t.Errorf("README has no settings of %s", name)
		}
	}
	if got := s.Defaults["auth"]["MYSQL_PORT"]; got != "3306" {
		t.Errorf("MYSQL_PORT defaults to %q, want 3306", got)
	}
	w, _ := s.Workload("auth")
	s.Remove("Secret", "auth-secret")
	if got, ok := s.Effective(w)["JWT_SECRET"]; ok {
		t.Errorf("JWT_SECRET defaults to %q, want nothing", got)
	}
}
