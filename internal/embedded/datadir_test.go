package embedded

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

func TestOpenMakesAPrivateDirectory(t *testing.T) {
	t.Parallel()
	account, err := PostgresAccount()
	if err != nil {
		t.Fatal(err)
	}
	want := fs.FileMode(0o700)
	if account.Drop {
		want = 0o710 // PostgreSQL's group passes through
	}
	path := filepath.Join(newDataDir(t), "some", "levels", "down")
	for range 2 { // new, then existing
		d := open(t, path)
		fi, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if fi.Mode().Perm() != want || int(fi.Sys().(*syscall.Stat_t).Uid) != os.Geteuid() {
			t.Errorf("mode %o, owner %d; want %o and us", fi.Mode().Perm(), fi.Sys().(*syscall.Stat_t).Uid, want)
		}
		if d.Path() != path {
			t.Errorf("path %q, want %q", d.Path(), path)
		}
		d.Close()
		if err := os.Chmod(path, 0o755); err != nil { // the second Open closes it again
			t.Fatal(err)
		}
	}
}

// A refused directory is not changed in any way.
func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		prepare func(t *testing.T, dir string)
		want    []string
	}{
		{"newer", func(t *testing.T, dir string) {
			t.Helper()
			write(t, filepath.Join(dir, "version"), "2\n")
			write(t, filepath.Join(dir, "nats", "stream"), "precious")
		}, []string{"was written by a newer parley (format 2, this one knows 1)", "--data-dir"}},
		{"version without sense", func(t *testing.T, dir string) {
			t.Helper()
			write(t, filepath.Join(dir, "version"), "one")
		}, []string{"does not hold the number of a data format"}},
		{"foreign", func(t *testing.T, dir string) {
			t.Helper()
			write(t, filepath.Join(dir, "thesis.txt"), "precious")
		}, []string{"is not empty and holds no Parley data"}},
		{"a file", func(t *testing.T, dir string) {
			t.Helper()
			write(t, dir, "precious")
		}, []string{"cannot be used", "not a directory", "--data-dir"}},
		{"below a file", func(t *testing.T, dir string) {
			t.Helper()
			write(t, filepath.Dir(dir)+"/data", "precious")
		}, []string{"cannot be used", "not a directory"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := newDataDir(t)
			tt.prepare(t, dir)
			before := snapshot(t, dir)
			path := dir
			if tt.name == "below a file" {
				path = filepath.Join(dir, "x")
			}
			d, err := Open(path)
			if err == nil {
				d.Close()
				t.Fatal("opened")
			}
			for _, want := range append(tt.want, path) {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %q", err)
			}
			after := snapshot(t, dir)
			delete(after, "parley.lock")
			for name, content := range before {
				if after[name] != content {
					t.Errorf("%s was changed to %q", name, after[name])
				}
				delete(after, name)
			}
			for name := range after {
				t.Errorf("%s appeared", name)
			}
		})
	}
}

// A start that was interrupted before it wrote the version is no foreign data.
func TestOpenAfterInterruptedFirstOpen(t *testing.T) {
	t.Parallel()
	dir := newDataDir(t)
	write(t, filepath.Join(dir, "parley.lock"), "123\n")
	write(t, filepath.Join(dir, "version.4711"), "")
	open(t, dir)
}

func TestLockOutlivesTheGarbageCollector(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.GC()
	var inUse *InUseError
	if _, err := Lock(dir); !errors.As(err, &inUse) || inUse.PID != os.Getpid() {
		t.Errorf("second lock: %v, want in use by %d", err, os.Getpid())
	}
	l.Unlock()
	again, err := Lock(dir)
	if err != nil {
		t.Fatalf("after Unlock: %v", err)
	}
	again.Unlock()
	again.Unlock()
}

func TestEndpoint(t *testing.T) {
	t.Parallel()
	dir := newDataDir(t)
	if _, err := ReadEndpoint(dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("no data directory: %v, want ErrNotRunning", err)
	}
	d := open(t, dir)
	if _, err := ReadEndpoint(dir); !errors.Is(err, ErrNotRunning) || !strings.Contains(err.Error(), "starting") {
		t.Errorf("while starting: %v, want ErrNotRunning that says so", err)
	}
	want := Endpoint{
		HTTPURL: "http://127.0.0.1:7420", NATS: NATSAccess{URL: "nats://127.0.0.1:1", User: "u", Password: "p"},
		DatabaseURL: "postgres://app", DatabaseDirectURL: "postgres://owner", Settings: map[string]string{"auth-issuer": "x"},
	}
	if err := WriteEndpoint(dir, want); err != nil {
		t.Fatal(err)
	}
	got, err := ReadEndpoint(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got.PID != os.Getpid() || got.HTTPURL != want.HTTPURL || got.NATS != want.NATS ||
		got.DatabaseURL != want.DatabaseURL || got.DatabaseDirectURL != want.DatabaseDirectURL || got.Settings["auth-issuer"] != "x" {
		t.Errorf("read %+v, wrote %+v", got, want)
	}
	if fi, err := os.Stat(filepath.Join(dir, endpointName)); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, err %v; want 0600", fi.Mode(), err)
	}
	// Asking must not keep anybody from the lock, nor take it away.
	if _, err := Lock(dir); err == nil {
		t.Error("after ReadEndpoint the lock is free")
	}

	// Killed: the file is there, the lock is free.
	d.Close()
	if _, err := ReadEndpoint(dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("stale file: %v, want ErrNotRunning", err)
	}
	// The next one has the lock and has not announced itself.
	open(t, dir)
	if _, err := os.Stat(filepath.Join(dir, endpointName)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the stale file is still there: %v", err)
	}
	// Or it is a moment before it removes the file of the other.
	write(t, filepath.Join(dir, endpointName), `{"pid": 1}`)
	if _, err := ReadEndpoint(dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("file of another process: %v, want ErrNotRunning", err)
	}
	if err := errors.Join(RemoveEndpoint(dir), RemoveEndpoint(dir)); err != nil {
		t.Errorf("remove twice: %v", err)
	}
}

func TestDefaultDataDir(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", "/somewhere")
	got, err := DefaultDataDir()
	want := "/somewhere/parley"
	switch {
	case os.Geteuid() == 0:
		want = "/var/lib/parley"
	case runtime.GOOS == "darwin":
		want = filepath.Join(os.Getenv("HOME"), "Library/Application Support/parley")
	}
	if err != nil || got != want {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
}

// Root may write everywhere and PostgreSQL must not run as root, so as root a
// good part of what happens to people is not tested: those tests run again as
// an ordinary user.
func TestAsOrdinaryUser(t *testing.T) {
	t.Parallel()
	account, err := PostgresAccount()
	if err != nil {
		t.Fatal(err)
	}
	if !account.Drop {
		t.Log("already an ordinary user")
		return
	}
	dir := newDataDir(t)
	home := filepath.Join(filepath.Dir(dir), "home")
	if err := account.mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(filepath.Dir(dir), "embedded.test")
	if err := copyExecutable(os.Args[0], binary); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(testContext(t), binary, "-test.v",
		"-test.run=^(TestUnwritable|TestOpenMakesAPrivateDirectory|TestKilledParentTakesPostgresAlong|TestOrphanIsStopped|TestStartStopStart|TestDefaultDataDir)$")
	cmd.Dir = home
	cmd.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH")}
	cmd.SysProcAttr = account.childAttr(syscall.SIGKILL)
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Count(string(out), "--- PASS: Test") < 6 {
		t.Errorf("as %s: %v\n%s", account.Name, err, out)
	}
}

func TestUnwritable(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		t.Log("root may write everywhere: TestAsOrdinaryUser runs this")
		return
	}
	parent := t.TempDir()
	if err := os.Chmod(parent, 0o500); err != nil {
		t.Fatal(err)
	}
	existing := filepath.Join(t.TempDir(), "existing")
	write(t, filepath.Join(existing, "version"), "1\n")
	write(t, filepath.Join(existing, "parley.lock"), "")
	if err := os.Chmod(filepath.Join(existing, "parley.lock"), 0o400); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{filepath.Join(parent, "data"), "/root/data", "/proc/data", existing} {
		d, err := Open(dir)
		if err == nil {
			d.Close()
			t.Errorf("%s: opened", dir)
			continue
		}
		if !strings.Contains(err.Error(), "data directory "+dir+" cannot be used (") || !strings.Contains(err.Error(), "--data-dir") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %q is not one clear sentence", dir, err)
		}
	}
}

func copyExecutable(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

func write(t testing.TB, file, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// snapshot returns the files below dir with their content.
func snapshot(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		files[rel] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
