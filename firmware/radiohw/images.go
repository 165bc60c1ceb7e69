package radiohw

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"heliograph/hardware/sx1302"
	"heliograph/hardware/sx1302/calc"
)

// maxSource bounds a file that is read whole, in bytes.
const maxSource = 1 << 20

// imageFile is where an image is stored.
func imageFile(store, name string) string { return filepath.Join(store, name+".bin") }

// replaceFile writes a file whole or not at all.
func replaceFile(path string, b []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".import-*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(b)
	err = errors.Join(err, tmp.Chmod(0o644), tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
}

// gainControl names the gain control's image for a configuration's radios.
func gainControl(cfg *sx1302.Config) string {
	if cfg.Radios[cfg.ClockSource].Kind == calc.SX1250 {
		return "agc_sx1250"
	}
	return "agc_sx125x"
}

// LoadFirmware reads the images that a configuration needs from store. An image
// that is not there is left out: starting the chip then says what is missing and
// how to get it. Unknown names those that are none of the vendor's, which only a
// simulated chip runs.
func LoadFirmware(store string, cfg *sx1302.Config) (fw sx1302.Firmware, unknown []string, err error) {
	agc := gainControl(cfg)
	for _, want := range []struct {
		name string
		to   *[]byte
		need bool
	}{
		{agc, &fw.AGC, true}, {"arb", &fw.ARB, true},
		{"cal_sx125x", &fw.Cal, agc == "agc_sx125x"}, {"sx1261", &fw.SX1261, cfg.SX1261.Enable},
	} {
		if !want.need || store == "" {
			continue
		}
		b, err := readLimited(imageFile(store, want.name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fw, unknown, fmt.Errorf("radiohw: load firmware: %w", err)
		}
		if _, ok := sx1302.IdentifyImage(b); !ok {
			unknown = append(unknown, want.name)
		}
		*want.to = b
	}
	return fw, unknown, nil
}

// readLimited reads a regular file of at most maxSource bytes. A device, a pipe or a
// directory is refused before anything is read of it.
func readLimited(path string) ([]byte, error) {
	// Without O_NONBLOCK opening a named pipe would wait for who writes into it.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	switch info, err := f.Stat(); {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no regular file: name the file itself", path)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSource+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxSource {
		return nil, fmt.Errorf("%s has more than %d bytes: is that the right file?", path, maxSource)
	}
	return b, nil
}

// StoreFirmware writes images where LoadFirmware finds them, such as the synthetic
// ones of a simulated chip.
func StoreFirmware(store string, cfg *sx1302.Config, fw sx1302.Firmware) error {
	if err := os.MkdirAll(store, 0o755); err != nil {
		return fmt.Errorf("radiohw: store firmware: %w", err)
	}
	agc := gainControl(cfg)
	for name, b := range map[string][]byte{agc: fw.AGC, "arb": fw.ARB, "cal_sx125x": fw.Cal, "sx1261": fw.SX1261} {
		if len(b) == 0 {
			continue
		}
		if err := replaceFile(imageFile(store, name), b); err != nil {
			return fmt.Errorf("radiohw: store firmware: %w", err)
		}
	}
	return nil
}
