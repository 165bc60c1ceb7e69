package rules

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "heliograph"

// file is one Go source file of the module, parsed.
type file struct {
	path    string // from the module's root, with slashes
	pkg     string // import path of its folder
	test    bool
	syntax  *ast.File
	set     *token.FileSet
	imports []string
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("no go.mod above the test")
		}
		dir = parent
	}
}

// sources parses every Go file of the module; folders that do not belong to it
// (node_modules, run-time state, modules of their own) are left out.
func sources(t *testing.T) []file {
	t.Helper()
	top := root(t)
	set := token.NewFileSet()
	var out []file
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			_, nested := os.Stat(filepath.Join(path, "go.mod"))
			skip := strings.HasPrefix(name, ".") || name == "node_modules" || name == "testdata" || name == "bin"
			if path != top && (skip || nested == nil) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		syntax, err := parser.ParseFile(set, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(top, path)
		if err != nil {
			return err
		}
		f := file{path: filepath.ToSlash(rel), test: strings.HasSuffix(name, "_test.go"), syntax: syntax, set: set}
		f.pkg = module
		if dir := filepath.ToSlash(filepath.Dir(rel)); dir != "." {
			f.pkg += "/" + dir
		}
		for _, imp := range syntax.Imports {
			p, err := strconv.Unquote(imp.Path.Value)
			if err != nil {
				return err
			}
			f.imports = append(f.imports, p)
		}
		out = append(out, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 50 {
		t.Fatalf("found only %d Go files: the rules would check nothing", len(out))
	}
	return out
}

// within says whether an import path is the package or lies below it.
func within(pkg, top string) bool {
	return pkg == module+"/"+top || strings.HasPrefix(pkg, module+"/"+top+"/")
}
