package sx1302

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
)

// unread lists the keys of a JSON document that decoding it into a struct of type t
// passes over, sorted, as in radio_0.tx_gain_lut[].desc. At most maxUnread are named.
func unread(document []byte, t reflect.Type) ([]string, error) {
	var v any
	if err := json.Unmarshal(document, &v); err != nil {
		return nil, err
	}
	var out []string
	walkUnread(v, t, "", func(key string) { out = append(out, key) })
	slices.Sort(out)
	out = slices.Compact(out)
	return slices.Clip(out[:min(len(out), maxUnread)]), nil
}

// maxUnread bounds what a hostile file can make of a list of its keys.
const maxUnread = 200

func walkUnread(v any, t reflect.Type, path string, note func(key string)) {
	switch t.Kind() {
	case reflect.Pointer:
		walkUnread(v, t.Elem(), path, note)
	case reflect.Slice:
		if list, ok := v.([]any); ok {
			for _, e := range list {
				walkUnread(e, t.Elem(), path+"[]", note)
			}
		}
	case reflect.Struct:
		object, _ := v.(map[string]any)
		for key, value := range object {
			at := strings.TrimPrefix(path+"."+key, ".")
			if f, ok := fieldFor(t, key); ok {
				walkUnread(value, f, at, note)
			} else {
				note(at)
			}
		}
	}
}

// fieldFor is the type of the field that encoding/json decodes a key into.
func fieldFor(t reflect.Type, key string) (reflect.Type, bool) {
	for _, f := range reflect.VisibleFields(t) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); !f.Anonymous && strings.EqualFold(name, key) {
			return f.Type, true
		}
	}
	return nil, false
}
