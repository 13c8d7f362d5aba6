package page

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"
)

//go:embed static
var staticFiles embed.FS

// StaticRoot is where Static is to be mounted.
const StaticRoot = "/static/"

// version names all static files together, so that one script finds the others beside it under the same version.
var version = sync.OnceValue(func() string {
	sum := sha256.New()
	err := fs.WalkDir(staticFiles, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := staticFiles.ReadFile(name)
		_, _ = io.WriteString(sum, name+"\x00")
		sum.Write(data)
		return err
	})
	if err != nil {
		panic(err) // it is in the program
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
})

// Style is the address of the site's style, for pages that others make.
func Style() string { return staticPath("style.css") }

// Icon is the address of its icon.
func Icon() string { return staticPath("icon.svg") }

func staticPath(name string) string { return StaticRoot + version() + "/" + name }

// Static serves the page's scripts, style and icon at StaticRoot. Browsers keep them for good: other content has another
// version in its path. While a new release is rolled out a page may come from one replica and ask another for its files:
// those of the wrong version are better than none, but not to be kept.
func Static(w http.ResponseWriter, r *http.Request) {
	asked, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, StaticRoot), "/")
	name = path.Join("static", path.Clean("/"+name))
	if info, err := fs.Stat(staticFiles, name); err != nil || info.IsDir() {
		http.NotFound(w, r)
		return
	}
	if asked == version() {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	http.ServeFileFS(w, r, staticFiles, name) //nolint:gosec // cleaned, and of the program itself: no folder of the machine is behind it
}
