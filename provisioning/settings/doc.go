// Package settings fills a configuration struct from a TOML file, the
// environment and the command line, later ones winning, and refuses every key
// that the struct does not have. All of Heliograph's daemons use it, so that one
// key has one meaning in three spellings:
//
//	antenna.gain_db = 2.5             in the file (TOML 1.0)
//	HOTSPOTD_ANTENNA_GAIN_DB=2.5      in the environment
//	--antenna.gain-db 2.5             on the command line
//
// Fields are exported and carry `toml:"key" help:"text"`; a struct field is a
// table. The types are string, bool, signed and unsigned integers, float64,
// time.Duration ("90s"), []string (an array in the file, commas elsewhere) and
// everything that implements encoding.TextUnmarshaler. A value that is in the
// struct before [Load] is the default; with `must:"set"` it stands for none, and the
// program refuses it.
//
// Secrets do not belong in a configuration: a key names the file that holds one.
//
// The package reads one file and writes help text; it keeps no state.
package settings
