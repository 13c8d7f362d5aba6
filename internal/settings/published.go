package settings

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
)

// Published is a secret that manifests/ publish: good enough for a minikube of one's own, and for nothing else.
type Published struct {
	Variable  string
	Value     string
	Separator string // between the secrets of the variable, which may have several
	Danger    string // what whoever has read it can do
}

// among sees through the line end of a secret that was made with echo.
func (p Published) among(secrets Secret) bool {
	is := func(secret string) bool { return strings.TrimSpace(secret) == p.Value }
	return slices.ContainsFunc(strings.Split(string(secrets), p.Separator), is)
}

// Refuse returns an error if the published secret is among these, unless dev lets it pass.
func (p Published) Refuse(secrets Secret, dev bool) error {
	if dev || !p.among(secrets) {
		return nil
	}
	return fmt.Errorf("%s: this one is published; take another, for example from: openssl rand -hex 32 (or say DEV=true on minikube)", p.Variable)
}

// Warn says in the log that the published secret is among these.
func (p Published) Warn(log *slog.Logger, secrets Secret) {
	if p.among(secrets) {
		log.Warn(p.Variable + " is published, and DEV accepts it: " + p.Danger)
	}
}
