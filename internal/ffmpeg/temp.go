package ffmpeg

import (
	"os"

	"golang.org/x/sys/unix"
)

// unnamed opens a file without a name in the folder. File systems that cannot (some network and overlay ones) get a file
// whose name is removed at once.
func unnamed(dir string) (*os.File, error) {
	const private = 0o600
	f, err := os.OpenFile(dir, unix.O_TMPFILE|os.O_RDWR, private) //nolint:gosec // SCRATCH_DIR
	if err == nil {
		return f, nil
	}
	f, err = os.CreateTemp(dir, "mp3converter-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
