package manifests

import "k8s.io/apimachinery/pkg/api/resource"

var resourcesPlants = []plant{
	{"resources", "no cpu asked for", func(s *Set) { delete(container(s, "auth").Resources.Requests, "cpu") }, []string{"Deployment auth: resources.requests.cpu"}},
	{"resources", "no memory asked for", func(s *Set) { delete(container(s, "auth").Resources.Requests, "memory") }, []string{"Deployment auth: resources.requests.memory"}},
	{"resources", "memory without end", func(s *Set) { delete(container(s, "mysql").Resources.Limits, "memory") }, []string{"StatefulSet mysql: resources.limits.memory"}},
	{"resources", "more than allowed", func(s *Set) { container(s, "mysql").Resources.Requests["memory"] = resource.MustParse("2Gi") }, []string{"StatefulSet mysql: resources", "more memory"}},
	{"resources", "Go is not told", func(s *Set) { container(s, "auth").Env = nil }, []string{"Deployment auth: env[GOMEMLIMIT]", "set it"}},
	{"resources", "Go is told too much", func(s *Set) { container(s, "auth").Env[0].Value = "1GiB" }, []string{"Deployment auth: env[GOMEMLIMIT]", "more than"}},
	{"resources", "Go is told bytes", func(s *Set) { container(s, "auth").Env[0].Value = "268435457" }, []string{"Deployment auth: env[GOMEMLIMIT]", "more than"}},
	{"resources", "Go is told in Kubernetes' words", func(s *Set) { container(s, "auth").Env[0].Value = "200Mi" }, []string{"Deployment auth: env[GOMEMLIMIT]", "none of Go's"}},

	{"images", "latest", func(s *Set) { container(s, "mysql").Image = "mysql:latest" }, []string{"StatefulSet mysql: image"}},
	{"images", "no tag", func(s *Set) { container(s, "mysql").Image = "localhost:5000/mysql" }, []string{"StatefulSet mysql: image"}},
	{"images", "always pulled", func(s *Set) { container(s, "auth").ImagePullPolicy = "" }, []string{"Deployment auth: imagePullPolicy"}},
}
