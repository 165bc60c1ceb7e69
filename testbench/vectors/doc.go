// Package vectors holds the whole product against files of numeric facts: what
// other implementations and captures of real equipment say that frames, keys,
// signatures and prices must be. It contains tests only.
//
// A file may be replaced by another of the same form with other numbers, named
// by an environment variable (ROUTING_VECTORS for routing_vectors.json). The
// tests know no number of the file. They fail on a section, or a field, that no
// check looks at, so that nothing in a file passes unread; and a test changes
// each value in turn and expects the change to be noticed.
package vectors
