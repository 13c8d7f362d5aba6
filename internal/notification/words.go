package notification

import (
	"fmt"
	"time"
)

// length says how long an MP3 plays: to the second, and to the tenth where that is much of it.
func length(d time.Duration) string {
	if d < 9950*time.Millisecond { // which would be 10.0
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	d = d.Round(time.Second)
	h, m, s := int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60
	switch {
	case h > 0:
		return fmt.Sprintf("%d h %02d min %02d s", h, m, s)
	case m > 0:
		return fmt.Sprintf("%d min %02d s", m, s)
	default:
		return fmt.Sprintf("%d s", s)
	}
}

// size says bytes in the units of file managers and shops: thousands, not 1024s.
func size(bytes int64) string {
	switch {
	case bytes < 1e3:
		return fmt.Sprintf("%d bytes", bytes)
	case bytes < 999_500:
		return fmt.Sprintf("%.0f kB", float64(bytes)/1e3)
	case bytes < 999_950_000:
		return fmt.Sprintf("%.1f MB", float64(bytes)/1e6)
	default:
		return fmt.Sprintf("%.2f GB", float64(bytes)/1e9)
	}
}

// moment is a time to the minute, for whoever reads it wherever they are.
func moment(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04 UTC") }
