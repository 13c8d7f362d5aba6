package manifests

// Rule judges an installation.
type Rule struct {
	Name  string
	Check func(*Set) []Finding
	// Overlays have other names, secrets and sizes: a rule that is about those of manifests/ alone is not asked of them.
	Minikube bool
}

// Rules are all of them.
var Rules = []Rule{
	{Name: "names", Check: names},
	{Name: "contract", Check: contract, Minikube: true},
	{Name: "init.sql", Check: initSQL, Minikube: true},
	{Name: "references of pods", Check: podReferences},
	{Name: "references of services", Check: serviceReferences},
	{Name: "selectors", Check: selectors},
	{Name: "variables", Check: variables},
	{Name: "addresses", Check: addresses},
	{Name: "passwords", Check: passwords, Minikube: true},
	{Name: "rights", Check: rights, Minikube: true},
	{Name: "one backend", Check: oneBackend},
	{Name: "restricted", Check: restricted},
	{Name: "security", Check: security},
	{Name: "commands", Check: commands},
	{Name: "resources", Check: resources},
	{Name: "images", Check: images},
	{Name: "labels", Check: labelling, Minikube: true},
	{Name: "labels of pods", Check: podLabels},
	{Name: "probes", Check: probes},
	{Name: "stopping", Check: stopping},
	{Name: "availability", Check: availability},
	{Name: "network", Check: network},
	{Name: "sizes", Check: sizes},
	{Name: "timeouts", Check: timeouts},
	{Name: "fits minikube", Check: fits, Minikube: true},
}
