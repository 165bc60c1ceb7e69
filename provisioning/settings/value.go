package settings

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// setText sets a field from the environment or the command line.
func (f field) setText(s string) error {
	v := f.value
	switch {
	case v.Type() == durationType:
		d, err := time.ParseDuration(s)
		if err != nil {
			return fmt.Errorf("%q is not a duration: write it like 90s, 15m or 24h", s)
		}
		v.SetInt(int64(d))
		return nil
	case v.Type() == stringsType:
		var list []string
		for part := range strings.SplitSeq(s, ",") {
			if part = strings.TrimSpace(part); part != "" {
				list = append(list, part)
			}
		}
		v.Set(reflect.ValueOf(list))
		return nil
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if s == "" { // not set, as Dump prints it
			v.SetZero()
			return nil
		}
		if err := u.UnmarshalText([]byte(s)); err != nil {
			return fmt.Errorf("%q: %w", s, err)
		}
		return nil
	}
	switch {
	case v.Kind() == reflect.String:
		v.SetString(s)
	case v.Kind() == reflect.Bool:
		b, err := strconv.ParseBool(s)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", s)
		}
		v.SetBool(b)
	case v.Kind() == reflect.Float64:
		n, err := strconv.ParseFloat(s, 64)
		if err != nil || n != n || n-n != 0 { // NaN and infinities are no settings
			return fmt.Errorf("%q is not a number", s)
		}
		v.SetFloat(n)
	case v.CanInt():
		n, err := strconv.ParseInt(s, 10, v.Type().Bits())
		if err != nil {
			return fmt.Errorf("%q is not a whole number in the range of the key", s)
		}
		v.SetInt(n)
	default:
		n, err := strconv.ParseUint(s, 10, v.Type().Bits())
		if err != nil {
			return fmt.Errorf("%q is not a whole number from 0 in the range of the key", s)
		}
		v.SetUint(n)
	}
	return nil
}

// setTOML sets a field from a decoded TOML value. Types are strict: the file
// says 5 for a number and "5" for a text.
func (f field) setTOML(raw any) error {
	switch v := raw.(type) {
	case string:
		if k := f.kind(); k != "text" && k != "duration" {
			return fmt.Errorf("%q is text, want %s: take the quotes off", v, article(k))
		}
		return f.setText(v)
	case bool:
		if f.kind() == "bool" {
			return f.setText(strconv.FormatBool(v))
		}
	case int64:
		if k := f.kind(); k == "integer" || k == "number" {
			return f.setText(strconv.FormatInt(v, 10))
		}
	case float64:
		if f.kind() == "number" {
			return f.setText(strconv.FormatFloat(v, 'g', -1, 64))
		}
	case []any:
		if f.kind() == "list" {
			return f.setList(v)
		}
	}
	want := article(f.kind())
	switch f.kind() {
	case "text", "duration":
		want += " in quotes"
	case "list":
		want += ` like ["a", "b"]`
	}
	return fmt.Errorf("%v is not %s", raw, want)
}

func (f field) setList(raw []any) error {
	list := make([]string, 0, len(raw))
	for _, e := range raw {
		s, ok := e.(string)
		if !ok {
			return fmt.Errorf("element %v is not text in quotes", e)
		}
		list = append(list, s)
	}
	f.value.Set(reflect.ValueOf(list))
	return nil
}

func article(kind string) string {
	switch kind {
	case "integer":
		return "a whole number"
	case "bool":
		return "true or false"
	case "text":
		return "text"
	}
	return "a " + kind
}

// text prints a field's value as TOML.
func (f field) text() string {
	v := f.value
	switch {
	case v.Type() == durationType:
		return strconv.Quote(time.Duration(v.Int()).String())
	case v.Type() == stringsType:
		parts := make([]string, v.Len())
		for i := range parts {
			parts[i] = quote(v.Index(i).String())
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	if m, ok := v.Addr().Interface().(encoding.TextMarshaler); ok {
		b, err := m.MarshalText()
		if err != nil { // an unset value, such as the zero key
			return `""`
		}
		return quote(string(b))
	}
	switch {
	case v.Kind() == reflect.String:
		return quote(v.String())
	case v.Kind() == reflect.Float64:
		s := strconv.FormatFloat(v.Float(), 'f', -1, 64)
		if !strings.Contains(s, ".") {
			s += ".0" // TOML tells floats from integers
		}
		return s
	}
	return fmt.Sprint(v.Interface())
}

// quote writes a TOML basic string.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
