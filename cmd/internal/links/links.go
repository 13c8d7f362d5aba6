// Package links is the setting of the key under which notification signs the links in its mails, and the gateway verifies
// them.
package links

import (
	"errors"
	"log/slog"

	"mp3converter/internal/link"
	"mp3converter/internal/settings"
)

// Settings are the variables.
type Settings struct {
	Secret settings.Secret `env:"LINK_SECRET" doc:"key of the links that download an MP3 without a login, at least 32 bytes, the same in gateway and notification; several with commas between: the first signs, all verify. Without it mails name only the address that asks for a login"`
	Dev    bool            `env:"DEV" doc:"true accepts the LINK_SECRET that manifests/ publishes; for minikube only"`
}

// published is the LINK_SECRET of manifests/.
var published = settings.Published{
	Variable: "LINK_SECRET", Value: "published-link-secret-for-minikube-only", Separator: link.Separator,
	Danger: "anybody can make links that download MP3s",
}

// Warn says in the log what DEV has let pass.
func (s Settings) Warn(log *slog.Logger) { published.Warn(log, s.Secret) }

// Validate reports what the variables cannot be.
func (s Settings) Validate() error {
	_, err := s.Key()
	return errors.Join(published.Refuse(s.Secret, s.Dev), err)
}

// Key is the key that they are.
func (s Settings) Key() (link.Key, error) { return link.NewKey(string(s.Secret)) }
