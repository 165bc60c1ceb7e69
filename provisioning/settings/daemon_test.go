package settings

import (
	"bytes"
	"strings"
	"testing"
)

func TestLog(t *testing.T) {
	for _, tt := range []struct{ args, want, not string }{
		{"", "level=INFO msg=b", "msg=a"},
		{"--log.level DEBUG", "level=DEBUG msg=a", "{"},
		{"--log.level warn", "level=WARN", "msg=b"},
		{"--log.json", `"msg":"b"`, "msg=b"},
	} {
		var c struct {
			Log Log `toml:"log"`
		}
		if err := Load(&c, Source{Args: strings.Fields(tt.args)}); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		log := c.Log.Logger(&out)
		log.Debug("a")
		log.Info("b")
		log.Warn("c")
		if got := out.String(); !strings.Contains(got, tt.want) || strings.Contains(got, tt.not) {
			t.Errorf("%q: %s", tt.args, got)
		}
	}
	var c struct {
		Log Log `toml:"log"`
	}
	if err := Load(&c, Source{Args: []string{"--log.level", "loud"}}); err == nil || !strings.Contains(err.Error(), "choose debug, info, warn or error") {
		t.Errorf("loud: %v", err)
	}
	if text, err := Dump(&c, nil); err != nil || !strings.Contains(text, `level = "info"`) {
		t.Errorf("%v:\n%s", err, text)
	}
}

func TestListen(t *testing.T) {
	if l, err := Listen("", "web.listen"); l != nil || err != nil {
		t.Errorf("without an address: %v, %v", l, err)
	}
	l, err := Listen("127.0.0.1:0", "web.listen")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for addr, want := range map[string]string{
		l.Addr().String(): "in use by another program: stop it, or choose another port with --web.listen",
		"256.0.0.1:x":     "correct the address with --web.listen",
	} {
		if got, err := Listen(addr, "web.listen"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v", addr, got, err)
		}
	}
}
