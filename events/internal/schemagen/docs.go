package main

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
)

// docs are the comments and typed string constants of a package's source.
type docs struct {
	types     map[string]string // by type
	fields    map[string]string // by type "." JSON name
	constants map[string][]any  // by type, in source order
}

func readDocs(dir string) (*docs, error) {
	d := &docs{types: map[string]string{}, fields: map[string]string{}, constants: map[string][]any{}}
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, errors.New("no Go files in " + dir)
	}
	set := token.NewFileSet()
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		src, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		f, err := parser.ParseFile(set, name, src, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, decl := range f.Decls {
			if g, ok := decl.(*ast.GenDecl); ok {
				d.read(g)
			}
		}
	}
	return d, nil
}

func (d *docs) read(g *ast.GenDecl) {
	for _, spec := range g.Specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			text := s.Doc
			if text == nil && len(g.Specs) == 1 {
				text = g.Doc
			}
			d.types[s.Name.Name] = plain(text)
			if st, ok := s.Type.(*ast.StructType); ok {
				d.readFields(s.Name.Name, st)
			}
		case *ast.ValueSpec:
			t, ok := s.Type.(*ast.Ident)
			if !ok || g.Tok != token.CONST {
				continue
			}
			for _, v := range s.Values {
				if lit, ok := v.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					if word, err := strconv.Unquote(lit.Value); err == nil {
						d.constants[t.Name] = append(d.constants[t.Name], word)
					}
				}
			}
		}
	}
}

func (d *docs) readFields(name string, st *ast.StructType) {
	for _, f := range st.Fields.List {
		if f.Tag == nil {
			continue
		}
		tag, err := strconv.Unquote(f.Tag.Value)
		if err != nil {
			continue
		}
		field, _, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ",")
		text := f.Doc
		if text == nil {
			text = f.Comment
		}
		if field != "" {
			d.fields[name+"."+field] = plain(text)
		}
	}
}

var link = regexp.MustCompile(`\[([A-Z][A-Za-z.]*)\]`)

// plain returns a comment as one line, without the brackets of doc links.
func plain(c *ast.CommentGroup) string {
	return link.ReplaceAllString(strings.Join(strings.Fields(c.Text()), " "), "$1")
}
