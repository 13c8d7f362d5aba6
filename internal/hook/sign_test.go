package hook

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// The vector of the specification's own libraries.
func TestSignaturesAreThoseOfStandardWebhooks(t *testing.T) {
	h := Header("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 999), `{"test": 2432232314}`)
	for name, want := range map[string]string{
		"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": "1614265330",
		"webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", "content-type": "application/json",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestASecretIsRandomAndIsNotPrinted(t *testing.T) {
	a, b := NewSecret(), NewSecret()
	if a == b || !strings.HasPrefix(string(a), "whsec_") || len(a) != len("whsec_")+44 {
		t.Errorf("secrets %q and %q", string(a), string(b))
	}
	var log strings.Builder
	h := New(start, "a@b.c", "https://example.com", 0)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", h.Secret)
	for _, text := range []string{fmt.Sprint(h), fmt.Sprintf("%+v %#v %s", h, h, h.Secret), log.String()} {
		if strings.Contains(text, string(h.Secret)) {
			t.Errorf("printed: %s", text)
		}
	}
}
