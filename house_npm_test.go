package parley_test

import (
	"encoding/json"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// npmLock is the part of a package-lock.json that the rules are about.
type npmLock struct {
	LockfileVersion int
	Packages        map[string]struct {
		Version              string
		Resolved             string
		Integrity            string
		Link                 bool
		InBundle             bool
		OptionalDependencies map[string]string
	}
}

func TestNPMLocks(t *testing.T) {
	t.Parallel()
	locks := 0
	for _, file := range tracked(t, ".json") {
		if path.Base(file) != "package-lock.json" || inTestdata(file) {
			continue
		}
		locks++
		t.Run(path.Dir(file), func(t *testing.T) {
			t.Parallel()
			var lock npmLock
			if err := json.Unmarshal(read(t, file), &lock); err != nil {
				t.Fatal(err)
			}
			if lock.LockfileVersion != 3 || len(lock.Packages) < 2 {
				t.Fatalf("lock file version %d with %d packages", lock.LockfileVersion, len(lock.Packages))
			}
			for _, p := range lockProblems(lock) {
				t.Error(p)
			}
		})
	}
	if locks == 0 {
		t.Error("no package-lock.json in the tree")
	}
}

// lockProblems finds addresses that only one machine reaches, packages whose
// content is not pinned, and packages for other platforms, which npm leaves out
// of a lock without a word when the registry could not give them.
func lockProblems(lock npmLock) []string {
	var problems []string
	platform := regexp.MustCompile(`(darwin|linux)-(arm64|x64)`)
	for _, name := range slices.Sorted(maps.Keys(lock.Packages)) {
		p := lock.Packages[name]
		if strings.Contains(p.Resolved, "://") {
			problems = append(problems, name+" carries a download address")
		}
		if name != "" && !p.Link && !p.InBundle && p.Integrity == "" {
			problems = append(problems, name+" has no integrity hash")
		}
		offers := map[string]bool{}
		for _, dep := range slices.Sorted(maps.Keys(p.OptionalDependencies)) {
			if !locked(lock, name, dep) {
				problems = append(problems, name+" lacks its optional package "+dep)
			}
			if m := platform.FindString(dep); m != "" {
				offers[m] = true
			}
		}
		if len(offers) == 0 {
			continue
		}
		// Where Parley is developed and run.
		for _, want := range []string{"darwin-arm64", "darwin-x64", "linux-arm64", "linux-x64"} {
			if !offers[want] {
				problems = append(problems, name+" has nothing for "+want)
			}
		}
	}
	return problems
}

// locked tells whether dep is found from the package at name, as Node looks for
// it: beside it, and then in each folder above.
func locked(lock npmLock, name, dep string) bool {
	for {
		at := strings.TrimPrefix(name+"/node_modules/"+dep, "/")
		if _, ok := lock.Packages[at]; ok {
			return true
		}
		if name == "" {
			return false
		}
		name = strings.TrimSuffix(name[:max(0, strings.LastIndex(name, "node_modules/"))], "/")
	}
}

func TestLockProblems(t *testing.T) {
	t.Parallel()
	const (
		hash = `"integrity":"sha512-x"`
		all  = `"optionalDependencies":{"b-darwin-arm64":"1.0.0","b-darwin-x64":"1.0.0","b-linux-arm64-gnu":"1.0.0","b-linux-x64-gnu":"1.0.0"}`
	)
	tests := []struct{ name, packages, want string }{
		{"good", `"":{},"node_modules/a":{` + hash + `}`, ""},
		{"address", `"node_modules/a":{` + hash + `,"resolved":"https://registry.example/a.tgz"}`, "node_modules/a carries a download address"},
		{"unpinned", `"node_modules/a":{"version":"1.0.0"}`, "node_modules/a has no integrity hash"},
		{"workspace", `"node_modules/a":{"link":true,"resolved":"packages/a"}`, ""},
		{"bundled", `"node_modules/a/node_modules/c":{"inBundle":true}`, ""},
		{
			"all platforms", `"node_modules/a":{` + hash + `,` + all + `},"node_modules/a/node_modules/b-darwin-arm64":{` + hash + `},
			"node_modules/b-darwin-x64":{` + hash + `},"node_modules/b-linux-arm64-gnu":{` + hash + `},"node_modules/b-linux-x64-gnu":{` + hash + `}`, "",
		},
		{
			"left out by npm", `"node_modules/a":{` + hash + `,` + all + `},"node_modules/b-darwin-arm64":{` + hash + `},
			"node_modules/b-linux-arm64-gnu":{` + hash + `},"node_modules/b-linux-x64-gnu":{` + hash + `}`, "node_modules/a lacks its optional package b-darwin-x64",
		},
		{
			"not offered", `"":{"optionalDependencies":{"b-linux-x64":"1.0.0"}},"node_modules/b-linux-x64":{` + hash + `}`,
			" has nothing for darwin-arm64\n has nothing for darwin-x64\n has nothing for linux-arm64",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var lock npmLock
			if err := json.Unmarshal([]byte(`{"lockfileVersion":3,"packages":{`+tt.packages+`}}`), &lock); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(lockProblems(lock), "\n"); got != tt.want {
				t.Errorf("problems = %q, want %q", got, tt.want)
			}
		})
	}
}

// Exact versions only: a range would let a machine without the lock file, or the
// next `npm install`, take what nobody has tried.
func TestNPMVersionsAreExact(t *testing.T) {
	t.Parallel()
	exact := regexp.MustCompile(`^(npm:(@[a-z0-9-]+/)?[a-z0-9.-]+@)?\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$`)
	for _, file := range tracked(t, ".json") {
		if path.Base(file) != "package.json" || inTestdata(file) {
			continue
		}
		var pkg struct {
			Dependencies, DevDependencies, OptionalDependencies map[string]string
		}
		if err := json.Unmarshal(read(t, file), &pkg); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		for _, deps := range []map[string]string{pkg.Dependencies, pkg.DevDependencies, pkg.OptionalDependencies} {
			for _, name := range slices.Sorted(maps.Keys(deps)) {
				if !exact.MatchString(deps[name]) {
					t.Errorf("%s: %s %q is not one version", file, name, deps[name])
				}
			}
		}
	}
}
