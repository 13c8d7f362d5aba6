package sandbox

import (
	"time"

	"golang.org/x/sys/unix"
)

// limit sets all limits but that of memory, which Go needs a little longer.
func (s spec) limit() error {
	limits := map[int]int64{}
	if s.Layers.has(Seccomp) || s.Layers.has(Limits) { // seccomp's "no exec" leans on it, see open
		limits[unix.RLIMIT_NOFILE] = int64(s.Files)
	}
	if s.Layers.has(Limits) {
		limits[unix.RLIMIT_CPU] = int64((s.CPU + time.Second - 1) / time.Second)
		limits[unix.RLIMIT_FSIZE] = s.FileSize
		limits[unix.RLIMIT_NPROC] = int64(s.Processes)
		limits[unix.RLIMIT_CORE] = 0
	}
	for which, most := range limits {
		if err := lower(which, most); err != nil {
			return err
		}
	}
	return nil
}

// lower sets a limit for good, unless there is a lower one.
func lower(which int, most int64) error {
	var limit unix.Rlimit
	if err := unix.Prlimit(0, which, nil, &limit); err != nil {
		return err
	}
	limit.Max = min(limit.Max, uint64(most)) //nolint:gosec // limits are not negative
	limit.Cur = limit.Max                    // with CPU too: the signal that would come first can be ignored
	return unix.Prlimit(0, which, &limit, nil)
}
