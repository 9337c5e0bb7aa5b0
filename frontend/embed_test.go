package frontend_test

import (
	"io/fs"
	"os"
	"testing"

	"github.com/parleychat/parley/frontend"
)

func TestFiles(t *testing.T) {
	t.Parallel()
	if _, err := fs.Stat(frontend.Files(), ".keep"); err != nil {
		t.Errorf("the root of Files is not dist: %v", err)
	}
	if _, err := os.Stat("public/.keep"); err != nil {
		t.Errorf("a build would remove dist/.keep for good: %v", err)
	}
}

func TestBuilt(t *testing.T) {
	t.Parallel()
	_, err := os.Stat("dist/index.html")
	if got, want := frontend.Built(), err == nil; got != want {
		t.Errorf("Built() = %v, and dist/index.html on disk: %v", got, err)
	}
	if !frontend.Built() {
		return
	}
	for _, pattern := range []string{"assets/index-*.js", "assets/*.css", "favicon.svg"} {
		for _, suffix := range []string{"", ".br", ".gz"} {
			if found, err := fs.Glob(frontend.Files(), pattern+suffix); err != nil || len(found) == 0 {
				t.Errorf("the page has no %s (%v)", pattern+suffix, err)
			}
		}
	}
}
