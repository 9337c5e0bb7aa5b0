package compose

import (
	"bytes"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// instruction is one line of a Dockerfile, continued lines joined.
type instruction struct{ verb, args string }

func parseDockerfile(b []byte) []instruction {
	var all []instruction
	joined := regexp.MustCompile(`\\\n\s*`).ReplaceAllString(string(b), " ")
	for line := range strings.Lines(joined) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		verb, args, _ := strings.Cut(line, " ")
		all = append(all, instruction{strings.ToUpper(verb), strings.TrimSpace(args)})
	}
	return all
}

// dockerfileProblems says what must not be in an image of ours.
func dockerfileProblems(b []byte) []string {
	var problems []string
	all := parseDockerfile(b)
	var stages []string
	last := map[string]string{} // of the final stage
	secret := regexp.MustCompile(`(?i)(password|secret|token|api_?key|credential)`)
	for _, in := range all {
		switch in.verb {
		case "FROM":
			fields := slices.DeleteFunc(strings.Fields(in.args), func(f string) bool { return strings.HasPrefix(f, "--") })
			if image := fields[0]; image != "scratch" && !slices.Contains(stages, image) && !pinned(image) {
				problems = append(problems, image+" is not pinned to a release")
			}
			if len(fields) == 3 {
				stages = append(stages, fields[2])
			}
			clear(last)
		case "ADD":
			problems = append(problems, "ADD fetches and unpacks by itself: use COPY")
		case "ARG", "ENV":
			if secret.MatchString(in.args) {
				problems = append(problems, in.verb+" "+in.args+" stays readable in the image")
			}
		case "COPY":
			if regexp.MustCompile(`(^|\s|/)\.env\b`).MatchString(in.args) {
				problems = append(problems, "COPY "+in.args)
			}
		}
		last[in.verb] = in.args
	}
	if last["FROM"] != "scratch" {
		problems = append(problems, "the final image is "+last["FROM"]+", not scratch")
	}
	if !regexp.MustCompile(`^[1-9]\d*:[1-9]\d*$`).MatchString(last["USER"]) {
		problems = append(problems, "the final USER is no number other than root's: "+last["USER"])
	}
	if last["ENTRYPOINT"] != `["/parley"]` {
		problems = append(problems, "ENTRYPOINT "+last["ENTRYPOINT"])
	}
	if !strings.HasSuffix(last["HEALTHCHECK"], `CMD ["/parley", "healthcheck"]`) {
		problems = append(problems, "HEALTHCHECK "+last["HEALTHCHECK"])
	}
	return problems
}

func TestDockerfile(t *testing.T) {
	t.Parallel()
	b := readFile(t, root+"/Dockerfile")
	for _, p := range dockerfileProblems(b) {
		t.Error(p)
	}
	for _, want := range []string{
		"CGO_ENABLED=0",                      // nothing to link with in scratch
		"-trimpath",                          // no folder of the builder in the binary
		"npm ci --ignore-scripts",            // no code of others while building
		"ca-certificates.crt",                // the model is reached over TLS
		"65532:65532:parley:/:/sbin/nologin", // a name for the user
	} {
		if !bytes.Contains(b, []byte(want)) {
			t.Errorf("the Dockerfile has no %q", want)
		}
	}
	// The compilers are those that the tree is tested with.
	gomod := readFile(t, root+"/go.mod")
	want := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(gomod)[1]
	if got := regexp.MustCompile(`golang:(\d+\.\d+)`).FindSubmatch(b); got == nil || !bytes.Equal(got[1], want) {
		t.Errorf("it builds with %s, go.mod says %s", got, want)
	}
}

func TestDockerfileProblems(t *testing.T) {
	t.Parallel()
	good := readFile(t, root+"/Dockerfile")
	tests := []struct{ name, old, text, want string }{
		{"moving tag", "golang:1.26.8-bookworm", "golang:latest", "golang:latest is not pinned"},
		{"root", "USER 65532:65532", "USER 0:0", "the final USER"},
		{"a name that scratch may not know", "USER 65532:65532", "USER parley", "the final USER"},
		{"no user", "USER 65532:65532", "", "the final USER"},
		{"a distribution", "FROM scratch", "FROM debian:12.5-slim", "not scratch"},
		{"secret", "EXPOSE 7420", "ENV OPENAI_API_KEY=sk-1", "stays readable"},
		{"build secret", "ARG VERSION=dev", "ARG NPM_TOKEN VERSION=dev", "stays readable"},
		{"fetching", "COPY go.mod go.sum ./", "ADD https://example.com/x.tgz ./", "use COPY"},
		{"settings", "COPY go.mod go.sum ./", "COPY go.mod .env ./", ".env"},
		{"a shell", `ENTRYPOINT ["/parley"]`, "ENTRYPOINT /parley", "ENTRYPOINT"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bad := bytes.Replace(good, []byte(tt.old), []byte(tt.text), 1)
			if bytes.Equal(bad, good) {
				t.Fatalf("the Dockerfile has no %q", tt.old)
			}
			if got := strings.Join(dockerfileProblems(bad), "; "); !strings.Contains(got, tt.want) {
				t.Errorf("problems %q, want %q", got, tt.want)
			}
		})
	}
}

// The build context is an allow list; what the program is made of has to be on it.
func TestBuildContext(t *testing.T) {
	t.Parallel()
	var allowed []string
	for line := range strings.Lines(string(readFile(t, root+"/.dockerignore"))) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "!"); ok {
			allowed = append(allowed, name)
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "./cmd/parley")
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	packages := strings.Fields(string(out))
	// "Today" is a matter of time zones, and scratch has none.
	if !slices.Contains(packages, "time/tzdata") {
		t.Error("parley does not bring its time zones along")
	}
	ours := 0
	for _, pkg := range packages {
		dir, ok := strings.CutPrefix(pkg, "github.com/parleychat/parley/")
		if !ok {
			continue
		}
		ours++
		if !slices.ContainsFunc(allowed, func(a string) bool { return dir == a || strings.HasPrefix(dir, a+"/") }) {
			t.Errorf(".dockerignore leaves out %s", dir)
		}
	}
	if ours < 5 {
		t.Errorf("parley is made of %d packages of ours only", ours)
	}
}
