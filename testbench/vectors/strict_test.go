package vectors

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// problems collects what is wrong with a section.
type problems struct{ list []error }

func (p *problems) addf(format string, args ...any) {
	p.list = append(p.list, fmt.Errorf(format, args...))
}

// want notes a problem unless ok.
func (p *problems) want(ok bool, format string, args ...any) {
	if !ok {
		p.addf(format, args...)
	}
}

func (p *problems) err() error { return errors.Join(p.list...) }

// hexBytes is text of hexadecimal digits.
type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	*h = b
	return err
}

// strict reads raw into v and fails on fields that v does not have, on fields
// of v that are missing (unless tagged omitempty), and on texts, lists and
// objects that are empty (unless tagged empty:"ok").
func strict(raw json.RawMessage, v any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	return complete(raw, reflect.TypeOf(v).Elem(), "")
}

func complete(raw json.RawMessage, t reflect.Type, path string) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case isEmpty(raw):
		return fmt.Errorf("%s is empty", path)
	case t == reflect.TypeFor[json.RawMessage]():
		return nil
	case t.Kind() == reflect.Slice && raw[0] == '[':
		var list []json.RawMessage
		if err := json.Unmarshal(raw, &list); err != nil {
			return err
		}
		for i, e := range list {
			if err := complete(e, t.Elem(), fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
	case t.Kind() == reflect.Struct && raw[0] == '{':
		var object map[string]json.RawMessage
		if err := json.Unmarshal(raw, &object); err != nil {
			return err
		}
		return completeFields(object, t, path)
	}
	return nil
}

func completeFields(object map[string]json.RawMessage, t reflect.Type, path string) error {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			if err := completeFields(object, f.Type, path); err != nil {
				return err
			}
			continue
		}
		name, option, _ := strings.Cut(f.Tag.Get("json"), ",")
		value, there := object[name]
		switch {
		case !there && option == "omitempty":
		case !there:
			return fmt.Errorf("%s.%s is missing", path, name)
		case f.Tag.Get("empty") == "ok" && isEmpty(value):
		default:
			if err := complete(value, f.Type, path+"."+name); err != nil {
				return err
			}
		}
	}
	return nil
}

func isEmpty(raw json.RawMessage) bool {
	switch string(raw) {
	case "", "null", `""`, "[]", "{}":
		return true
	}
	return false
}
