// Package links is the setting of the key under which notification signs the links in its mails, and the gateway verifies
// them.
package links

import (
	"errors"
	"log/slog"
	"slices"
	"strings"

	"mp3converter/internal/link"
	"mp3converter/internal/settings"
)

// Settings are the variables.
type Settings struct {
	Secret settings.Secret `env:"LINK_SECRET" doc:"key of the links that download an MP3 without a login, at least 32 bytes, the same in gateway and notification; several with commas between: the first signs, all verify. Without it mails name only the address that asks for a login"`
	Dev    bool            `env:"DEV" doc:"true accepts the LINK_SECRET that manifests/ publishes; for minikube only"`
}

// Published is the LINK_SECRET of manifests/: whoever has read it can make a link to any MP3 whose id and owner they know.
const Published = "published-link-secret-for-minikube-only"

// published reports whether one of the secrets is.
func (s Settings) published() bool {
	is := func(secret string) bool { return strings.TrimSpace(secret) == Published } // one made with echo has a line end
	return slices.ContainsFunc(strings.Split(string(s.Secret), link.Separator), is)
}

// Warn says in the log what DEV has let pass.
func (s Settings) Warn(log *slog.Logger) {
	if s.published() {
		log.Warn("LINK_SECRET is published, and DEV accepts it: anybody can make links that download MP3s")
	}
}

// Validate reports what the variables cannot be.
func (s Settings) Validate() error {
	if s.published() && !s.Dev {
		return errors.New("LINK_SECRET: this one is published; take another, for example from: openssl rand -hex 32 (or say DEV=true on minikube)")
	}
	_, err := s.Key()
	return err
}

// Key is the key that they are.
func (s Settings) Key() (link.Key, error) { return link.NewKey(string(s.Secret)) }
