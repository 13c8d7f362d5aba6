// Package embedded has the ports of the four services without servers: SQLite for users, jobs and received mail, a folder
// for files, channels for queues. What a method has confirmed survives kill -9 and power loss, except for messages in
// queues: the ledger remembers. One process at a time uses a folder. It serves one laptop or one small machine; what a
// job is, and what a service does with these ports, is left to them.
package embedded

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Lock makes dir, which it creates if need be, the folder of this process alone until Close or the process's end,
// whatever ends it. The error for a folder that another process holds names both.
func Lock(dir string) (io.Closer, error) {
	if err := makeDir(dir); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // in DATA_DIR
	if err != nil {
		return nil, fmt.Errorf("lock the data folder: %w", err)
	}
	if err := claim(f); err != nil {
		return nil, errors.Join(fmt.Errorf("lock the data folder %s: %w", dir, err), f.Close())
	}
	return f, nil
}

// claim takes the lock, which belongs to the open file, and leaves our process id for whoever comes second.
func claim(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		pid, _ := io.ReadAll(io.LimitReader(f, 20)) // empty while the other is between lock and write
		return fmt.Errorf("in use by another process (%s)", strings.TrimSpace("pid "+string(pid)))
	}
	if err != nil {
		return err
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err = fmt.Fprint(f, os.Getpid())
	return err
}

// makeDir creates the folder for our eyes only, durably.
func makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	parent, err := os.Open(filepath.Dir(filepath.Clean(dir)))
	if err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	if err := errors.Join(parent.Sync(), parent.Close()); err != nil {
		return fmt.Errorf("make the data folder %s durable: %w", dir, err)
	}
	return nil
}
