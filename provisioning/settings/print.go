package settings

import (
	"fmt"
	"strings"
)

// Dump prints the settings as a TOML file that [Load] reads back, each with its
// help and, when origins has it, where its value came from.
func Dump(cfg any, origins Origins) (string, error) {
	fields, err := fieldsOf(cfg)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	// TOML wants the keys without a table first; then each table once.
	write := func(f field, name string) {
		if f.help != "" {
			fmt.Fprintf(&b, "# %s\n", f.help)
		}
		origin := "default"
		if o, ok := origins[f.key]; ok {
			origin = o
		}
		if origins != nil {
			fmt.Fprintf(&b, "%s = %s # %s\n", name, f.text(), origin)
		} else {
			fmt.Fprintf(&b, "%s = %s\n", name, f.text())
		}
	}
	var tables []string
	members := map[string][]field{}
	for _, f := range fields {
		i := strings.LastIndexByte(f.key, '.')
		if i < 0 {
			write(f, f.key)
			continue
		}
		t := f.key[:i]
		if members[t] == nil {
			tables = append(tables, t)
		}
		members[t] = append(members[t], f)
	}
	for _, t := range tables {
		fmt.Fprintf(&b, "\n[%s]\n", t)
		for _, f := range members[t] {
			write(f, f.key[len(t)+1:])
		}
	}
	return b.String(), nil
}

func help(fields []field, src Source) string {
	var b strings.Builder
	if src.Usage != "" {
		fmt.Fprintf(&b, "%s\n\n", strings.TrimSpace(src.Usage))
	}
	b.WriteString("Flags:\n  --config FILE")
	if src.DefaultFile != "" {
		fmt.Fprintf(&b, " (default %s, may be absent)", src.DefaultFile)
	}
	b.WriteString("\n      read settings from a TOML file\n")
	for _, f := range fields {
		origin := "default " + f.text()
		if f.must {
			origin = "must be set"
		}
		fmt.Fprintf(&b, "  --%s %s (%s)\n", f.flag(), strings.ToUpper(f.kind()), origin)
		if f.help != "" {
			fmt.Fprintf(&b, "      %s\n", f.help)
		}
	}
	b.WriteString("  --help\n      print this text\n")
	if len(fields) > 0 && src.Prefix != "" {
		fmt.Fprintf(&b, "\nA setting can also stand in the file (%s = ...) or in the environment (%s=...).\nFlags win over the environment, the environment over the file.\n",
			fields[0].key, fields[0].env(src.Prefix))
	}
	if src.Examples != "" {
		fmt.Fprintf(&b, "\nExamples:\n%s\n", strings.TrimRight(src.Examples, "\n"))
	}
	return b.String()
}
