package sandbox

import (
	"debug/elf"
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

// libraries are where a system keeps them, and the list of them. What is not there is passed over.
var libraries = []string{"/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache"}

// needs returns the loader of a program, "" if it is static, and where its libraries may be.
func needs(program string) (loader string, folders []string, err error) {
	f, err := elf.Open(program)
	if err != nil {
		return "", nil, fmt.Errorf("sandbox: only an ELF program can run in one, no script: %w", err)
	}
	defer f.Close()
	for _, part := range f.Progs {
		if part.Type == elf.PT_INTERP {
			path, err := io.ReadAll(part.Open())
			if err != nil {
				return "", nil, fmt.Errorf("sandbox: %s: %w", program, err)
			}
			loader = strings.TrimRight(string(path), "\x00")
		}
	}
	if loader == "" {
		return "", nil, nil
	}
	folders = append(folders, libraries...)
	for _, tag := range []elf.DynTag{elf.DT_RUNPATH, elf.DT_RPATH} { // of ffmpegs that bring their own
		paths, _ := f.DynString(tag)
		for _, path := range filepath.SplitList(strings.Join(paths, ":")) {
			folders = append(folders, strings.NewReplacer("$ORIGIN", filepath.Dir(program), "${ORIGIN}", filepath.Dir(program)).Replace(path))
		}
	}
	return loader, folders, nil
}
