// Package links is the setting of the key under which notification signs the links in its mails, and the gateway verifies
// them.
package links

import (
	"errors"
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

// Validate reports what the variables cannot be.
func (s Settings) Validate() error {
	published := func(secret string) bool { return strings.TrimSpace(secret) == Published } // one made with echo has a line end
	if !s.Dev && slices.ContainsFunc(strings.Split(string(s.Secret), link.Separator), published) {
		return errors.New("LINK_SECRET: this one is published; take another, for example from: openssl rand -hex 32 (or say DEV=true on minikube)")
	}
	_, err := s.Key()
	return err
}

// Key is the key that they are.
func (s Settings) Key() (link.Key, error) { return link.NewKey(string(s.Secret)) }
