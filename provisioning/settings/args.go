package settings

import (
	"fmt"
	"slices"
	"strings"
)

// arguments is a command line taken apart.
type arguments struct {
	help       bool
	config     string
	positional []string
	set        []assignment
}

func (a arguments) apply(o Origins) error { return apply(a.set, o) }

// parseArgs reads --key value, --key=value and, for a bool, --key. The word
// after a flag is its value whatever it begins with, so "--longitude -73.9"
// means what it says.
func parseArgs(fields []field, args []string) (a arguments, err error) {
	names := []string{"help", "config"}
	for _, f := range fields {
		names = append(names, f.flag())
	}
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			a.positional = append(a.positional, args[i+1:]...)
			break
		}
		if !strings.HasPrefix(arg, "-") || arg == "-" {
			a.positional = append(a.positional, arg)
			continue
		}
		name, value, hasValue := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-"), "=")
		name = strings.ReplaceAll(name, "_", "-")
		if name == "h" {
			name = "help"
		}
		n := slices.Index(names, name)
		if n < 0 {
			return a, fmt.Errorf("unknown flag --%s: %s", name, suggest(name, names))
		}
		if name == "help" {
			a.help = true
			continue
		}
		isBool := n >= 2 && fields[n-2].kind() == "bool"
		switch {
		case hasValue:
		case isBool:
			value = "true"
		case i+1 == len(args):
			return a, fmt.Errorf("flag --%s wants a value: write --%s VALUE", name, name)
		default:
			i++
			value = args[i]
		}
		if n == 1 {
			a.config = value
			continue
		}
		a.set = append(a.set, assignment{fields[n-2], value, "--" + name})
	}
	return a, nil
}
