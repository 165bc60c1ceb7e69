package settings

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// field is one leaf of the configuration struct.
type field struct {
	key   string // "antenna.gain_db"
	help  string
	must  bool          // the default is none: help says that it must be set
	value reflect.Value // settable
}

func (f field) flag() string { return strings.ReplaceAll(f.key, "_", "-") }

func (f field) env(prefix string) string {
	return prefix + "_" + strings.ToUpper(strings.ReplaceAll(f.key, ".", "_"))
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	stringsType  = reflect.TypeFor[[]string]()
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// fieldsOf lists the leaves of *cfg in the order of declaration. An error is the
// programmer's, not the user's.
func fieldsOf(cfg any) ([]field, error) {
	v := reflect.ValueOf(cfg)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return nil, errors.New("settings: want a pointer to a struct")
	}
	return appendFields(nil, "", v.Elem())
}

func appendFields(fs []field, prefix string, v reflect.Value) ([]field, error) {
	for i := range v.NumField() {
		t := v.Type().Field(i)
		name := t.Tag.Get("toml")
		if t.Anonymous && name == "" && t.Type.Kind() == reflect.Struct {
			// Shared by several programs: its keys stand beside the others.
			var err error
			if fs, err = appendFields(fs, prefix, v.Field(i)); err != nil {
				return nil, err
			}
			continue
		}
		if !t.IsExported() || name == "-" {
			continue
		}
		if name == "" {
			return nil, fmt.Errorf("settings: field %s has no toml tag", t.Name)
		}
		f := field{key: prefix + name, help: t.Tag.Get("help"), must: t.Tag.Get("must") == "set", value: v.Field(i)}
		switch {
		case leaf(t.Type):
			fs = append(fs, f)
		case t.Type.Kind() == reflect.Struct:
			var err error
			if fs, err = appendFields(fs, f.key+".", f.value); err != nil {
				return nil, err
			}
		default:
			return nil, fmt.Errorf("settings: field %s: type %s is not supported", t.Name, t.Type)
		}
	}
	return fs, nil
}

func leaf(t reflect.Type) bool {
	if t == stringsType || reflect.PointerTo(t).Implements(textType) {
		return true
	}
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return true
	}
	return false
}

// kind names a field's type for help and errors.
func (f field) kind() string {
	t := f.value.Type()
	switch {
	case t == durationType:
		return "duration"
	case t == stringsType:
		return "list"
	case reflect.PointerTo(t).Implements(textType):
		return "text"
	case t.Kind() == reflect.Bool:
		return "bool"
	case t.Kind() == reflect.String:
		return "text"
	case t.Kind() == reflect.Float64:
		return "number"
	}
	return "integer"
}
