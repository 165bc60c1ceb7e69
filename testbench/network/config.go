package network

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"heliograph/radio/lorawan"
)

// Config describes a run. Zero values mean the defaults.
type Config struct {
	Dir      string // where everything is kept; needed
	Fresh    bool   // forget what earlier runs left in Dir
	Hotspots int    // 1..24, default 24
	Devices  int    // 0..6; NoDevices or default 6

	// PlainRadios gives hotspots the ether's own concentrator, which costs less,
	// instead of the real driver on a simulated chip.
	PlainRadios bool

	EpochLength time.Duration // whole seconds, 20 s or more, default 2 min
	Grace       time.Duration // for reports of a closed epoch, default a tenth of the epoch, 4..15 s
	Beacons     int           // for each hotspot and epoch, default 3
	Uplinks     time.Duration // from one uplink of a device to the next, default 20 s
	Seed        uint64        // of air, antennas and devices; default 1

	Page string // address of the explorer, default 127.0.0.1:8443; a free port when that is taken
	Bin  string // folder of oracled and oraclectl; default: where this program is
	Log  *slog.Logger
}

// NoDevices as Config.Devices means none.
const NoDevices = -1

// Check says what is wrong with the configuration by itself.
func (c Config) Check() error {
	_, err := c.fill()
	return err
}

func (c Config) fill() (Config, error) {
	if c.Dir == "" {
		return c, errors.New("network: no directory to work in")
	}
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return c, fmt.Errorf("network: directory: %w", err)
	}
	c.Dir = dir
	if c.Hotspots == 0 {
		c.Hotspots = len(vienna)
	}
	switch c.Devices {
	case 0:
		c.Devices = len(streets)
	case NoDevices:
		c.Devices = 0
	}
	if c.EpochLength == 0 {
		c.EpochLength = 2 * time.Minute
	}
	if c.Grace == 0 {
		c.Grace = min(max((c.EpochLength/10).Round(time.Second), 4*time.Second), 15*time.Second)
	}
	if c.Beacons == 0 {
		c.Beacons = 3
	}
	if c.Uplinks == 0 {
		c.Uplinks = 20 * time.Second
	}
	if c.Seed == 0 {
		c.Seed = 1
	}
	if c.Page == "" {
		c.Page = "127.0.0.1:8443"
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	switch {
	case c.Hotspots < 1 || c.Hotspots > len(vienna):
		return c, fmt.Errorf("network: %d hotspots, want 1..%d", c.Hotspots, len(vienna))
	case c.Devices < 0 || c.Devices > len(streets):
		return c, fmt.Errorf("network: %d devices, want 0..%d", c.Devices, len(streets))
	case c.EpochLength < 20*time.Second || c.EpochLength%time.Second != 0:
		return c, fmt.Errorf("network: epochs of %s, want whole seconds and 20s or more", c.EpochLength)
	case c.Beacons < 1 || c.Beacons > 60:
		return c, fmt.Errorf("network: %d beacons for each hotspot and epoch, want 1..60", c.Beacons)
	}
	return c, nil
}

// memory is what a directory remembers of its network.
type memory struct {
	EpochSeconds int64  `json:"epoch_seconds"`
	Seed         uint64 `json:"seed"`
	Runs         uint16 `json:"runs"` // this one counted
}

// open makes the directory ready for a run, or refuses one that another run
// uses or that belongs to another network. The returned file holds the lock.
func (c Config) open() (memory, *os.File, error) {
	if c.Fresh {
		if err := c.forget(); err != nil {
			return memory{}, nil, err
		}
	}
	if err := os.MkdirAll(filepath.Join(c.Dir, "keys"), 0o700); err != nil {
		return memory{}, nil, fmt.Errorf("network: %w", err)
	}
	lock, err := c.lock()
	if err != nil {
		return memory{}, nil, err
	}
	m, err := c.remember()
	if err != nil {
		return memory{}, nil, errors.Join(err, lock.Close())
	}
	return m, lock, nil
}

func (c Config) lock() (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(c.Dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("network: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("network: %s is in use by another run: stop that one, or choose another --dir", c.Dir), f.Close())
	}
	return f, nil
}

// remember counts the run and checks that it continues the same network.
func (c Config) remember() (memory, error) {
	path := filepath.Join(c.Dir, "city.json")
	m := memory{EpochSeconds: int64(c.EpochLength / time.Second), Seed: c.Seed}
	text, err := os.ReadFile(path)
	switch {
	case err == nil:
		var old memory
		if err := json.Unmarshal(text, &old); err != nil {
			return m, fmt.Errorf("network: %s is damaged: %w: start anew with --fresh", path, err)
		}
		if old.EpochSeconds != m.EpochSeconds || old.Seed != m.Seed {
			return m, fmt.Errorf("network: %s holds a network with epochs of %ds and seed %d, asked for are %ds and %d: start anew with --fresh, or choose another --dir",
				c.Dir, old.EpochSeconds, old.Seed, m.EpochSeconds, m.Seed)
		}
		m.Runs = old.Runs
	case !errors.Is(err, fs.ErrNotExist):
		return m, fmt.Errorf("network: %w", err)
	}
	m.Runs++
	text, err = json.Marshal(m)
	if err != nil {
		return m, fmt.Errorf("network: %w", err)
	}
	return m, writeOnce(path, append(text, '\n'), 0o600)
}

// forget removes what earlier runs left. It touches no directory that is not
// recognisably one of ours.
func (c Config) forget() error {
	entries, err := os.ReadDir(c.Dir)
	if errors.Is(err, fs.ErrNotExist) || (err == nil && len(entries) == 0) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("network: %w", err)
	}
	if _, err := os.Stat(filepath.Join(c.Dir, "city.json")); err != nil {
		return fmt.Errorf("network: %s is not empty and not from an earlier run, so it is not deleted: choose another --dir", c.Dir)
	}
	lock, err := c.lock()
	if err != nil {
		return err
	}
	defer lock.Close()
	for _, e := range entries {
		if e.Name() == "lock" || e.Name() == "city.json" {
			continue
		}
		if err := os.RemoveAll(filepath.Join(c.Dir, e.Name())); err != nil {
			return fmt.Errorf("network: start anew: %w", err)
		}
	}
	return os.Remove(filepath.Join(c.Dir, "city.json")) // last: until here the folder is recognised
}

// Identities of the devices: anybody may know them, the air is simulated.
const (
	joinEUI = lorawan.EUI64(0x70b3d57ed0000001)
	netID   = lorawan.NetID(0x000024)
)

func devEUI(i int) lorawan.EUI64 { return 0x70b3d57ed1000000 + lorawan.EUI64(i+1) }

// appKey follows from the seed.
func (c Config) appKey(i int) lorawan.AESKey {
	b := binary.BigEndian.AppendUint64([]byte("heliograph testbench AppKey"), c.Seed)
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(b, uint64(devEUI(i))))
	return lorawan.AESKey(sum[:16])
}
