package settings

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// ErrHelp is returned by [Load] when --help was asked for and has been printed.
// A main exits with 0.
var ErrHelp = errors.New("settings: help was printed")

// maxFile bounds a configuration file in bytes.
const maxFile = 1 << 20

// Source says where settings come from. Everything is passed in: the package
// looks at neither os.Args nor the environment.
type Source struct {
	Prefix   string   // of environment variables, as in "HOTSPOTD"; upper case, without "_"
	Args     []string // without the program's name
	Env      []string // "KEY=value", as os.Environ gives it
	Usage    string   // first lines of --help
	Examples string   // end of --help

	// DefaultFile is read when neither --config nor PREFIX_CONFIG names a file;
	// it may be absent. "" means no file.
	DefaultFile string

	// Out receives --help; nil is os.Stdout.
	Out io.Writer

	// Positional receives the arguments that are not flags. When it is nil, such
	// an argument is refused.
	Positional *[]string

	// Origins, when not nil, learns where each key's value came from.
	Origins Origins
}

// Origins says for each key that is not a default where its value came from, as
// in "hotspotd.toml", "HOTSPOTD_REGION" or "--region".
type Origins map[string]string

// Load fills *cfg from the file, then the environment, then the flags of src. It
// changes *cfg even when it fails. Errors are one line that names cause and
// remedy, without a package prefix, because users read them.
func Load(cfg any, src Source) error {
	fields, err := fieldsOf(cfg)
	if err != nil {
		return err
	}
	args, err := parseArgs(fields, src.Args)
	if err != nil {
		return err
	}
	if args.help {
		out := src.Out
		if out == nil {
			out = os.Stdout
		}
		if _, err := io.WriteString(out, help(fields, src)); err != nil {
			return err
		}
		return ErrHelp
	}
	if len(args.positional) > 0 && src.Positional == nil {
		return fmt.Errorf("argument %q is not a flag: flags begin with --, see --help", args.positional[0])
	}
	if src.Positional != nil {
		*src.Positional = args.positional
	}
	env, err := parseEnv(fields, src)
	if err != nil {
		return err
	}
	if err := loadFile(fields, src, args.config, env.config); err != nil {
		return err
	}
	return errors.Join(env.apply(src.Origins), args.apply(src.Origins))
}

// assignment is one value that waits to be set.
type assignment struct {
	field  field
	text   string
	origin string
}

func apply(as []assignment, origins Origins) error {
	for _, a := range as {
		if err := a.field.setText(a.text); err != nil {
			return fmt.Errorf("%s: %w", a.origin, err)
		}
		if origins != nil {
			origins[a.field.key] = a.origin
		}
	}
	return nil
}

type environment struct {
	config string
	set    []assignment
}

func (e environment) apply(o Origins) error { return apply(e.set, o) }

func parseEnv(fields []field, src Source) (e environment, err error) {
	if src.Prefix == "" {
		return e, nil
	}
	names := []string{src.Prefix + "_CONFIG"}
	for _, f := range fields {
		names = append(names, f.env(src.Prefix))
	}
	for _, kv := range src.Env {
		name, value, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, src.Prefix+"_") {
			continue
		}
		switch i := slices.Index(names, name); {
		case i < 0:
			return e, fmt.Errorf("unknown environment variable %s: %s (or unset it)", name, suggest(name, names))
		case i == 0:
			e.config = value
		default:
			e.set = append(e.set, assignment{fields[i-1], value, name})
		}
	}
	return e, nil
}

// loadFile reads the file that the flag, the environment or the default names.
func loadFile(fields []field, src Source, fromFlag, fromEnv string) error {
	path, must := src.DefaultFile, false
	for _, p := range []string{fromEnv, fromFlag} {
		if p != "" {
			path, must = p, true
		}
	}
	if path == "" {
		return nil
	}
	b, err := readLimited(path)
	if errors.Is(err, fs.ErrNotExist) && !must {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot read the configuration file: %w: correct --config", err)
	}
	return parseFile(fields, src.Origins, filepath.Base(path), string(b))
}

func readLimited(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("%s is longer than %d bytes", path, maxFile)
	}
	return b, err
}

func parseFile(fields []field, origins Origins, name, text string) error {
	var tree map[string]any
	meta, err := toml.Decode(text, &tree)
	if err != nil {
		if perr, ok := errors.AsType[toml.ParseError](err); ok {
			return fmt.Errorf("%s line %d: %s", name, perr.Position.Line, oneLine(perr.Message))
		}
		return fmt.Errorf("%s: %s", name, oneLine(err.Error()))
	}
	known := make([]string, len(fields))
	for i, f := range fields {
		known[i] = f.key
	}
	for _, k := range meta.Keys() {
		key := strings.Join(k, ".")
		raw, table := lookup(tree, k)
		i := slices.Index(known, key)
		switch {
		case table && isTable(known, key):
		case i < 0:
			return fmt.Errorf("unknown key %q in %s%s: %s", key, name, at(text, key), suggest(key, known))
		default:
			if err := fields[i].setTOML(raw); err != nil {
				return fmt.Errorf("%s%s: key %q: %w", name, at(text, key), key, err)
			}
			if origins != nil {
				origins[key] = name
			}
		}
	}
	return nil
}

// lookup finds the value of a key in the decoded tree; table says that it is one.
func lookup(tree map[string]any, path []string) (v any, table bool) {
	v = tree
	for _, p := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return v, false
		}
		v = m[p]
	}
	_, table = v.(map[string]any)
	return v, table
}

func isTable(known []string, key string) bool {
	return slices.ContainsFunc(known, func(k string) bool { return strings.HasPrefix(k, key+".") })
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
