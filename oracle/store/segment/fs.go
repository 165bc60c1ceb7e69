package segment

import (
	"io"
)

// fsys is the one directory that a log lives in: the boundary at which the crash
// tests record what would reach the disk, and when.
type fsys interface {
	// Dir names the directory in errors.
	Dir() string
	// Lock keeps other processes out until the closer is closed.
	Lock() (io.Closer, error)
	// List returns the names of all files, in any order.
	List() ([]string, error)
	// Create makes a new file to read and write.
	Create(name string) (file, error)
	// OpenRead and OpenWrite open a file that exists.
	OpenRead(name string) (file, error)
	OpenWrite(name string) (file, error)
	Rename(from, to string) error
	Remove(name string) error
	// SyncDir makes creations, renames and removals durable.
	SyncDir() error
	// Free is the space left, in bytes.
	Free() (uint64, error)
	// Close gives the directory back; no call follows.
	Close() error
}

// file is an open file. ReadAt is safe beside WriteAt and Sync.
type file interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Truncate(size int64) error
	// Sync makes the content and the size durable.
	Sync() error
	Size() (int64, error)
}
