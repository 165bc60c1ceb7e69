// Package node puts the parts of an oracle together: stores, journal, door,
// router, epochs, settlement, explorer. cmd/oracled reads a [Config] and runs one.
package node
