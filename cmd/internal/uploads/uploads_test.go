package uploads

import (
	"strings"
	"testing"

	"mp3converter/internal/settings"
)

// An upload at the slowest pace that is not cut off is silent in the ledger until the store has a batch of it. It must not be
// removed as dead for that.
func TestASlowUploadIsNotTakenForDead(t *testing.T) {
	for set, good := range map[string]bool{
		"": true, "RESUME_HOURS=0.8": true, "RESUME_HOURS=0.79": false, "RESUME_HOURS=0.4": false, "RESUME_HOURS=0": false, "RESUME_HOURS=8761": false,
		"RESUME_HOURS=0.1 STALL_SECONDS=2": true, "RESUME_HOURS=0.8 STALL_SECONDS=31": false, "RESUME_HOURS=0.83 STALL_SECONDS=31": true,
		"STALL_SECONDS=900": true, "STALL_SECONDS=1000": false,
	} {
		_, err := settings.Load[Settings](strings.Fields(set))
		if good != (err == nil) || err != nil && (!strings.HasPrefix(err.Error(), "RESUME_HOURS: ") || !strings.Contains(err.Error(), "STALL_SECONDS")) {
			t.Errorf("%q: %v", set, err)
		}
	}
}
