package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/mr-tron/base58"

	"heliograph/firmware/radiohw"
	"heliograph/poc"
	"heliograph/provisioning/identity"
	"heliograph/provisioning/settings"
	"heliograph/radio"
	"heliograph/radio/region"
)

// config is the configuration file. README.md of firmware explains each line.
type config struct {
	Region    string             `toml:"region" help:"region plan, EU868 or US915; nothing is transmitted without one"`
	Oracle    string             `toml:"oracle" help:"address of the oracle, host:port"`
	OracleKey identity.HotspotID `toml:"oracle_key" help:"public key of the oracle, as its owner publishes it"`
	Owner     string             `toml:"owner" help:"Solana address that receives the rewards"`
	DataDir   string             `toml:"data_dir" help:"directory for key, outbox and state; on a disk that survives restarts"`
	KeyFile   string             `toml:"key_file" help:"file of the hotspot's key; made if absent; empty: hotspot.key in data_dir"`
	Beacons   bool               `toml:"beacons" help:"answer challenges; false declines them"`
	Position  positionConfig     `toml:"position"`
	Antenna   antennaConfig      `toml:"antenna"`
	Radio     radioConfig        `toml:"radio"`
	Clock     clockConfig        `toml:"clock"`
	Web       webConfig          `toml:"web"`
	Log       settings.Log       `toml:"log"`
}

type positionConfig struct {
	Latitude  float64 `toml:"latitude" help:"of the antenna, degrees north, -90 to 90" must:"set"`
	Longitude float64 `toml:"longitude" help:"of the antenna, degrees east, -180 to 180" must:"set"`
	Elevation int16   `toml:"elevation_m" help:"of the antenna above ground, metres"`
}

type antennaConfig struct {
	Gain float64 `toml:"gain_dbi" help:"gain of the antenna in dBi as its data sheet says" must:"set"`
	Loss float64 `toml:"cable_loss_db" help:"loss of the cable between radio and antenna in dB"`
}

type radioConfig struct {
	Device    string `toml:"device" help:"spidev or tty of a concentrator that hotspotd drives itself; empty: packet forwarders attach"`
	Conf      string `toml:"conf" help:"the concentrator's global_conf.json; needed with device"`
	Firmware  string `toml:"firmware_dir" help:"microcontroller images; empty: firmware in data_dir"`
	ResetPin  string `toml:"reset_pin" help:"GPIO line of the reset pin of an SPI concentrator, as in GPIO17"`
	PowerPin  string `toml:"power_pin" help:"GPIO line that powers an SPI concentrator; empty: it is always on"`
	SX1261    string `toml:"sx1261_device" help:"spidev of the SX1261; empty: none"`
	SX1261Pin string `toml:"sx1261_reset_pin" help:"GPIO line of the SX1261's reset; empty: none"`
	DACPin    string `toml:"dac_reset_pin" help:"GPIO line of the AD5338R's reset on full-duplex boards; empty: none"`
	I2C       string `toml:"i2c" help:"I2C bus of an SPI concentrator's temperature sensor and, on full-duplex boards, which need it, of the amplifier's bias DAC; empty: none"`
	SPIHz     int64  `toml:"spi_hz" help:"clock of an SPI concentrator's bus, 100000 to 10000000; lower it when bytes are damaged on the way"`
	PPS       bool   `toml:"pps" help:"a GNSS receiver drives the concentrator's pulse input: its loss is a problem"`
	GNSS      string `toml:"gnss" help:"tty of the GNSS receiver whose pulse drives the concentrator, as in /dev/ttyAMA0; empty: none"`
	GNSSBaud  int    `toml:"gnss_baud" help:"baud rate that the GNSS receiver sends at"`
	ClassB    bool   `toml:"class_b" help:"send the LoRaWAN class B beacon every 128 s while GNSS is locked; needs gnss"`

	Silence time.Duration `toml:"silent_after" help:"a concentrator that heard packets and hears none for so long is started anew; 0: never"`

	Listen   string  `toml:"udp_listen" help:"where packet forwarders attach (Semtech UDP), without device"`
	MinPower float64 `toml:"min_power_dbm" help:"least power that the radio can produce at its connector"`
	MaxPower float64 `toml:"max_power_dbm" help:"greatest power that the radio can produce at its connector"`
	Listens  bool    `toml:"listen_before_talk" help:"the packet forwarder senses the carrier before it sends"`
}

type clockConfig struct {
	Trust bool          `toml:"trust_system" help:"the system clock is kept by NTP or GNSS"`
	Bound time.Duration `toml:"bound" help:"how far the system clock may then be off"`
}

type webConfig struct {
	Listen  string `toml:"listen" help:"status page and /status.json; empty: none"`
	Metrics string `toml:"metrics" help:"Prometheus metrics at /metrics; empty: none"`
}

// unset marks a number that must be given.
const unset = -1000

func defaults() config {
	return config{
		DataDir: "/var/lib/hotspotd", Beacons: true,
		Position: positionConfig{Latitude: unset, Longitude: unset},
		Antenna:  antennaConfig{Gain: unset},
		Radio:    radioConfig{Listen: "127.0.0.1:1680", MaxPower: 27, Silence: time.Hour, GNSSBaud: 9600, SPIHz: radiohw.DefaultSPIHz},
		Clock:    clockConfig{Bound: 100 * time.Millisecond},
		Web:      webConfig{Listen: ":8080", Metrics: "127.0.0.1:9090"},
	}
}

// station is the part of the configuration that was checked and converted.
type station struct {
	owner    poc.Wallet
	position poc.Position
	gain     radio.CentiDB
	min, max radio.CentiDBm
	keyFile  string
}

// check names the first thing that is missing or wrong, and what to do.
func (c config) check() (s station, err error) {
	switch {
	case c.Region == "":
		return s, fmt.Errorf("region is not set: set region to one of %v", region.Names())
	case !slices.Contains(region.Names(), c.Region):
		return s, fmt.Errorf("region %q is not known: set region to one of %v", c.Region, region.Names())
	case c.Oracle == "":
		return s, errors.New("oracle is not set: set oracle to the address of an oracle, like oracle.example.org:7443")
	case c.OracleKey.IsZero():
		return s, errors.New("oracle_key is not set: copy it from the oracle's owner, so that nobody else can pose as the oracle")
	case c.Owner == "":
		return s, errors.New("owner is not set: set owner to the Solana address that receives the rewards")
	case c.Position.Latitude == unset || c.Position.Longitude == unset:
		return s, errors.New("position is not set: set position.latitude and position.longitude to where the antenna is, in degrees")
	case !(math.Abs(c.Position.Latitude) <= 90 && math.Abs(c.Position.Longitude) <= 180):
		return s, errors.New("position is not on Earth: latitude is -90 to 90 and longitude -180 to 180 degrees")
	case c.Antenna.Gain == unset:
		return s, errors.New("antenna.gain_dbi is not set: take it from the antenna's data sheet; too small a value breaks the law")
	case c.Radio.Device != "" && c.Radio.Conf == "":
		return s, errors.New("radio.conf is not set: name the concentrator's global_conf.json (hotspotctl radio import-conf checks it)")
	case c.Radio.Device == "" && c.Radio.Conf != "":
		return s, errors.New("radio.device is not set: name the concentrator's spidev or tty, or leave radio.conf out for packet forwarders")
	case c.Radio.GNSS != "" && c.Radio.Device == "":
		return s, errors.New("radio.gnss is set without radio.device: packet forwarders read their own receiver; leave radio.gnss out")
	case c.Radio.GNSS != "" && (c.Radio.GNSSBaud < 4800 || c.Radio.GNSSBaud > 921_600):
		return s, fmt.Errorf("radio.gnss_baud %d is not a rate of GNSS receivers: want 4800 to 921600, most send at 9600", c.Radio.GNSSBaud)
	case c.Radio.ClassB && c.Radio.GNSS == "":
		return s, errors.New("radio.class_b is set without radio.gnss: beacons need GPS time; name the receiver's tty, or leave radio.class_b out")
	case c.Radio.Silence != 0 && c.Radio.Silence < time.Minute:
		return s, fmt.Errorf("radio.silent_after is %v: set it to 1m or more, or to 0 where packets are rare", c.Radio.Silence)
	case c.Antenna.Loss < 0:
		return s, errors.New("antenna.cable_loss_db is negative: a cable loses power; give the loss as a positive number")
	}
	w, err := base58.Decode(c.Owner)
	if err != nil || len(w) != len(poc.Wallet{}) {
		return s, fmt.Errorf("owner %q is not a Solana address: want base58 of 32 bytes", c.Owner)
	}
	s.owner = poc.Wallet(w)
	s.position = poc.Position{LatE7: int32(math.Round(c.Position.Latitude * 1e7)), LonE7: int32(math.Round(c.Position.Longitude * 1e7))}
	if s.gain, err = radio.CentiDBFrom(c.Antenna.Gain - c.Antenna.Loss); err != nil || s.gain < radio.DB(-10) || s.gain > radio.DB(20) {
		return s, fmt.Errorf("antenna gain less cable loss is %v dB: want -10 to 20", c.Antenna.Gain-c.Antenna.Loss)
	}
	lo, err1 := radio.CentiDBmFrom(c.Radio.MinPower)
	hi, err2 := radio.CentiDBmFrom(c.Radio.MaxPower)
	if err1 != nil || err2 != nil || lo > hi || hi == 0 {
		return s, errors.New("radio.min_power_dbm and radio.max_power_dbm are not a range: take them from the concentrator's data sheet")
	}
	s.min, s.max = lo, hi
	if st, err := os.Stat(c.DataDir); err != nil || !st.IsDir() {
		return s, fmt.Errorf("data_dir %q is not a directory: create it and give it to the user that runs hotspotd", c.DataDir)
	}
	if s.keyFile = c.KeyFile; s.keyFile == "" {
		s.keyFile = filepath.Join(c.DataDir, "hotspot.key")
	}
	return s, nil
}
