package settings

import (
	"log/slog"
	"strings"
	"testing"
)

func TestAPublishedSecretIsForDevelopmentOnly(t *testing.T) {
	p := Published{Variable: "SOME_SECRET", Value: "in-the-manifests", Separator: ",", Danger: "anybody can do anything"}
	for secrets, published := range map[Secret]bool{
		"": false, "ours": false, "ours,in-the-manifests-": false,
		"in-the-manifests": true, "in-the-manifests\n": true, "ours,in-the-manifests": true, "in-the-manifests,ours": true,
	} {
		err := p.Refuse(secrets, false)
		if refused := err != nil; refused != published {
			t.Errorf("%q: %v", secrets, err)
		}
		if err != nil && (!strings.Contains(err.Error(), "SOME_SECRET") || !strings.Contains(err.Error(), "DEV") || strings.Contains(err.Error(), p.Value)) {
			t.Errorf("%q: %v, want an error that names SOME_SECRET and DEV, and not the secret", secrets, err)
		}
		if err := p.Refuse(secrets, true); err != nil {
			t.Errorf("%q for development: %v", secrets, err)
		}
		var log strings.Builder
		p.Warn(slog.New(slog.NewTextHandler(&log, nil)), secrets)
		if said := log.String(); strings.Contains(said, "SOME_SECRET") != published || strings.Contains(said, p.Danger) != published || strings.Contains(said, p.Value) {
			t.Errorf("%q is warned of by %q", secrets, said)
		}
	}
}
