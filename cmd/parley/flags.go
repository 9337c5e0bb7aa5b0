package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

type flagsCmd struct {
	Markdown bool `help:"As the table of the README." default:"true"`
}

// Run prints every setting with its environment twin, the commands that take
// it, and its default. The README's table is checked against it.
func (flagsCmd) Run(e *env, k *kong.Kong) error {
	type row struct {
		commands []string
		defaults []string
		flag     *kong.Flag
	}
	rows := map[string]*row{}
	var names []string
	add := func(command string, f *kong.Flag) {
		if f.Name == "help" || f.Hidden {
			return
		}
		if rows[f.Name] == nil {
			rows[f.Name] = &row{flag: f}
			names = append(names, f.Name)
		}
		if !slices.Contains(rows[f.Name].commands, command) {
			rows[f.Name].commands = append(rows[f.Name].commands, command)
			if f.HasDefault && !slices.Contains(rows[f.Name].defaults, f.Default) {
				rows[f.Name].defaults = append(rows[f.Name].defaults, f.Default)
			}
		}
	}
	for _, f := range k.Model.Flags {
		add("all", f)
	}
	for _, n := range k.Model.Children {
		if n.Hidden {
			continue
		}
		for _, f := range n.Flags {
			add(n.Name, f)
		}
	}
	slices.Sort(names)
	var out strings.Builder
	fmt.Fprintln(&out, "| flag | environment | used by | default | meaning |\n|---|---|---|---|---|")
	for _, name := range names {
		r := rows[name]
		env := ""
		if len(r.flag.Envs) > 0 {
			env = "`" + r.flag.Envs[0] + "`"
		}
		def := ""
		if len(r.defaults) > 0 {
			def = "`" + strings.Join(r.defaults, "`, `") + "`" // in the order of the commands
		}
		fmt.Fprintf(&out, "| `--%s` | %s | %s | %s | %s |\n", name, env, strings.Join(r.commands, ", "), def, r.flag.Help)
	}
	_, err := io.WriteString(e.stdout, out.String())
	return err
}
